#!/usr/bin/env python3
"""Makes the golden models: tiny seeded bi-encoders, and what sentence-transformers says about them.

    pip install torch sentence-transformers
    python3 tests/golden/make.py            # rewrites the models' folders beside this file

Each folder is a model as Hugging Face lays one out, in the classic spelling of all-MiniLM-L6-v2 and written here by
hand: newer versions of sentence-transformers save other keys. Its `expected.json` is the reference's answer in full
precision, with the versions that gave it. The weights come from NumPy's seeded generator and do not change between
versions; the answers may change in their last digits, so review the difference before you commit one.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

import variants
from reference import load, record, record_util
from tokenizer_files import byte_level_bpe, vocabulary, word_piece
from weights import beside_the_encoder, own_names, weights

HERE = Path(__file__).resolve().parent

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
    "tinybert": {
        "config": {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 96, "num_hidden_layers": 3},
        "normalize": False,
        "sentence_transformers": {"similarity_fn_name": "cosine"},
    },
    "distilbert": {
        "config": {"model_type": "distilbert", "type_vocab_size": 0},
        "normalize": False,
        "sentence_transformers": {"similarity_fn_name": "dot"},
    },
    "roberta": {
        # 64 rows, two of which are not for the tokens of a text: 62 positions.
        "config": {"model_type": "roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1},
        "tokenizer": "byte-level BPE",
        "sentence_bert": {"max_seq_length": 62},
    },
    "electra": {
        "config": {"model_type": "electra", "embedding_size": 36, "num_hidden_layers": 1},
        "prefix": "electra.",
        "pooling": "cls_token",
        "normalize": False,
    },
    "electra_narrow": {
        "config": {"model_type": "electra", "embedding_size": 20, "num_hidden_layers": 1},
    },
}

ARCHITECTURES = {
    "bert": "BertModel",
    "distilbert": "DistilBertModel",
    "roberta": "RobertaModel",
    "electra": "ElectraModel",
}


def own_config(config):
    """The same configuration in the architecture's own keys."""
    if config["model_type"] == "electra":
        summary = {"summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first"}
        return config | summary | {"summary_use_proj": True}
    if config["model_type"] != "distilbert":
        return config
    return {
        "activation": config["hidden_act"],
        "architectures": config["architectures"],
        "attention_dropout": 0.1,
        "dim": config["hidden_size"],
        "dropout": 0.1,
        "hidden_dim": config["intermediate_size"],
        "initializer_range": 0.02,
        "max_position_embeddings": config["max_position_embeddings"],
        "model_type": "distilbert",
        "n_heads": config["num_attention_heads"],
        "n_layers": config["num_hidden_layers"],
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "vocab_size": config["vocab_size"],
    }


def tokenizer_config(spec, lowercase):
    limit = {"model_max_length": spec.get("model_max_length", 512)}
    if spec.get("tokenizer") == "byte-level BPE":
        special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
        special |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
        return special | {"add_prefix_space": False, "trim_offsets": True} | limit | {"tokenizer_class": "RobertaTokenizer"}
    distilled = spec.get("config", {}).get("model_type") == "distilbert"
    return {
        "do_lower_case": lowercase,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "tokenize_chinese_chars": True,
        "strip_accents": None,
        **limit,
        "tokenizer_class": "DistilBertTokenizer" if distilled else "BertTokenizer",
    }


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def without_none(values, *, keep=()):
    return {key: value for key, value in values.items() if value is not None or key in keep}


def make(folder, seed, spec):
    lowercase = spec.get("lowercase", True)
    if spec.get("tokenizer") == "byte-level BPE":
        tokens, tokenizer = byte_level_bpe()
    else:
        tokens = vocabulary()
        tokenizer = word_piece(tokens, lowercase)
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
    if "architectures" not in spec.get("config", {}):
        config["architectures"] = [ARCHITECTURES[config["model_type"]]]
    pooling = spec.get("pooling", "mean_tokens")
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
    chain = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if spec.get("normalize", True):
        chain.append(("2_Normalize", "Normalize"))

    shutil.rmtree(folder, ignore_errors=True)
    dump(folder / "config.json", own_config(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, separators=(",", ":")) + "\n")
    dump(folder / "tokenizer_config.json", tokenizer_config(spec, lowercase))
    dump(
        folder / "modules.json",
        [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(chain)
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

    tensors = own_names(weights(config, seed), config["model_type"])
    prefix = spec.get("prefix", "")
    saved = {prefix + name: tensor for name, tensor in tensors.items()}
    if prefix:
        saved |= beside_the_encoder(config, prefix, seed + 1000)
    safetensors.numpy.save_file(saved, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)

    model = load(folder)
    loaded = model[0].auto_model.state_dict()
    for name, tensor in tensors.items():
        assert np.array_equal(loaded[name].numpy(), tensor), f"{folder.name}: the reference did not load {name}"
    return record(model, folder / "expected.json")


def make_newest(folder):
    """A model as the installed version saves it, in its newest spelling."""
    # For the pooler, which no checkpoint here has and the reference makes up.
    torch.manual_seed(0)
    parts = HERE / "parts"
    linear = safetensors.numpy.load_file(parts / "dense_50_from_72.safetensors")
    norm = safetensors.numpy.load_file(parts / "norm_20.safetensors")
    tensor = lambda name: torch.from_numpy(linear[f"linear.{name}"][:20].copy())
    chain = [
        load(HERE / "relu")[0],
        modules.Pooling(36, pooling_mode=("mean", "cls"), include_prompt=False),
        modules.Dense(72, 20, init_weight=tensor("weight"), init_bias=tensor("bias")),
        modules.LayerNorm(20),
        modules.Normalize(),
    ]
    chain[3].norm.load_state_dict({name.removeprefix("norm."): torch.from_numpy(value) for name, value in norm.items()})
    prompts = {"query": "query: ", "document": "", "title": "title: "}
    model = SentenceTransformer(modules=chain, prompts=prompts, default_prompt_name="title", device="cpu")
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(folder), create_model_card=False)
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    return record(load(folder), folder / "expected.json")


def main():
    torch.set_num_threads(1)
    for seed, (name, spec) in enumerate(MODELS.items()):
        passages = make(HERE / name, seed, spec)
        report(name, passages)
    variants.record(HERE, HERE / "variants.json")
    report("newest", make_newest(HERE / "newest"))
    record_util(HERE / "util.json")


def report(name, passages):
    spread = np.abs(passages - passages.mean(axis=0)).max()
    print(f"{name}: {len(passages)} texts, largest deviation from the mean vector {spread:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
