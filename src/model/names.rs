//! The table of architectures: what each calls the tensors of the canonical encoder, whose names are BERT's, and the
//! keys of its configuration.

use super::config::EncoderConfig;
use crate::error::{Error, Result};

/// A family of checkpoints with its own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// BERT, and with it MiniLM and TinyBERT.
    Bert,
    DistilBert,
    Roberta,
    Electra,
}

/// A row of the table.
pub(super) struct Names {
    pub(super) model_type: &'static str,
    /// Heads on top of the encoder save it under this prefix; the plain encoder saves it under none.
    pub(super) prefix: &'static str,
    /// What comes before a layer's number.
    layer: &'static str,
    /// The parts of a layer that have another name than BERT's, BERT's first.
    parts: &'static [(&'static str, &'static str)],
    /// How the tensors begin, the prefix taken off, that an encoder does not run: buffers, and heads of every task.
    unused: &'static [&'static str],
    pub(super) keys: ConfigKeys,
    /// Whether the tokenizer's token types reach the encoder; else every token is of the first type, if there are any.
    pub(super) reads_token_types: bool,
    /// Whether positions are counted from the one after `pad_token_id`, without tokens of that id.
    pub(super) skips_padding: bool,
    /// Whether the tables may be narrower than the layers (`embedding_size`).
    pub(super) projects_embeddings: bool,
}

/// What `config.json` calls the numbers that differ in name.
pub(super) struct ConfigKeys {
    pub(super) width: &'static str,
    pub(super) layers: &'static str,
    pub(super) heads: &'static str,
    pub(super) feed_forward: &'static str,
    pub(super) activation: &'static str,
    /// Absent where it is always 1e-12.
    pub(super) norm_eps: Option<&'static str>,
    /// Absent where there is no such table.
    pub(super) token_types: Option<&'static str>,
    /// Keys of this architecture alone that no vector depends on.
    pub(super) without_effect: &'static [&'static str],
}

const BERT: Names = Names {
    model_type: "bert",
    prefix: "bert.",
    layer: "encoder.layer.",
    parts: &[],
    unused: &["embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "cls.", "classifier.", "qa_outputs."],
    keys: ConfigKeys {
        width: "hidden_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        feed_forward: "intermediate_size",
        activation: "hidden_act",
        norm_eps: Some("layer_norm_eps"),
        token_types: Some("type_vocab_size"),
        without_effect: &[],
    },
    reads_token_types: true,
    skips_padding: false,
    projects_embeddings: false,
};

const DISTILBERT: Names = Names {
    model_type: "distilbert",
    prefix: "distilbert.",
    layer: "transformer.layer.",
    parts: &[
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    ],
    unused: &[
        "embeddings.position_ids",
        "vocab_transform.",
        "vocab_layer_norm.",
        "vocab_projector.",
        "pre_classifier.",
        "classifier.",
        "qa_outputs.",
    ],
    keys: ConfigKeys {
        width: "dim",
        layers: "n_layers",
        heads: "n_heads",
        feed_forward: "hidden_dim",
        activation: "activation",
        norm_eps: None,
        token_types: None,
        without_effect: &[
            "attention_dropout",
            "dropout",
            "qa_dropout",
            "seq_classif_dropout",
            // How the position table began; the checkpoint holds what became of it.
            "sinusoidal_pos_embds",
            "tie_weights_",
        ],
    },
    reads_token_types: false,
    skips_padding: false,
    projects_embeddings: false,
};

const ROBERTA: Names = Names {
    model_type: "roberta",
    prefix: "roberta.",
    unused: &[
        "embeddings.position_ids",
        "embeddings.token_type_ids",
        "pooler.",
        "lm_head.",
        "classifier.",
        "qa_outputs.",
    ],
    reads_token_types: false,
    skips_padding: true,
    ..BERT
};

const ELECTRA: Names = Names {
    model_type: "electra",
    prefix: "electra.",
    unused: &[
        "embeddings.position_ids",
        "embeddings.token_type_ids",
        "discriminator_predictions.",
        "generator_predictions.",
        "generator_lm_head.",
        "classifier.",
        "sequence_summary.",
        "qa_outputs.",
    ],
    keys: ConfigKeys {
        without_effect: &["summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj"],
        ..BERT.keys
    },
    projects_embeddings: true,
    ..BERT
};

impl Architecture {
    const ALL: [Self; 4] = [Self::Bert, Self::DistilBert, Self::Roberta, Self::Electra];

    /// From `model_type` in `config.json`.
    pub(super) fn parse(model_type: Option<&str>) -> Result<Self> {
        let model_type = model_type.ok_or_else(|| Error::model("config.json lacks \"model_type\""))?;
        Self::ALL.into_iter().find(|architecture| architecture.name() == model_type).ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Error::model(format!(
                "config.json: \"model_type\": \"{model_type}\" is not supported; {all} are (MiniLM and TinyBERT are of type bert)"
            ))
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        self.names().model_type
    }

    /// Whether the token types of its inputs matter.
    pub(crate) const fn reads_token_types(self) -> bool {
        self.names().reads_token_types
    }

    pub(super) const fn names(self) -> &'static Names {
        match self {
            Self::Bert => &BERT,
            Self::DistilBert => &DISTILBERT,
            Self::Roberta => &ROBERTA,
            Self::Electra => &ELECTRA,
        }
    }
}

impl Names {
    /// What a checkpoint calls a tensor of the canonical encoder, without the prefix.
    pub(super) fn of(&self, canonical: &str) -> String {
        let part = canonical.strip_prefix(BERT.layer).and_then(|rest| {
            let (layer, rest) = rest.split_once('.')?;
            let (part, kind) = rest.rsplit_once('.')?;
            let own = self.parts.iter().find(|(bert, _)| *bert == part).map_or(part, |(_, own)| own);
            Some(format!("{}{layer}.{own}.{kind}", self.layer))
        });
        part.unwrap_or_else(|| canonical.to_owned())
    }

    /// Whether a tensor (prefix taken off) belongs to something that an encoder does not run.
    pub(super) fn is_unused(&self, name: &str) -> bool {
        self.unused.iter().any(|unused| name == *unused || unused.ends_with('.') && name.starts_with(unused))
    }
}

/// A tensor of the canonical encoder: its name and shape, and whether an artifact keeps it in s8.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) quantized: bool,
    /// Rows that a checkpoint has before the first of these.
    pub(super) skipped: usize,
}

impl Slot {
    /// One that an artifact keeps in full, and all of whose rows are used.
    pub(super) const fn full(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, quantized: false, skipped: 0 }
    }
}

/// Every tensor that the canonical encoder of this shape has.
pub(super) fn slots(config: &EncoderConfig) -> Vec<Slot> {
    let (width, feed_forward, table_width) = (config.width, config.feed_forward, config.embedding_width);
    let mut slots = Vec::new();
    let mut slot = |name: String, shape: &[usize], quantized| {
        slots.push(Slot { name, shape: shape.to_vec(), quantized, skipped: 0 })
    };
    slot("embeddings.word_embeddings.weight".into(), &[config.vocabulary, table_width], true);
    slot(POSITIONS.into(), &[config.position_rows(), table_width], false);
    if config.token_types > 0 {
        slot("embeddings.token_type_embeddings.weight".into(), &[config.token_types, table_width], false);
    }
    slot("embeddings.LayerNorm.weight".into(), &[table_width], false);
    slot("embeddings.LayerNorm.bias".into(), &[table_width], false);
    if table_width != width {
        // Small, and the first thing that a short text goes through: worth its full numbers.
        slot("embeddings_project.weight".into(), &[width, table_width], false);
        slot("embeddings_project.bias".into(), &[width], false);
    }
    for layer in 0..config.layers {
        let matrices = [
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", feed_forward, width),
            ("output.dense", width, feed_forward),
        ];
        for (name, rows, columns) in matrices {
            slot(format!("encoder.layer.{layer}.{name}.weight"), &[rows, columns], true);
            slot(format!("encoder.layer.{layer}.{name}.bias"), &[rows], false);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            slot(format!("encoder.layer.{layer}.{name}.weight"), &[width], false);
            slot(format!("encoder.layer.{layer}.{name}.bias"), &[width], false);
        }
    }
    let skipped = config.padding.and_then(|padding| usize::try_from(padding).ok()).unwrap_or_default();
    slots.iter_mut().filter(|slot| slot.name == POSITIONS).for_each(|slot| slot.skipped = skipped);
    slots
}

const POSITIONS: &str = "embeddings.position_embeddings.weight";
