//! The golden models against sentence-transformers, and proof that the comparison can fail.

use serde_json::json;

use super::{difference, open};
use crate::bi_encoder::{BackendKind, BiEncoder, Encoder};
use crate::model::tests::fixture::{Change, Expected, Fixture, GOLDEN, Variant, golden_path};

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

/// Every pooling, module and activation, on each backend that has the activation.
#[test]
fn variants_equal_the_reference() {
    let texts = Expected::of("mean").texts;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let variants = Variant::all();
    assert!(variants.len() >= 25);
    for (name, variant) in &variants {
        let placed = variant.fixture().place();
        for backend in [BackendKind::Cpu, BackendKind::Candle] {
            let encoder = match BiEncoder::options().threads(1).backend(backend).open(&placed.path) {
                Err(error) if ["silu", "tanh", "sigmoid", "linear"].contains(&name.as_str()) => {
                    assert!(backend == BackendKind::Candle && error.to_string().contains(name), "{name}: {error}");
                    continue;
                }
                opened => opened.unwrap(),
            };
            let passages = difference(&encoder.encode_passages(&texts).unwrap(), &variant.passages);
            let queries = variant.queries.as_ref().unwrap_or(&variant.passages);
            let queries = difference(&encoder.encode_queries(&texts).unwrap(), queries);
            println!("{name} on {backend:?}: passages {passages:.1e}, queries {queries:.1e}");
            assert!(passages <= TOLERANCE, "{name} on {backend:?}: passages are {passages} from the reference");
            assert!(queries <= TOLERANCE, "{name} on {backend:?}: queries are {queries} from the reference");
            assert_eq!(encoder.info().dimension, variant.passages[0].len(), "{name}");
        }
    }
}

/// Older versions keep the encoder in a folder of its own.
#[test]
fn a_transformer_in_its_folder_is_the_same() {
    let placed = Fixture::golden("mean").place();
    let folder = placed.path.join("0_Transformer");
    std::fs::create_dir(&folder).unwrap();
    for file in
        ["config.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "model.safetensors"]
    {
        std::fs::rename(placed.path.join(file), folder.join(file)).unwrap();
    }
    let list = std::fs::read_to_string(placed.path.join("modules.json")).unwrap();
    let moved = list.replacen("\"path\": \"\"", "\"path\": \"0_Transformer\"", 1).replacen(
        "\"path\":\"\"",
        "\"path\":\"0_Transformer\"",
        1,
    );
    std::fs::write(placed.path.join("modules.json"), moved).unwrap();
    let (found, plain) = (open(&placed.path), open(&golden_path("mean")));
    assert_eq!(found.info().fingerprint, plain.info().fingerprint);
    assert_eq!(found.encode_passages(&["a text"]).unwrap(), plain.encode_passages(&["a text"]).unwrap());
}

/// What each variant is there for shows in its vectors: no two of one model are alike.
#[test]
fn no_variant_equals_another() {
    let variants = Variant::all();
    for (name, variant) in &variants {
        for (other_name, other) in variants.range(name.clone()..).skip(1) {
            let same_width = variant.passages[0].len() == other.passages[0].len();
            let found: Vec<_> =
                variant.passages.iter().map(|row| crate::Embedding::new(row.clone()).unwrap()).collect();
            // The tanh GELU by its names, and the one mode that is both alone and in a list.
            let alike = name.starts_with("gelu_") && other_name.starts_with("gelu_")
                || (name.as_str(), other_name.as_str()) == ("list of one", "weightedmean");
            if same_width && !alike {
                assert!(difference(&found, &other.passages) > 10.0 * TOLERANCE, "{name} and {other_name}");
            }
        }
    }
}

/// `encode` of the reference: the default prompt, or one by name.
#[test]
fn prompts_by_name() {
    for name in ["newest", "gelu_new"] {
        let expected = Expected::of(name);
        let encoder = open(&golden_path(name));
        let default = expected.default.as_ref().unwrap();
        let found = |prompt_name| encoder.encode(&expected.texts(), prompt_name).unwrap();
        let own = encoder.info().default_prompt_name.clone().unwrap();
        assert!(difference(&found(None), default) <= TOLERANCE, "{name}");
        assert!(difference(&found(Some(&own)), default) <= TOLERANCE, "{name}");
        assert!(difference(&encoder.encode_passages(&expected.texts()).unwrap(), default) > 10.0 * TOLERANCE);
        let error = encoder.encode(&["text"], Some("nothing")).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Misuse);
        assert!(error.to_string().contains("nothing") && error.to_string().contains(&own), "{error}");
    }
    assert!(open(&golden_path("mean")).encode(&["text"], Some("document")).is_ok(), "a name that needs no prompt");
    let newest = open(&golden_path("newest"));
    let expected = Expected::of("newest");
    assert!(difference(&newest.encode(&expected.texts(), Some("query")).unwrap(), &expected.queries) <= TOLERANCE);
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
        name: "RoBERTa's positions from the first row",
        golden: "roberta",
        change: |model| model.numbers("embeddings.position_embeddings.weight", |w| w.rotate_right(36)),
    },
    Control {
        name: "RoBERTa's padding by another id",
        golden: "roberta",
        change: |model| {
            // The table keeps its size; positions begin a row later.
            model.set("config.json", "pad_token_id", 2);
            model.set("sentence_bert_config.json", "max_seq_length", 61);
        },
    },
    Control {
        name: "one weight of a DistilBERT",
        golden: "distilbert",
        change: |model| model.numbers("transformer.layer.1.attention.q_lin.weight", |w| w[7] += 0.05),
    },
    Control {
        name: "one weight of ELECTRA's projection",
        golden: "electra_narrow",
        change: |model| model.numbers("embeddings_project.weight", |w| w[7] += 0.05),
    },
    Control {
        name: "the prompt pooled with the text",
        golden: "newest",
        change: |model| model.set("1_Pooling/config.json", "include_prompt", true),
    },
    Control {
        name: "modes in another order",
        golden: "newest",
        change: |model| model.set("1_Pooling/config.json", "pooling_mode", json!(["cls", "mean"])),
    },
    Control {
        name: "a Dense with another function",
        golden: "newest",
        change: |model| model.set("2_Dense/config.json", "activation_function", "torch.nn.modules.linear.Identity"),
    },
    Control {
        name: "no LayerNorm",
        golden: "newest",
        change: |model| model.edit("modules.json", |modules| drop(modules.as_array_mut().unwrap().remove(3))),
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
