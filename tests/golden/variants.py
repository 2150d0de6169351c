"""Models that differ from a golden one in some files: every pooling, module and activation, without its weights again.

`variants.json` has a line for each: the model that it begins with, the files that replace that model's (JSON, or the
name of a file in `parts/`), and the reference's vectors.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from reference import MADE_WITH, load, numbers, vectors

WIDTH = 36


def parts(folder):
    """The weights of modules."""
    random = np.random.default_rng(4242)
    numbers = lambda scale, *shape: (random.standard_normal(shape) * scale).astype(np.float32)
    dense = lambda rows, columns: {"linear.weight": numbers(1.5 / columns**0.5, rows, columns)}
    bias = lambda size: {"linear.bias": numbers(0.3, size)}
    norm = lambda size: {"norm.weight": 1 + numbers(0.2, size), "norm.bias": numbers(0.2, size)}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, tensors in {
        "dense_20": dense(20, WIDTH) | bias(20),
        "dense_36": dense(WIDTH, WIDTH) | bias(WIDTH),
        "dense_20_without_bias": dense(20, WIDTH),
        "dense_50_from_72": dense(50, 2 * WIDTH) | bias(50),
        "norm_20": norm(20),
        "norm_36": norm(WIDTH),
    }.items():
        safetensors.numpy.save_file(tensors, folder / f"{name}.safetensors", metadata={"format": "pt"})
        (folder / f"{name}.safetensors").chmod(0o644)


MODES = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]


def pooling(*modes, **more):
    """As versions before 5.3 write it."""
    flags = {f"pooling_mode_{mode}": mode in modes for mode in MODES}
    return {"1_Pooling/config.json": {"word_embedding_dimension": WIDTH} | flags | more}


def newer_pooling(mode, **more):
    return {"1_Pooling/config.json": {"embedding_dimension": WIDTH, "pooling_mode": mode, "include_prompt": True} | more}


def modules(*after):
    """A Transformer, a Pooling and what comes after them: pairs of a kind and its files by name."""
    listed = [("Transformer", {}), ("Pooling", {}), *after]
    files = {}
    entries = []
    for at, (kind, own) in enumerate(listed):
        path = "" if kind == "Transformer" else f"{at}_{kind}"
        entries.append({"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"})
        files |= {f"{path}/{name}": content for name, content in own.items()}
    return {"modules.json": entries} | files


def dense(part, inputs, outputs, activation, **more):
    config = {"in_features": inputs, "out_features": outputs, "bias": True}
    config["activation_function"] = f"torch.nn.modules.{activation}"
    return "Dense", {"config.json": config | more, "model.safetensors": part}


def norm(part, size):
    return "LayerNorm", {"config.json": {"dimension": size}, "model.safetensors": part}


NORMALIZE = ("Normalize", {})
TANH, IDENTITY = "activation.Tanh", "linear.Identity"


def activation(name):
    return {"config.json": {"hidden_act": name}}


# Name: the model that it begins with, and what is other.
VARIANTS = {
    "max": ("relu", pooling("max_tokens")),
    "mean_sqrt_len": ("relu", pooling("mean_sqrt_len_tokens")),
    "weightedmean": ("relu", pooling("weightedmean_tokens")),
    "lasttoken": ("relu", pooling("lasttoken")),
    # The order of the flags is not that of the file.
    "three flags": ("relu", pooling("mean_tokens", "cls_token", "max_tokens")),
    "list": ("relu", newer_pooling(["mean", "lasttoken", "cls"])),
    "list of one": ("relu", newer_pooling(["weightedmean"])),
    "without the prompt": ("prompts", newer_pooling(["mean", "cls", "max"], include_prompt=False)),
    "without the prompt, by position": ("prompts", newer_pooling(["weightedmean", "lasttoken"], include_prompt=False)),
    "without the prompt, flags": ("prompts", pooling("mean_sqrt_len_tokens", include_prompt=False)),
    "Dense": ("relu", modules(dense("dense_20", WIDTH, 20, TANH))),
    "Dense without bias": ("relu", modules(dense("dense_20_without_bias", WIDTH, 20, IDENTITY, bias=False))),
    "Dense GELU": ("relu", modules(dense("dense_20", WIDTH, 20, "activation.GELU"))),
    "Dense ReLU": ("relu", modules(dense("dense_20", WIDTH, 20, "activation.ReLU"))),
    "Dense Sigmoid": ("relu", modules(dense("dense_20", WIDTH, 20, "activation.Sigmoid"))),
    "Dense SiLU": ("relu", modules(dense("dense_20", WIDTH, 20, "activation.SiLU"))),
    "LayerNorm": ("relu", modules(norm("norm_36", WIDTH))),
    # As msmarco-roberta-base-ance-firstp has it, a lower-cased RoBERTa.
    "ance": (
        "roberta",
        modules(dense("dense_36", WIDTH, WIDTH, IDENTITY), norm("norm_36", WIDTH))
        | pooling("cls_token")
        | {"sentence_bert_config.json": {"max_seq_length": 62, "do_lower_case": True}},
    ),
    "Normalize in the middle": ("relu", modules(NORMALIZE, dense("dense_20", WIDTH, 20, TANH))),
    "chain": (
        "relu",
        modules(dense("dense_36", WIDTH, WIDTH, TANH), dense("dense_20", WIDTH, 20, IDENTITY), norm("norm_20", 20), NORMALIZE),
    ),
    "concatenation to Dense": (
        "relu",
        modules(dense("dense_50_from_72", 2 * WIDTH, 50, TANH), NORMALIZE) | pooling("cls_token", "mean_tokens"),
    ),
    "silu": ("relu", activation("silu")),
    "tanh": ("relu", activation("tanh")),
    "sigmoid": ("relu", activation("sigmoid")),
    "linear": ("relu", activation("linear")),
    "gelu_fast": ("relu", activation("gelu_fast")),
    "gelu_accurate": ("relu", activation("gelu_accurate")),
    "gelu_python_tanh": ("relu", activation("gelu_python_tanh")),
    "DistilBERT relu": ("distilbert", {"config.json": {"activation": "relu"}}),
}


def place(base, files, parts_folder, folder):
    """The variant as a directory. A configuration's keys are added to those of the model that it begins with."""
    shutil.copytree(base, folder)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, str):
            shutil.copyfile(parts_folder / f"{content}.safetensors", path)
        elif name == "config.json":
            path.write_text(json.dumps(json.loads(path.read_text()) | content))
        else:
            path.write_text(json.dumps(content))


def record(root, path):
    lines = [f' "made_with": {json.dumps(MADE_WITH)}']
    parts(root / "parts")
    for name, (base, files) in VARIANTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            place(root / base, files, root / "parts", folder)
            found = {kind: numbers(rows) for kind, rows in vectors(load(folder)).items()}
        if found["queries"] == found["passages"]:
            del found["queries"]
        line = {"base": base, "files": files} | found
        lines.append(f" {json.dumps(name)}: {json.dumps(line)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
