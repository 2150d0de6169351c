"""What sentence-transformers says: the vectors of a model on disk, and its scores of embeddings."""

import json

import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer, util

from texts import TEXTS

MADE_WITH = {
    "sentence_transformers": sentence_transformers.__version__,
    "tokenizers": tokenizers.__version__,
    "torch": torch.__version__.split("+")[0],
    "transformers": transformers.__version__,
}


def load(folder):
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def numbers(rows):
    """Nine digits tell every f32 from its neighbours."""
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    return [[float(f"{number:.9g}") for number in row] for row in rows]


def vectors(model):
    encode = {"passages": model.encode_document, "queries": model.encode_query}
    return {kind: encode(TEXTS, batch_size=8, show_progress_bar=False) for kind, encode in encode.items()}


def write(path, values):
    """A line for each key, so that a difference can be read."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def record(model, path):
    """Writes the answers for all texts; gives the passages' vectors."""
    found = vectors(model)
    if model.default_prompt_name:
        found["default"] = model.encode(TEXTS, batch_size=8, show_progress_bar=False)
    write(
        path,
        {
            "made_with": MADE_WITH,
            "max_tokens": model.max_seq_length,
            "similarity": model.similarity_fn_name,
            "texts": TEXTS,
            # Without a prompt: what the tokenizer itself makes of each text.
            "token_ids": [model.preprocess([text])["input_ids"][0].tolist() for text in TEXTS],
            **{kind: numbers(rows) for kind, rows in found.items()},
        },
    )
    return found["passages"]


def record_util(path):
    """`cos_sim`, `dot_score` and `semantic_search` of seeded embeddings."""
    random = np.random.default_rng(77)
    rows = lambda count: np.round(random.standard_normal((count, 10)), 3).astype(np.float32)
    queries, corpus, top_k = rows(5), rows(40), 7
    hits = lambda function: [
        [(hit["corpus_id"], float(f"{hit['score']:.9g}")) for hit in hits]
        for hits in util.semantic_search(queries, corpus, top_k=top_k, score_function=function)
    ]
    write(
        path,
        {
            "made_with": MADE_WITH,
            "queries": numbers(queries),
            "corpus": numbers(corpus),
            "cos_sim": numbers(util.cos_sim(queries, corpus).numpy()),
            "dot_score": numbers(util.dot_score(queries, corpus).numpy()),
            "top_k": top_k,
            "search_cosine": hits(util.cos_sim),
            "search_dot": hits(util.dot_score),
        },
    )
