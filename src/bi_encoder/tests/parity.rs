//! The golden models against sentence-transformers, and proof that the comparison can fail.

use serde_json::json;

use super::{difference, open};
use crate::BackendKind;
use crate::bi_encoder::{BiEncoder, Encoder};
use crate::model::tests::fixture::{Change, Expected, Fixture, GOLDEN, golden_path};

/// What the f32 path promises.
const TOLERANCE: f32 = 1e-5;

/// The larger of the differences of passages and queries.
fn difference_to_reference(fixture: &Fixture, expected: &Expected) -> f32 {
    let encoder = open(&fixture.place().path);
    let texts = expected.texts();
    let passages = difference(&encoder.encode_passages(&texts).unwrap(), &expected.passages);
    passages.max(difference(&encoder.encode_queries(&texts).unwrap(), &expected.queries))
}

#[test]
fn vectors_equal_the_reference() {
    for name in GOLDEN {
        let expected = Expected::of(name);
        assert!(expected.texts.len() >= 25);
        for backend in [BackendKind::Cpu, BackendKind::Candle] {
            let encoder = BiEncoder::options().threads(1).backend(backend).open(golden_path(name)).unwrap();
            let texts = expected.texts();
            let passages = difference(&encoder.encode_passages(&texts).unwrap(), &expected.passages);
            let queries = difference(&encoder.encode_queries(&texts).unwrap(), &expected.queries);
            println!("{name} on {backend:?}: passages {passages:.1e}, queries {queries:.1e}");
            assert!(passages <= TOLERANCE, "{name} on {backend:?}: passages are {passages} from the reference");
            assert!(queries <= TOLERANCE, "{name} on {backend:?}: queries are {queries} from the reference");
            assert_eq!(encoder.info().max_tokens, expected.max_tokens, "{name}");
            assert_eq!(encoder.similarity().name(), expected.similarity, "{name}");
        }
    }
}

#[test]
fn prompts_reach_the_vectors() {
    let expected = Expected::of("prompts");
    assert_ne!(expected.passages, expected.queries);
    let encoder = open(&golden_path("prompts"));
    assert!(difference(&encoder.encode_passages(&expected.texts()).unwrap(), &expected.queries) > TOLERANCE);
    assert!(difference(&encoder.encode_queries(&expected.texts()).unwrap(), &expected.passages) > TOLERANCE);
}

/// A change of the model that must show in its vectors.
struct Control {
    name: &'static str,
    golden: &'static str,
    change: Change,
}

/// Each row breaks one thing that a careless reader of models gets wrong.
const CONTROLS: &[Control] = &[
    Control {
        name: "one weight of a matrix",
        golden: "mean",
        change: |model| model.numbers("encoder.layer.1.attention.self.query.weight", |w| w[7] += 0.05),
    },
    Control {
        name: "one bias",
        golden: "cls",
        change: |model| model.numbers("encoder.layer.0.output.dense.bias", |w| w[3] += 0.01),
    },
    Control {
        name: "one number of [SEP]'s embedding",
        golden: "prefixed",
        change: |model| model.numbers("bert.embeddings.word_embeddings.weight", |w| w[3 * 36] += 0.01),
    },
    Control {
        name: "other pooling",
        golden: "mean",
        change: |model| {
            model.set("1_Pooling/config.json", "pooling_mode_mean_tokens", false);
            model.set("1_Pooling/config.json", "pooling_mode_cls_token", true);
        },
    },
    Control {
        name: "position table shifted by one row",
        golden: "mean",
        change: |model| model.numbers("embeddings.position_embeddings.weight", |w| w.rotate_left(36)),
    },
    Control {
        name: "the other row of the token types",
        golden: "relu",
        change: |model| model.numbers("embeddings.token_type_embeddings.weight", |w| w.rotate_left(36)),
    },
    Control {
        name: "tanh GELU instead of the exact one",
        golden: "mean",
        change: |model| model.set("config.json", "hidden_act", "gelu_new"),
    },
    Control {
        name: "exact GELU instead of tanh",
        golden: "gelu_new",
        change: |model| model.set("config.json", "hidden_act", "gelu"),
    },
    Control {
        name: "another epsilon",
        golden: "relu",
        change: |model| model.set("config.json", "layer_norm_eps", 1e-12),
    },
    Control {
        name: "other heads",
        golden: "prefixed",
        change: |model| model.set("config.json", "num_attention_heads", 12),
    },
    Control {
        name: "a final Normalize taken away",
        golden: "mean",
        change: |model| model.edit("modules.json", |modules| drop(modules.as_array_mut().unwrap().pop())),
    },
    Control {
        name: "no lower-casing",
        golden: "prompts",
        change: |model| model.set("sentence_bert_config.json", "do_lower_case", false),
    },
    Control {
        name: "no prompts",
        golden: "prompts",
        change: |model| model.set("config_sentence_transformers.json", "prompts", json!({})),
    },
    Control {
        name: "a shorter maximum",
        golden: "gelu_new",
        change: |model| model.set("sentence_bert_config.json", "max_seq_length", 63),
    },
];

#[test]
fn a_changed_model_does_not_equal_the_reference() {
    for Control { name, golden, change } in CONTROLS {
        let mut fixture = Fixture::golden(golden);
        let expected = Expected::of(golden);
        assert!(difference_to_reference(&fixture, &expected) <= TOLERANCE, "{golden}: unchanged");
        change(&mut fixture);
        let found = difference_to_reference(&fixture, &expected);
        assert!(found > 10.0 * TOLERANCE, "{golden}: {name} moves no vector by more than {found}");
    }
}
