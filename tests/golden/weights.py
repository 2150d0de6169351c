"""Seeded weights of the golden models: BERT's names first, and what other architectures call the same tensors."""

import numpy as np


def weights(config, seed):
    """Large enough that attention is not uniform and every weight matters."""
    random = np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    table_width = config.get("embedding_size", width)
    tensors = {}

    def matrix(name, rows, columns, scale):
        tensors[name] = (random.standard_normal((rows, columns)) * scale).astype(np.float32)

    def vector(name, size, mean, scale):
        tensors[name] = (mean + random.standard_normal(size) * scale).astype(np.float32)

    def linear(name, rows, columns):
        matrix(f"{name}.weight", rows, columns, 1.3 / columns**0.5)
        vector(f"{name}.bias", rows, 0.0, 0.2)

    def norm(name, size=width):
        vector(f"{name}.weight", size, 1.0, 0.2)
        vector(f"{name}.bias", size, 0.0, 0.2)

    matrix("embeddings.word_embeddings.weight", config["vocab_size"], table_width, 0.8)
    matrix("embeddings.position_embeddings.weight", config["max_position_embeddings"], table_width, 0.4)
    if config["type_vocab_size"] > 0:
        matrix("embeddings.token_type_embeddings.weight", config["type_vocab_size"], table_width, 0.4)
    norm("embeddings.LayerNorm", table_width)
    if table_width != width:
        linear("embeddings_project", width, table_width)
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


DISTILBERT_PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def own_names(tensors, model_type):
    """The same tensors as the architecture calls them."""
    if model_type != "distilbert":
        return tensors
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("encoder.layer."):
            _, _, layer, rest = name.split(".", 3)
            part, kind = rest.rsplit(".", 1)
            name = f"transformer.layer.{layer}.{DISTILBERT_PARTS[part]}.{kind}"
        renamed[name] = tensor
    return renamed


def beside_the_encoder(config, prefix, seed):
    """What a checkpoint of a whole task has beside the encoder, for bi-encoders to leave alone."""
    random = np.random.default_rng(seed)
    width, rows = config["hidden_size"], config["vocab_size"]
    shapes = {
        "bert": {
            f"{prefix}pooler.dense.weight": (width, width),
            f"{prefix}pooler.dense.bias": (width,),
            "cls.predictions.bias": (rows,),
            "cls.predictions.transform.dense.bias": (width,),
        },
        "distilbert": {"vocab_layer_norm.bias": (width,), "vocab_projector.bias": (rows,)},
        "roberta": {"lm_head.bias": (rows,), "lm_head.dense.bias": (width,)},
        "electra": {"discriminator_predictions.dense.bias": (width,)},
    }[config["model_type"]]
    tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    position_ids = np.arange(config["max_position_embeddings"], dtype=np.int64)[None]
    return tensors | {f"{prefix}embeddings.position_ids": position_ids}
