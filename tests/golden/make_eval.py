"""Makes `eval.json`: what trec_eval, sentence-transformers and SciPy say of random runs, embeddings and scores.

    pip install pytrec-eval-terrier sentence-transformers scipy
    python tests/golden/make_eval.py

Everything comes from one seeded generator. The runs hold ties (within a query, and around `f32`'s precision), queries
that one side lacks, passages nobody judged, and grades from -1 (below it, pytrec_eval breaks) to 4; the texts of each case are as TREC writes
them, so that parsing is tested with them.
"""

import json
import logging
import random
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytrec_eval
import scipy.stats
from sentence_transformers import SentenceTransformer
from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
)

HERE = Path(__file__).resolve().parent
CUTS = [1, 3, 5, 10, 100]
MEASURES = {"ndcg", "map", "recip_rank", "Rprec", "num_ret", "num_rel", "num_rel_ret"} | {
    f"{name}.{','.join(map(str, CUTS))}" for name in ["ndcg_cut", "map_cut", "P", "recall", "success"]
}


def random_qrels(rng, queries, passages, grades):
    return {
        query: {passage: rng.choice(grades) for passage in rng.sample(passages, rng.randint(1, 14))}
        for query in queries
    }


def random_run(rng, queries, passages, score):
    return {
        query: {passage: score() for passage in rng.sample(passages, rng.randint(1, len(passages)))}
        for query in queries
    }


def trec_run(run):
    """The lines in no particular order, with ranks that are wrong: trec_eval looks at neither."""
    return "".join(
        f"{query} Q0 {passage} {rank} {score!r} random\n"
        for query, scored in run.items()
        for rank, (passage, score) in enumerate(scored.items())
    )


def trec_qrels(qrels):
    return "".join(f"{query} 0 {passage} {grade}\n" for query, judged in qrels.items() for passage, grade in judged.items())


def trec(rng):
    scores = {
        "ties": lambda: float(rng.randint(0, 4)),
        "distinct": lambda: rng.uniform(-20, 20),
        "f32 ties": lambda: 1.0 + rng.randint(0, 9) * 1e-9,
        "exponents": lambda: rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30),
    }
    cases = []
    for number in range(24):
        name = list(scores)[number % len(scores)]
        # Ids of several lengths and scripts: ties go by bytes, descending.
        passages = [f"d{n}" for n in range(25)] + ["D1", "\u00e9tude", "\u4e00", "z" * 40, "-"]
        queries = [f"q{n}" for n in range(6)]
        grades = [-1, -1, 0, 0, 1, 1, 2, 3, 4] if number % 3 else [0, 1]
        qrels = random_qrels(rng, queries[:5], passages, grades)
        run = random_run(rng, rng.sample(queries, 5), passages, scores[name])
        found = pytrec_eval.RelevanceEvaluator(qrels, MEASURES).evaluate(run)
        cases.append({"scores": name, "qrels": trec_qrels(qrels), "run": trec_run(run), "expected": found})
    return cases


def information_retrieval(rng):
    """`compute_metrics` on given hits. Its ties go by ascending id, and a grade above 0 is as good as any other."""
    cases = []
    for number in range(12):
        passages = [f"d{n}" for n in range(120)]
        queries = {f"q{n}": "" for n in range(5)}
        qrels = random_qrels(rng, queries, passages, [0, 1, 1, 2, -1])
        relevant = {query: {p for p, grade in judged.items() if grade > 0} for query, judged in qrels.items()}
        evaluator = InformationRetrievalEvaluator(queries, {p: "" for p in passages}, relevant)
        score = (lambda: float(rng.randint(0, 9))) if number % 2 else (lambda: float(np.float32(rng.uniform(0, 1))))
        run = random_run(rng, evaluator.queries_ids, passages, score)
        hits = [
            [{"corpus_id": passage, "score": score} for passage, score in run[query].items()]
            for query in evaluator.queries_ids
        ]
        metrics = evaluator.compute_metrics(hits)
        expected = {
            name.replace("@k", f"@{k}"): float(value) for name, at in metrics.items() for k, value in at.items()
        }
        cases.append({"qrels": trec_qrels(qrels), "run": trec_run(run), "expected": expected})
    return cases


WORDS = """london paris river big small where people city census capital water music strong soft light house sun moon
star year night walk read two seven""".split()


def embedding_similarity(rng):
    """The evaluator on the tiny model in `mean`, whose vectors are of unit length, and in `cls`, whose are not."""
    sentence = lambda: " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))
    first, second = [sentence() for _ in range(30)], [sentence() for _ in range(30)]
    scores = [rng.randint(0, 10) / 2 for _ in first]
    cases = []
    for folder in ["mean", "cls"]:
        model = SentenceTransformer(str(HERE / folder), device="cpu", local_files_only=True)
        evaluator = EmbeddingSimilarityEvaluator(
            first, second, scores, similarity_fn_names=["cosine", "dot", "euclidean", "manhattan"], write_csv=False
        )
        expected = {name: float(value) for name, value in evaluator(model).items()}
        cases.append({"model": folder, "expected": expected})
    return {"sentences1": first, "sentences2": second, "scores": scores, "cases": cases}


class Recorded:
    """A cross-encoder that knows its answers; the score is the end of the passage."""

    model_card_data = type("Card", (), {"set_evaluation_metrics": lambda *_: None})()

    def predict(self, pairs, **_):
        return np.array([float(passage.rsplit(" ", 1)[1]) for _, passage in pairs], dtype=np.float32)


def reranking(rng):
    cases = []
    for number in range(12):
        ties, documents, always = number % 2 == 1, number % 3 != 0, number % 4 != 3
        score = (lambda: rng.randint(0, 3)) if ties else (lambda: round(rng.uniform(-9, 9), 5))
        samples = []
        for _ in range(6):
            passages = [f"p{n} {score()}" for n in range(rng.randint(3, 16))]
            positive = rng.sample(passages, rng.randint(1, 3))
            rest = [passage for passage in passages if passage not in positive]
            if documents:
                shown = rest + rng.sample(positive, rng.randint(0, len(positive)))
                rng.shuffle(shown)
                samples.append({"query": "q", "positive": positive, "documents": shown or positive})
            else:
                samples.append({"query": "q", "positive": positive, "negative": rest or ["none 0"]})
        evaluator = CrossEncoderRerankingEvaluator(samples, always_rerank_positives=always, write_csv=False)
        expected = {name: float(value) for name, value in evaluator(Recorded()).items()}
        cases.append({"ties": ties, "always_rerank_positives": always, "samples": samples, "expected": expected})
    return cases


def significance(rng):
    cases = []
    for size in [2, 3, 5, 8, 11, 14, 40, 300]:
        first = [round(rng.random(), 3) for _ in range(size)]
        # Half of the queries do not change, as in real runs.
        second = [min(1.0, round(v + rng.choice([0, 0, 0.05, -0.1, 0.2]), 3)) for v in first]
        if first == second:
            second[0] = round(first[0] / 2, 3)
        t_test = scipy.stats.ttest_rel(first, second)
        permutation = scipy.stats.permutation_test(
            (first, second),
            lambda a, b, axis: np.mean(np.asarray(a) - np.asarray(b), axis=axis),
            permutation_type="samples",
            n_resamples=100_000,
            vectorized=True,
            random_state=np.random.default_rng(7),
        )
        cases.append(
            {
                "first": first,
                "second": second,
                "t": float(t_test.statistic),
                "t_test": float(t_test.pvalue),
                "randomization": float(permutation.pvalue),
            }
        )
    return cases


def main():
    logging.disable(logging.WARNING)
    rng = random.Random(20)
    packages = ["numpy", "pytrec-eval-terrier", "scikit-learn", "scipy", "sentence-transformers"]
    goldens = {
        "made_with": {package: version(package) for package in packages},
        "trec": trec(rng),
        "information_retrieval": information_retrieval(rng),
        "embedding_similarity": embedding_similarity(rng),
        "reranking": reranking(rng),
        "significance": significance(rng),
    }
    (HERE / "eval.json").write_text(json.dumps(goldens, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
