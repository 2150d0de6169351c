#!/usr/bin/env python3
"""Marcato's encoder beside its peers on this machine: the same texts, by turns, ratios of medians.

  python3 -m venv .venv && . .venv/bin/activate
  pip install torch transformers sentence-transformers onnxruntime onnx openvino nncf
  cargo build --release
  python benches/peers.py --model DIR --passages FILE --queries FILE
  python benches/peers.py --shape distilbert --passages FILE --queries FILE
  python benches/peers.py --shape minilm-l6-cross

`--model` is the directory of a sentence-transformers bi-encoder with full weights, such as all-MiniLM-L6-v2; it is
exported to ONNX f32, ONNX int8 (dynamic, per channel) and OpenVINO int8 (NNCF, calibrated on passages from the end of
the file, which are not measured). `--shape` makes a model of that shape with seeded random weights instead: speed does
not depend on what they are. Texts are JSONL with a "text" (and a "title", which goes in front). Cross-encoders score
one query with 100 passages of 100 tokens.

Machines are shared and warm up: so every engine is measured in turn, again and again (`--rounds`), and compared by
medians. Everyone has the same number of threads. Peers get length-sorted batches of 32, padded to the longest, which
is what their own pipelines do. Exported models are kept in `--work`."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parent.parent
BATCH = 32
PAIRS = 100

# Shapes of models that are worth a comparison: (family, layers, width, heads, inner width, cross-encoder).
SHAPES = {
    "minilm-l6": ("bert", 6, 384, 12, 1536, False),
    "distilbert": ("distilbert", 6, 768, 12, 3072, False),
    "roberta-base": ("roberta", 12, 768, 12, 3072, False),
    "minilm-l6-cross": ("bert", 6, 384, 12, 1536, True),
    "tinybert-l2-cross": ("bert", 2, 128, 2, 512, True),
}


def texts(path, limit):
    lines = (json.loads(line) for line in open(path, encoding="utf-8"))
    with_title = (" ".join(filter(None, [line.get("title"), line["text"]])) for line in lines)
    return [text for text, _ in zip(with_title, range(limit))] if limit else list(with_title)


# Models.

def seeded(shape, directory, vocabulary):
    """A model with random weights in the layout of sentence-transformers, and a tokenizer made from `vocabulary`."""
    import torch
    import transformers as hf

    family, layers, width, heads, inner, cross = SHAPES[shape]
    torch.manual_seed(7)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer, size = make_tokenizer(family, vocabulary)
    if family == "distilbert":
        config = hf.DistilBertConfig(vocab_size=size, n_layers=layers, dim=width, n_heads=heads, hidden_dim=inner)
        model = hf.DistilBertModel(config)
    else:
        kind = {"bert": hf.BertConfig, "roberta": hf.RobertaConfig}[family]
        positions, types = (514, 1) if family == "roberta" else (512, 2)
        config = kind(vocab_size=size, num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads,
                      intermediate_size=inner, max_position_embeddings=positions, type_vocab_size=types,
                      num_labels=1, layer_norm_eps=1e-5 if family == "roberta" else 1e-12)
        if family == "roberta":
            config.pad_token_id, config.bos_token_id, config.eos_token_id = 1, 0, 2
        model = hf.BertForSequenceClassification(config) if cross else \
            {"bert": hf.BertModel, "roberta": hf.RobertaModel}[family](config)
    model.eval().save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    write = lambda name, value: (directory / name).write_text(json.dumps(value))
    write("tokenizer_config.json", {"model_max_length": 512})
    if not cross:
        (directory / "1_Pooling").mkdir(exist_ok=True)
        write("modules.json", [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
        write("1_Pooling/config.json", {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True})
        write("sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False})


def make_tokenizer(family, sample):
    """A vocabulary of the size of the real one, its beginning learnt from `sample`, so that texts have tokens."""
    import tokenizers as tk

    if family == "roberta":
        tokenizer = tk.Tokenizer(tk.models.BPE())
        tokenizer.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        trainer = tk.trainers.BpeTrainer(vocab_size=50265, special_tokens=special, show_progress=False,
                                         initial_alphabet=tk.pre_tokenizers.ByteLevel.alphabet())
        tokenizer.train_from_iterator(sample, trainer)
        tokenizer.post_processor = tk.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        return tokenizer, 50265
    tokenizer = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tk.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tk.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = tk.trainers.WordPieceTrainer(vocab_size=30522, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(sample, trainer)
    tokenizer.post_processor = tk.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer, 30522


def export(directory, work, cross, calibration):
    """ONNX f32, ONNX int8 and OpenVINO int8 of the model in `directory`, made once."""
    if (work / "openvino_int8.xml").exists():
        return
    import nncf
    import onnx  # noqa: F401  (the exporter needs it)
    import openvino as ov
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if cross else AutoModel
    inner = auto.from_pretrained(directory, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if inner.config.model_type == "bert" else [])

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, *tensors):
            output = self.inner(**dict(zip(names, tensors)))
            return output.logits if cross else output.last_hidden_state

    work.mkdir(parents=True, exist_ok=True)
    ones = torch.ones(2, 16, dtype=torch.long)
    torch.onnx.export(Plain(), tuple(ones for _ in names), work / "f32.onnx", input_names=names, output_names=["out"],
                      dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names} | {"out": {0: "batch"} | (
                          {} if cross else {1: "tokens"})}, opset_version=17, dynamo=False)
    quantize_dynamic(work / "f32.onnx", work / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
    items = [{name: value for name, value in feed(tokens).items() if name in names} for tokens in calibration]
    quantized = nncf.quantize(ov.Core().read_model(work / "f32.onnx"), nncf.Dataset(items),
                              model_type=nncf.ModelType.TRANSFORMER, subset_size=len(items))
    ov.save_model(quantized, work / "openvino_int8.xml")


def feed(encodings):
    import numpy as np

    encodings = encodings if isinstance(encodings, list) else [encodings]
    return {"input_ids": np.array([encoding.ids for encoding in encodings]),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings])}


# Engines: each takes a feed and gives numbers.

def onnxruntime_engine(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = {entry.name for entry in session.get_inputs()}
    return lambda inputs: session.run(None, {name: inputs[name] for name in names})[0]


def openvino_engine(path, threads):
    import openvino as ov

    core = ov.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    model = core.compile_model(core.read_model(path), "CPU", options)
    names = {name for entry in model.inputs for name in entry.names}
    return lambda inputs: model({name: inputs[name] for name in names & set(inputs)})[0]


def encode_with(forward, tokenizer):
    import numpy as np

    def encode(batch_of):
        order = sorted(range(len(batch_of)), key=lambda place: -len(batch_of[place]))
        vectors = [None] * len(batch_of)
        for start in range(0, len(order), BATCH):
            places = order[start:start + BATCH]
            inputs = feed(tokenizer.encode_batch([batch_of[place] for place in places]))
            weights = inputs["attention_mask"][..., None].astype(np.float32)
            pooled = (forward(inputs) * weights).sum(1) / weights.sum(1)
            for place, vector in zip(places, pooled / np.linalg.norm(pooled, axis=1, keepdims=True)):
                vectors[place] = vector
        return vectors

    return encode


def score_with(forward, tokenizer):
    def score(pairs):
        for start in range(0, len(pairs), BATCH):
            forward(feed(tokenizer.encode_batch(pairs[start:start + BATCH])))

    return score


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def marcato(args, model, more):
    """What `marcato bench` says, from a process of its own. Every round is one round there."""
    command = [args.marcato, "bench", "--json", "--rounds", "1", "--threads", str(args.threads), *more]
    if model:
        command += ["--model", str(model)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(ran.stdout)


# Comparisons.

def compare_bi_encoders(args, directory, work):
    from tokenizers import Tokenizer

    passages, queries = texts(args.passages, args.limit), texts(args.queries, 225)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    later = texts(args.passages, 0)[len(passages):] or passages
    export(directory, work, False, [tokenizer.encode(text) for text in later[-300:]])
    pad = 1 if SHAPES.get(args.shape, ("",))[0] == "roberta" else 0
    tokenizer.enable_padding(pad_id=pad)
    encoders = {
        "ONNX Runtime f32": encode_with(onnxruntime_engine(work / "f32.onnx", args.threads), tokenizer),
        "ONNX Runtime int8": encode_with(onnxruntime_engine(work / "int8.onnx", args.threads), tokenizer),
        "OpenVINO": encode_with(openvino_engine(work / "f32.onnx", args.threads), tokenizer),
        "OpenVINO int8": encode_with(openvino_engine(work / "openvino_int8.xml", args.threads), tokenizer),
    }
    if not args.shape:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(args.threads)
        reference = SentenceTransformer(str(directory), device="cpu")
        encoders["sentence-transformers"] = lambda batch: reference.encode(batch, batch_size=BATCH)
    # The built-in model where it is the one compared, as it comes; else the directory, quantized as it is loaded.
    ours = {"Marcato f32": ["--precision", "f32"], "Marcato int8": ["--precision", "int8"]}
    files = ["--passages", args.passages, "--queries", args.queries, "--limit", str(len(passages))]
    rates, latencies = {}, {}
    for encode in encoders.values():
        encode(passages[:64])
        for query in queries[:20]:
            encode([query])
    for number in range(args.rounds):
        for name, precision in ours.items():
            told = marcato(args, directory, files + precision)
            rates.setdefault(name, []).append(told["passages_per_second"]["median"])
            latencies.setdefault(name, []).append(told["query_milliseconds"]["p50"])
        for name, encode in encoders.items():
            rates.setdefault(name, []).append(len(passages) / timed(lambda: encode(passages)))
            each = [timed(lambda: encode([query])) * 1e3 for query in queries]
            latencies.setdefault(name, []).append(statistics.median(each))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    print(f"{'':24}{'passages/s':>12}{'spread':>16}{'query p50 ms':>14}{'int8 is':>10}{'f32 is':>8}")
    for name in sorted(rates, key=lambda name: -statistics.median(rates[name])):
        rate, low, high = statistics.median(rates[name]), min(rates[name]), max(rates[name])
        ratio = {ours: statistics.median(rates[f"Marcato {ours}"]) / rate for ours in ("int8", "f32")}
        print(f"{name:24}{rate:12.1f}{f'{low:.0f} to {high:.0f}':>16}{statistics.median(latencies[name]):14.2f}"
              f"{ratio['int8']:9.2f}x{ratio['f32']:7.2f}x")


def compare_cross_encoders(args, directory, work, words):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    known = [word for word in words if len(tokenizer.encode(word, add_special_tokens=False).ids) == 1]
    query = " ".join(known[:8])
    pairs = [(query, " ".join(known[(place * 31 + n) % len(known)] for n in range(100))) for place in range(PAIRS)]
    export(directory, work, True, [tokenizer.encode(*pair) for pair in pairs])
    tokenizer.enable_padding(pad_id=0)
    scorers = {
        "ONNX Runtime f32": score_with(onnxruntime_engine(work / "f32.onnx", args.threads), tokenizer),
        "ONNX Runtime int8": score_with(onnxruntime_engine(work / "int8.onnx", args.threads), tokenizer),
        "OpenVINO int8": score_with(openvino_engine(work / "openvino_int8.xml", args.threads), tokenizer),
    }
    lines = lambda name, every: (work / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in every))
    lines("passages.jsonl", [passage for _, passage in pairs])
    lines("queries.jsonl", [query])
    files = ["--passages", str(work / "passages.jsonl"), "--queries", str(work / "queries.jsonl")]
    rates = {}
    for score in scorers.values():
        score(pairs)
    for number in range(args.rounds):
        for precision in ("f32", "int8"):
            told = marcato(args, directory, files + ["--precision", precision])
            rates.setdefault(f"Marcato {precision}", []).append(told["pairs_per_second"]["median"])
        for name, score in scorers.items():
            rates.setdefault(name, []).append(PAIRS / timed(lambda: score(pairs)))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    print(f"{'':24}{'pairs/s':>12}{'spread':>18}{f'{PAIRS} pairs ms':>16}{'int8 is':>10}")
    for name in sorted(rates, key=lambda name: -statistics.median(rates[name])):
        rate, low, high = statistics.median(rates[name]), min(rates[name]), max(rates[name])
        print(f"{name:24}{rate:12.0f}{f'{low:.0f} to {high:.0f}':>18}{PAIRS / rate * 1e3:16.1f}"
              f"{statistics.median(rates['Marcato int8']) / rate:9.2f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path)
    which.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--passages", help="JSONL; for cross-encoders too, as words to make passages of")
    parser.add_argument("--queries")
    parser.add_argument("--limit", type=int, default=1024, help="passages that are measured (1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "peers")
    parser.add_argument("--marcato", default=str(ROOT / "target" / "release" / "marcato"))
    args = parser.parse_args()
    cross = args.shape and SHAPES[args.shape][-1]
    if not args.passages or not (args.queries or cross):
        parser.error("--passages and --queries are needed")
    name = args.shape or args.model.resolve().name
    work = args.work / name
    directory = args.model or work / "model"
    if args.shape and not (directory / "config.json").exists():
        seeded(args.shape, directory, texts(args.passages, 0))
    if cross:
        words = sorted({word.lower() for text in texts(args.passages, 0) for word in text.split() if word.isalpha()})
        compare_cross_encoders(args, directory, work, words)
    else:
        compare_bi_encoders(args, directory, work)
    import importlib.metadata as packages

    versions = ("torch", "transformers", "sentence-transformers", "onnxruntime", "openvino", "nncf")
    print(", ".join(f"{package} {packages.version(package)}" for package in versions) + f"; {args.threads} threads")


if __name__ == "__main__":
    main()
