//! Options that cannot be met, and models that open but ask for what they do not have.

use serde_json::json;

use super::open;
use crate::bi_encoder::{BiEncoder, Encoder};
use crate::model::tests::fixture::{Expected, Fixture, golden_path, names};
use crate::{ErrorKind, Similarity};

#[test]
fn options_that_cannot_be_met() {
    let mean = golden_path("mean");
    for options in [BiEncoder::options().threads(0), BiEncoder::options().batch_tokens(0)] {
        assert_eq!(options.open(&mean).unwrap_err().kind(), ErrorKind::Misuse);
    }
    let error = BiEncoder::open(golden_path("gone")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(names(&error, "gone"), "{error}");
}

#[test]
fn what_a_model_says_about_itself() {
    let mean = open(&golden_path("mean"));
    let info = mean.info();
    assert_eq!((info.name.as_str(), info.architecture.as_str(), info.pooling.as_str()), ("mean", "bert", "mean"));
    assert_eq!((info.layers, info.dimension, info.max_tokens), (2, 36, 32));
    assert!(info.normalized && info.drift.is_none() && info.licence.is_none());
    let numbers: usize = Fixture::golden("mean").tensors.values().map(|raw| raw.bytes.len() / 4).sum();
    assert_eq!(info.parameters, numbers);
    assert_eq!((mean.dimension(), mean.max_tokens(), mean.name()), (36, 32, "mean"));
    assert_eq!(mean.fingerprint(), info.fingerprint);
    let cls = open(&golden_path("cls"));
    assert_eq!((cls.info().pooling.as_str(), cls.info().normalized), ("cls", false));
    assert_eq!(cls.similarity(), Similarity::Dot);
}

#[test]
fn unit_length_where_the_model_normalizes() {
    for golden in ["mean", "gelu_new", "prefixed"] {
        let expected = Expected::of(golden);
        for vector in open(&golden_path(golden)).encode_passages(&expected.texts()).unwrap() {
            let norm: f64 = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
            assert!((norm - 1.0).abs() < 1e-6, "{golden}: {norm}");
        }
    }
}

/// A tokenizer's file can be at odds with the weights; an error, at the latest with the first text.
#[test]
fn tokens_that_the_model_does_not_have() {
    let mut types = Fixture::golden("mean");
    types.edit("tokenizer.json", |json| json["post_processor"]["single"][2]["SpecialToken"]["type_id"] = json!(7));
    let mut larger = Fixture::golden("mean");
    larger.edit("tokenizer.json", |json| json["model"]["vocab"]["london"] = json!(203));
    for (what, fixture) in [("a seventh type of token", types), ("an id beyond the table", larger)] {
        let placed = fixture.place();
        let result = BiEncoder::open(&placed.path).and_then(|encoder| encoder.encode_passages(&["text"]));
        let error = result.err().unwrap_or_else(|| panic!("{what} must be refused"));
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
    }
}

/// Finite weights can still overflow on the way; what is not finite must not leave the encoder.
#[test]
fn vectors_that_are_not_finite_are_an_error() {
    let mut fixture = Fixture::golden("relu");
    fixture.numbers("encoder.layer.0.output.LayerNorm.weight", |numbers| numbers.fill(f32::MAX));
    let placed = fixture.place();
    assert!(open(&placed.path).encode_passages(&["water"]).is_err());
}
