//! The golden cross-encoders against sentence-transformers, and proof that the comparison can fail.

use super::{Expected, GOLDEN, Questions, TOLERANCE, difference, logits, open};
use crate::BackendKind;
use crate::cross_encoder::{CrossEncoder, ScoreActivation};
use crate::model::tests::fixture::{Change, Fixture, golden_path};

#[test]
fn scores_equal_the_reference() {
    let questions = Questions::read();
    let pairs = questions.pairs();
    assert!(pairs.len() >= 25);
    for golden in GOLDEN {
        let expected = Expected::of(golden);
        for backend in [BackendKind::Cpu, BackendKind::Candle] {
            let options = CrossEncoder::options().threads(1).backend(backend);
            let model = options.clone().open(golden_path(golden)).unwrap();
            let info = model.info();
            assert_eq!((info.max_tokens, &info.labels), (expected.max_tokens, &expected.labels), "{golden}");
            assert_eq!(info.activation.name(), expected.activation, "{golden}");
            let scores = difference(&model.score_labels(&pairs).unwrap(), &expected.scores);
            let model = options.activation(ScoreActivation::Identity).open(golden_path(golden)).unwrap();
            let logits = difference(&model.score_labels(&pairs).unwrap(), &expected.logits);
            println!("{golden} on {backend:?}: scores {scores:.1e}, logits {logits:.1e}");
            assert!(scores <= TOLERANCE, "{golden} on {backend:?}: scores are {scores} from the reference");
            assert!(logits <= TOLERANCE, "{golden} on {backend:?}: logits are {logits} from the reference");
        }
    }
}

#[test]
fn rankings_equal_the_reference() {
    let questions = Questions::read();
    for golden in GOLDEN {
        let Some(expected) = Expected::of(golden).ranked else { continue };
        let model = open(&golden_path(golden));
        for top_k in [0, 1, 3, expected.len(), usize::MAX] {
            let ranked = model.rank(&questions.query, &questions.passages, top_k).unwrap();
            assert_eq!(ranked.len(), top_k.min(expected.len()), "{golden}");
            for (found, (index, score)) in ranked.iter().zip(&expected) {
                assert_eq!(found.index, *index, "{golden}");
                assert!((found.score - score).abs() <= TOLERANCE * score.abs().max(1.0), "{golden}");
            }
        }
    }
}

/// Passages 0 and 6, and 1 and 4, are the same text: the earlier one comes first.
#[test]
fn equal_scores_keep_their_order() {
    let Questions { query, passages, .. } = Questions::read();
    let ranked = open(&golden_path("cross_bert")).rank(&query, &passages, usize::MAX).unwrap();
    let place = |index| ranked.iter().position(|ranked| ranked.index == index).unwrap();
    for (first, second) in [(0, 6), (1, 4)] {
        assert_eq!(passages[first], passages[second]);
        assert_eq!(place(second), place(first) + 1);
        assert_eq!(ranked[place(first)].score.to_bits(), ranked[place(second)].score.to_bits());
    }
}

/// A change of the model that must show in its scores.
struct Control {
    name: &'static str,
    golden: &'static str,
    change: Change,
}

/// Each row breaks one thing that a careless reader of models gets wrong.
const CONTROLS: &[Control] = &[
    Control {
        name: "one weight of the head's first matrix",
        golden: "cross_bert",
        change: |model| model.numbers("bert.pooler.dense.weight", |w| w[7] += 0.05),
    },
    Control {
        name: "one weight of the head's second matrix",
        golden: "cross_roberta_labels",
        change: |model| model.numbers("classifier.out_proj.weight", |w| w[40] += 0.05),
    },
    Control {
        name: "one bias of the head",
        golden: "cross_distilbert",
        change: |model| model.numbers("pre_classifier.bias", |w| w[1] += 0.05),
    },
    Control {
        name: "one weight of the encoder",
        golden: "cross_electra",
        change: |model| model.numbers("electra.encoder.layer.1.attention.self.value.weight", |w| w[7] += 0.05),
    },
    Control {
        name: "labels in another order",
        golden: "cross_electra_labels",
        change: |model| model.numbers("classifier.out_proj.weight", |w| w.rotate_left(36)),
    },
    Control {
        name: "the token types of a pair swapped",
        golden: "cross_bert",
        change: |model| {
            model.numbers("bert.embeddings.token_type_embeddings.weight", |w| w.rotate_left(36));
        },
    },
    Control {
        name: "no separator between the texts",
        golden: "cross_bert_labels",
        change: |model| {
            model.edit("tokenizer.json", |json| {
                json["post_processor"]["pair"].as_array_mut().unwrap().remove(2);
            });
        },
    },
    Control {
        name: "no lower-casing",
        golden: "cross_electra",
        change: |model| model.set("sentence_bert_config.json", "do_lower_case", false),
    },
    Control {
        name: "a shorter maximum",
        golden: "cross_roberta",
        change: |model| model.set("tokenizer_config.json", "model_max_length", 61),
    },
];

#[test]
fn a_changed_model_does_not_equal_the_reference() {
    let questions = Questions::read();
    for Control { name, golden, change } in CONTROLS {
        let mut fixture = Fixture::golden(golden);
        let expected = Expected::of(golden).logits;
        let found = |fixture: &Fixture| difference(&logits(&fixture.place().path, &questions.pairs()), &expected);
        assert!(found(&fixture) <= TOLERANCE, "{golden}: unchanged");
        change(&mut fixture);
        let changed = found(&fixture);
        assert!(changed > 10.0 * TOLERANCE, "{golden}: {name} moves no score by more than {changed}");
    }
}

#[test]
fn swapped_texts_and_activations_do_not_equal_the_reference() {
    let questions = Questions::read();
    let swapped: Vec<(&str, &str)> = questions.pairs().into_iter().map(|(query, passage)| (passage, query)).collect();
    for golden in GOLDEN {
        let expected = Expected::of(golden);
        let found = difference(&logits(&golden_path(golden), &swapped), &expected.logits);
        assert!(found > 10.0 * TOLERANCE, "{golden}: swapped texts move no score by more than {found}");
        let other = match expected.activation.as_str() {
            "identity" => ScoreActivation::Sigmoid,
            _ => ScoreActivation::Identity,
        };
        let model = CrossEncoder::options().threads(1).activation(other).open(golden_path(golden)).unwrap();
        let found = difference(&model.score_labels(&questions.pairs()).unwrap(), &expected.scores);
        assert!(found > 10.0 * TOLERANCE, "{golden}: {} moves no score by more than {found}", other.name());
    }
}
