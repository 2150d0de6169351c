#!/usr/bin/env python3
"""Makes the golden cross-encoders: tiny seeded models with a head each, and what sentence-transformers scores with them.

    pip install torch sentence-transformers
    python3 tests/golden/make_cross.py      # rewrites the folders `cross_*` and `pairs.json` beside this file

Each folder is a sequence classification model as Hugging Face lays one out. Its `expected.json` is the reference's answer
in full precision for the pairs in `pairs.json`: logits, scores, tokens, and a ranking. The weights come from NumPy's
seeded generator, as those of `make.py` do.
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
from sentence_transformers import CrossEncoder

from make import dump, own_config, tokenizer_config
from tokenizer_files import byte_level_bpe, vocabulary, word_piece
from weights import own_names, weights

HERE = Path(__file__).resolve().parent

LONG = "the " * 600
PAIRS = [
    ("How big is London?", "London has 9,787,426 inhabitants at the 2011 census"),
    ("London has 9,787,426 inhabitants at the 2011 census", "How big is London?"),
    ("", ""),
    ("", "a text alone"),
    ("a query alone", ""),
    (" ", "\n\t \r\n"),
    ("a", "Z"),
    ("how BIG is LoNdOn", "  leading and trailing white space \t\n"),
    # Longer than the maximum on the right, the left, and both; then either the longer one, by much and by one token.
    ("what is water", "water, music; note. " * 60),
    ("water, music; note. " * 60, "what is water"),
    ("word " * 400, "word " * 400),
    (LONG, "a " * 300),
    ("a " * 300, LONG),
    ("of " * 41, "to " * 40),
    ("of " * 40, "to " * 41),
    # Around half of the room.
    *[("of " * left, "to " * 70) for left in range(12, 19)],
    *[("of " * 70, "to " * right) for right in [13, 15, 28, 31]],
    # As many tokens as fit, one less, one more.
    *[("of " * 9, "to " * right) for right in [19, 20, 21, 47, 50, 51, 52, 53]],
    ("x" * 300, "a word of 300 letters"),
    ("a word of 300 letters", "x" * 300),
    ("a" * 99 + " " + "b" * 101, "unreadable unwriting restlessness hopefully"),
    ("[CLS] literal [SEP] tokens [MASK] [PAD] [UNK]", "text[SEP]text [cls] [Sep] ##ing"),
    ("<s> literal </s> tokens <mask> <pad> <unk>", "text</s>text <PAD> and more"),
    ("\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u4f60\u597d\u4e16\u754c \u0645\u0631\u062d\u0628\u0627 \u3053\u3093\u306b mixed"),
    ("\u4f60\u597d" * 60, "\u4f60\u597d"),
    ("\U0001f600\U0001f603 emoji", "\U0001f469\u200d\U0001f469\u200d\U0001f467 family \U0001f3f3\ufe0f\u200d\U0001f308"),
    ("\u0000nul\u0007bell\u200bzero width\u00ad", "\u0085next\u0085line\u0085"),
    ("\u001cfile\u001cseparator\u001f", "\u00a0no\u00a0break\u3000ideographic\u2003em\u2028line "),
    ("\u00e9 e\u0301 \u00c5 \ufb01 ligature \u0130stanbul", "\u039f\u0394\u039f\u03a3 \u03b1\u03a3 \u03a3 \u00df \u1e9e"),
    ("\ufeffbyte order mark", "\ufffd replacement \ue000 private \U0010ffff last"),
    ("\u202eright to left\u202c \u0301\u0302 combining", "don't won't it's o'clock -- ... !!!"),
    ("two  spaces,\ttabs\nand lines\r\nin the text", "a.b,c;d!e?f" * 30),
    ("3.14159 -2.5e10 $100 50%", "http://london.city/path?q=1&r=2#note"),
    ("How big is London?", "London has 9,787,426 inhabitants at the 2011 census"),
]
QUERY = "How big is London?"
PASSAGES = [
    "London has 9,787,426 inhabitants at the 2011 census",
    "The capital of the river city was Paris.",
    "",
    "water, music; note. " * 60,
    "The capital of the river city was Paris.",
    "big green house",
    "London has 9,787,426 inhabitants at the 2011 census",
    "How big is London?",
]

IDENTITY, SIGMOID = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"
# The newest layout: a list of modules, with the activation beside it.
MODULAR = {
    "modules": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}
    ],
    "sentence_bert": {
        "transformer_task": "sequence-classification",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "scores",
    },
}
ROBERTA = {"model_type": "roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
DISTILBERT = {"model_type": "distilbert", "type_vocab_size": 0}

# What a folder differs in from the plainest model.
MODELS = {
    # As the MS MARCO cross-encoders are: one label, and the logit is the score. An odd number of tokens to share.
    "cross_bert": {"declared": {"sbert_ce_default_activation_function": IDENTITY}, "model_max_length": 32},
    # No declaration: several labels as they are. No limit but the position table.
    "cross_bert_labels": {
        "config": {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "num_hidden_layers": 1},
        "labels": ["contradiction", "entailment", "neutral"],
        "model_max_length": 1000000000000000019884624838656,
    },
    # No declaration: the sigmoid of one label.
    "cross_distilbert": {"config": DISTILBERT, "model_max_length": 24},
    "cross_distilbert_labels": {
        "config": DISTILBERT | {"hidden_act": "relu", "num_hidden_layers": 1},
        "labels": ["low", "middle", "high"],
        "declared": {"sentence_transformers": {"activation_fn": SIGMOID, "version": "4.0.1"}},
        "model_max_length": 33,
    },
    "cross_roberta": {
        "config": ROBERTA,
        "declared": {"sentence_transformers": {"activation_fn": IDENTITY, "version": "4.1.0"}},
        "model_max_length": 62,
    },
    "cross_roberta_labels": {
        "config": ROBERTA | {"num_hidden_layers": 1},
        "labels": ["no", "yes", "perhaps"],
        "declared": {"sbert_ce_default_activation_function": "torch.nn.Sigmoid"},
        "model_max_length": 31,
    },
    # The narrow tables of ELECTRA-small, and a lower-casing that the tokenizer does not do by itself.
    "cross_electra": {
        "config": {"model_type": "electra", "embedding_size": 20},
        "lowercase": False,
        "declared": {"sbert_ce_default_activation_function": SIGMOID},
        **MODULAR,
        "activation_fn": IDENTITY,
        "sentence_bert": MODULAR["sentence_bert"] | {"do_lower_case": True},
        "model_max_length": 64,
    },
    "cross_electra_labels": {
        "config": {"model_type": "electra", "embedding_size": 36, "num_hidden_layers": 1},
        "labels": ["a", "b", "c"],
        **MODULAR,
        "activation_fn": SIGMOID,
        "sentence_bert": MODULAR["sentence_bert"] | {"max_seq_length": 29},
        "model_max_length": 512,
    },
}

CLASSES = {"bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta", "electra": "Electra"}
# What each architecture calls the two matrices of its head.
HEADS = {
    "bert": ("bert.pooler.dense", "classifier"),
    "distilbert": ("pre_classifier", "classifier"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "electra": ("classifier.dense", "classifier.out_proj"),
}


def head(config, labels, seed):
    """Large enough that logits are some units apart, and that leaving the inner activation out would show."""
    random = np.random.default_rng(seed)
    width = config["hidden_size"]
    dense, classifier = HEADS[config["model_type"]]
    shapes = {
        f"{dense}.weight": ((width, width), 1.3 / width**0.5),
        f"{dense}.bias": ((width,), 0.3),
        f"{classifier}.weight": ((labels, width), 3.0 / width**0.5),
        f"{classifier}.bias": ((labels,), 0.5),
    }
    return {name: (random.standard_normal(shape) * scale).astype(np.float32) for name, (shape, scale) in shapes.items()}


def make(folder, seed, spec):
    own = spec.get("config", {})
    model_type = own.get("model_type", "bert")
    lowercase = spec.get("lowercase", True)
    if model_type == "roberta":
        tokens, tokenizer = byte_level_bpe()
    else:
        tokens = vocabulary()
        tokenizer = word_piece(tokens, lowercase)
    labels = spec.get("labels", ["LABEL_0"])
    config = {
        "architectures": [f"{CLASSES[model_type]}ForSequenceClassification"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 36,
        "intermediate_size": 56,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
        "model_type": model_type,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(tokens),
    } | own
    named = {
        "id2label": {str(at): label for at, label in enumerate(labels)},
        "label2id": {label: at for at, label in enumerate(labels)},
    }

    shutil.rmtree(folder, ignore_errors=True)
    dump(folder / "config.json", own_config(config) | named | spec.get("declared", {}))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, separators=(",", ":")) + "\n")
    kind = {"tokenizer": "byte-level BPE"} if model_type == "roberta" else {}
    dump(folder / "tokenizer_config.json", tokenizer_config(spec | kind, lowercase))
    if "modules" in spec:
        dump(folder / "modules.json", spec["modules"])
        dump(folder / "sentence_bert_config.json", spec["sentence_bert"])
        dump(
            folder / "config_sentence_transformers.json",
            {
                "__version__": {"sentence_transformers": "6.2.0", "transformers": "5.24.0", "pytorch": "2.15.0"},
                "activation_fn": spec["activation_fn"],
                "default_prompt_name": None,
                "model_type": "CrossEncoder",
                "prompts": {},
            },
        )
    prefix = f"{model_type}."
    encoder = {prefix + name: tensor for name, tensor in own_names(weights(config, seed), model_type).items()}
    tensors = encoder | head(config, len(labels), seed + 1000)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    loaded = model.model.state_dict()
    assert set(tensors) <= set(loaded), f"{folder.name}: the reference has no {set(tensors) - set(loaded)}"
    for name, tensor in tensors.items():
        assert np.array_equal(loaded[name].numpy(), tensor), f"{folder.name}: the reference did not load {name}"
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    scores = model.predict(PAIRS, show_progress_bar=False)
    assert logits.dtype == np.float32 and np.isfinite(logits).all() and model.num_labels == len(labels)
    inputs = [model[0].preprocess([list(pair)]) for pair in PAIRS]
    numbers = lambda rows: [[float(str(number)) for number in np.atleast_1d(row)] for row in rows]
    expected = {
        "made_with": {
            "sentence_transformers": sentence_transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        },
        "max_tokens": model.max_seq_length,
        "activation": type(model.activation_fn).__name__.lower(),
        "labels": labels,
        "token_ids": [features["input_ids"][0].tolist() for features in inputs],
        # Empty where the reference's model gets none.
        "token_types": [features["token_type_ids"][0].tolist() if "token_type_ids" in features else [] for features in inputs],
        "logits": numbers(logits),
        "scores": numbers(scores),
        "ranked": (
            [[hit["corpus_id"], float(str(np.float32(hit["score"])))] for hit in model.rank(QUERY, PASSAGES)]
            if len(labels) == 1
            else None
        ),
    }
    pieces = [f' "{key}": {json.dumps(value)}' for key, value in expected.items()]
    (folder / "expected.json").write_text("{\n" + ",\n".join(pieces) + "\n}\n")
    return logits


def main():
    torch.set_num_threads(1)
    dump(HERE / "pairs.json", {"pairs": PAIRS, "query": QUERY, "passages": PASSAGES})
    for seed, (name, spec) in enumerate(MODELS.items(), start=100):
        logits = make(HERE / name, seed, spec)
        print(f"{name}: {len(PAIRS)} pairs, logits from {logits.min():.2f} to {logits.max():.2f}", file=sys.stderr)


if __name__ == "__main__":
    main()
