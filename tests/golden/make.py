#!/usr/bin/env python3
"""Makes the golden models: tiny seeded bi-encoders, and what sentence-transformers says about them.

    pip install torch sentence-transformers
    python3 tests/golden/make.py            # rewrites the models' folders beside this file

Each folder is a model as Hugging Face lays one out, in the classic spelling of all-MiniLM-L6-v2 and written here by
hand: newer versions of sentence-transformers save other keys. Its `expected.json` is the reference's answer in full
precision, with the versions that gave it. The weights come from NumPy's seeded generator and do not change between
versions; the answers may change in their last digits, so review the difference before you commit one.

The tokenizers deliberately bake in truncation to 8 tokens and padding to 8, as all-MiniLM-L6-v2 bakes in 128 where the
model takes 256: whoever believes them fails.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy
import sentence_transformers
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).resolve().parent

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the of and in to is was at a london paris river big small how what where has have people city inhabitants
census capital tower water music note strong soft loud query passage find text word light house green sun moon star
year day night run walk write read open close one two three seven hundred thousand""".split()
PIECES = "ing ed er est ly s es tion ment able un re al ic ous ness ful".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"
# Cyrillic, Greek with both small sigmas, two ideographs, one kana, one emoji, a combining dot: the rest is [UNK].
SCRIPTS = "\u043f\u0440\u0438\u0432\u0435\u0442\u03b1\u03c3\u03c2\u4f60\u597d\u3053\U0001f600\u0307\u00df"


def vocabulary():
    tokens = list(SPECIAL)
    for token in [*LETTERS, *PUNCTUATION, *SCRIPTS, *WORDS]:
        if token not in tokens:
            tokens.append(token)
    tokens += ["##" + piece for piece in [*LETTERS, *"\u0440\u0438\u0432\u0435\u0442\u03c3\u03c2\u0307", *PIECES]]
    return list(dict.fromkeys(tokens))


TEXTS = [
    "",
    " ",
    "\n\t \r\n",
    "a",
    "Z",
    "London has 9,787,426 inhabitants at the 2011 census",
    "How big is London?",
    "how BIG is LoNdOn",
    "The capital of the river city was Paris.",
    "  leading and trailing white space \t\n",
    "two  spaces,\ttabs\nand lines\r\nin the text",
    "word " * 400,
    "water, music; note. " * 60,
    "the " * 6,
    "unreadable unwriting restlessness hopefully",
    "x" * 300,
    "a" * 99 + " " + "b" * 101,
    "[CLS] literal [SEP] tokens [MASK] [PAD] [UNK]",
    "text[SEP]text [cls] [Sep] ##ing",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440, \u4f60\u597d\u4e16\u754c \u0645\u0631\u062d\u0628\u0627 \u3053\u3093\u306b mixed",
    "\u4f60\u597d" * 60,
    "\U0001f600\U0001f603 emoji \U0001f469\u200d\U0001f469\u200d\U0001f467 family \U0001f3f3\ufe0f\u200d\U0001f308",
    "\u0000nul\u0007bell\u200bzero width\u00ad soft hyphen",
    "\u0085next\u0085line\u0085",
    "\u001cfile\u001cseparator\u001f",
    "\u00a0no\u00a0break\u3000ideographic\u2003em\u2028line ",
    "\u00e9 e\u0301 \u00c5 \ufb01 ligature \u0130stanbul \u00df \u1e9e",
    "\u039f\u0394\u039f\u03a3 \u03b1\u03a3 \u03a3",
    "\ufeffbyte order mark first",
    "\ufffd replacement \ue000 private \U0010ffff last",
    "a.b,c;d!e?f" * 30,
    "http://london.city/path?q=1&r=2#note",
    "1234567890 " * 40,
    "3.14159 -2.5e10 $100 50%",
    "\u202eright to left\u202c \u0301\u0302 combining first",
    "don't won't it's o'clock -- ... !!!",
]


def tokenizer_json(tokens, lowercase):
    special = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    second = lambda name: {"SpecialToken": {"id": name, "type_id": 1}}
    first_text = {"Sequence": {"id": "A", "type_id": 0}}
    ids = {token: at for at, token in enumerate(tokens)}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 8},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [
            {
                "id": ids[name],
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name in SPECIAL
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), first_text, special("[SEP]")],
            "pair": [
                special("[CLS]"),
                first_text,
                special("[SEP]"),
                {"Sequence": {"id": "B", "type_id": 1}},
                second("[SEP]"),
            ],
            "special_tokens": {
                name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ["[CLS]", "[SEP]"]
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def weights(config, seed):
    """Large enough that attention is not uniform and every weight matters."""
    random = np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def matrix(name, rows, columns, scale):
        tensors[name] = (random.standard_normal((rows, columns)) * scale).astype(np.float32)

    def vector(name, size, mean, scale):
        tensors[name] = (mean + random.standard_normal(size) * scale).astype(np.float32)

    def linear(name, rows, columns):
        matrix(f"{name}.weight", rows, columns, 1.3 / columns**0.5)
        vector(f"{name}.bias", rows, 0.0, 0.2)

    def norm(name):
        vector(f"{name}.weight", width, 1.0, 0.2)
        vector(f"{name}.bias", width, 0.0, 0.2)

    matrix("embeddings.word_embeddings.weight", config["vocab_size"], width, 0.8)
    matrix("embeddings.position_embeddings.weight", config["max_position_embeddings"], width, 0.4)
    matrix("embeddings.token_type_embeddings.weight", config["type_vocab_size"], width, 0.4)
    norm("embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        for name in ["query", "key", "value"]:
            linear(f"{at}.attention.self.{name}", width, width)
        linear(f"{at}.attention.output.dense", width, width)
        norm(f"{at}.attention.output.LayerNorm")
        linear(f"{at}.intermediate.dense", inner, width)
        linear(f"{at}.output.dense", width, inner)
        norm(f"{at}.output.LayerNorm")
    return tensors


# What a folder differs in from the plainest model; a value of None leaves the key out.
MODELS = {
    "mean": {},
    "cls": {
        "config": {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48},
        "pooling": "cls_token",
        "normalize": False,
        # No max_seq_length: the tokenizer's own limit holds.
        "sentence_bert": {"max_seq_length": None},
        "model_max_length": 24,
        "sentence_transformers": {"similarity_fn_name": "dot"},
    },
    "prompts": {
        # The tokenizer keeps capitals, which are not in the vocabulary; sentence-transformers lower-cases before it.
        "lowercase": False,
        "sentence_bert": {"do_lower_case": True},
        "normalize": False,
        "sentence_transformers": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    },
    "gelu_new": {
        "config": {"hidden_act": "gelu_new", "num_hidden_layers": 1},
        # No limit but the position table.
        "sentence_bert": {"max_seq_length": None},
        "model_max_length": 1000000000000000019884624838656,
        # A default prompt is for `encode`; `encode_query` and `encode_document` do without one.
        "sentence_transformers": {
            "prompts": {"retrieval": "find: "},
            "default_prompt_name": "retrieval",
            "similarity_fn_name": None,
        },
    },
    "relu": {
        # An epsilon that shows in the vectors.
        "config": {"hidden_act": "relu", "num_hidden_layers": 1, "num_attention_heads": 1, "layer_norm_eps": 0.01},
        "normalize": False,
    },
    "prefixed": {
        "config": {"architectures": ["BertForMaskedLM"], "num_hidden_layers": 1, "num_attention_heads": 9},
        "prefix": "bert.",
    },
}


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def without_none(values, *, keep=()):
    return {key: value for key, value in values.items() if value is not None or key in keep}


def make(folder, seed, spec):
    tokens = vocabulary()
    config = {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 36,
        "initializer_range": 0.02,
        "intermediate_size": 56,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
        "model_type": "bert",
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "transformers_version": "4.8.2",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": len(tokens),
    } | spec.get("config", {})
    lowercase = spec.get("lowercase", True)
    pooling = spec.get("pooling", "mean_tokens")
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if spec.get("normalize", True):
        modules.append(("2_Normalize", "Normalize"))

    shutil.rmtree(folder, ignore_errors=True)
    dump(folder / "config.json", config)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(tokens, lowercase), separators=(",", ":")) + "\n")
    tokenizer_config = {
        "do_lower_case": lowercase,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "tokenize_chinese_chars": True,
        "strip_accents": None,
        "model_max_length": spec.get("model_max_length", 512),
        "tokenizer_class": "BertTokenizer",
    }
    dump(folder / "tokenizer_config.json", tokenizer_config)
    dump(
        folder / "modules.json",
        [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(modules)
        ],
    )
    dump(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": config["hidden_size"]} | {f"pooling_mode_{mode}": mode == pooling for mode in modes},
    )
    sentence_bert = {"max_seq_length": 32, "do_lower_case": False} | spec.get("sentence_bert", {})
    dump(folder / "sentence_bert_config.json", without_none(sentence_bert))
    written_by = {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
    dump(folder / "config_sentence_transformers.json", {"__version__": written_by} | spec.get("sentence_transformers", {}))

    tensors = weights(config, seed)
    prefix = spec.get("prefix", "")
    saved = {prefix + name: tensor for name, tensor in tensors.items()}
    if prefix:
        # What a checkpoint of a masked language model has beside the encoder.
        width = config["hidden_size"]
        random = np.random.default_rng(seed + 1000)
        for name, shape in {
            "bert.pooler.dense.weight": (width, width),
            "bert.pooler.dense.bias": (width,),
            "cls.predictions.bias": (config["vocab_size"],),
            "cls.predictions.transform.dense.bias": (width,),
        }.items():
            saved[name] = random.standard_normal(shape).astype(np.float32)
        saved["bert.embeddings.position_ids"] = np.arange(config["max_position_embeddings"], dtype=np.int64)[None]
    safetensors.numpy.save_file(saved, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    loaded = model[0].auto_model.state_dict()
    for name, tensor in tensors.items():
        assert np.array_equal(loaded[name].numpy(), tensor), f"{folder.name}: the reference did not load {name}"
    numbers = lambda rows: [[float(str(number)) for number in row] for row in rows]
    passages = model.encode_document(TEXTS, batch_size=8, show_progress_bar=False)
    queries = model.encode_query(TEXTS, batch_size=8, show_progress_bar=False)
    assert passages.dtype == np.float32 and np.isfinite(passages).all()
    expected = {
        "made_with": {
            "sentence_transformers": sentence_transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        },
        "max_tokens": model.max_seq_length,
        "similarity": model.similarity_fn_name,
        "texts": TEXTS,
        # Without a prompt: what the tokenizer itself makes of each text.
        "token_ids": [model.preprocess([text])["input_ids"][0].tolist() for text in TEXTS],
        "passages": numbers(passages),
        "queries": numbers(queries),
    }
    pieces = [f' "{key}": {json.dumps(value)}' for key, value in expected.items()]
    (folder / "expected.json").write_text("{\n" + ",\n".join(pieces) + "\n}\n")
    return passages


def main():
    torch.set_num_threads(1)
    for seed, (name, spec) in enumerate(MODELS.items()):
        passages = make(HERE / name, seed, spec)
        spread = np.abs(passages - passages.mean(axis=0)).max()
        print(f"{name}: {len(TEXTS)} texts, largest deviation from the mean vector {spread:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
