//! Tests of pairs of texts against the reference's own crate, and of files and texts that mean harm.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::{NormalizerWrapper, TruncationParams, normalizers, truncate_encodings};

use crate::text::{PairTokenizer, Tokens};
use crate::{Error, ErrorKind};

const WORD_PIECE: &[u8] = include_bytes!("../../../tests/golden/cross_bert/tokenizer.json");
const CASED: &[u8] = include_bytes!("../../../tests/golden/cross_electra/tokenizer.json");
const BYTE_LEVEL: &[u8] = include_bytes!("../../../tests/golden/cross_roberta/tokenizer.json");

/// No fewer than either vocabulary has.
const VOCABULARY: usize = 1000;

fn tokenizer(json: &[u8], max_tokens: usize) -> PairTokenizer {
    PairTokenizer::new(json, max_tokens, false, VOCABULARY).unwrap()
}

/// The crate itself on both whole texts, with nothing of ours around it.
pub(super) fn reference(json: &[u8], max_tokens: usize, lowercase: bool) -> impl Fn(&str, &str) -> Tokens {
    let mut inner = tokenizers::Tokenizer::from_bytes(json).unwrap();
    inner.with_padding(None);
    inner.with_truncation(None).unwrap();
    if lowercase {
        let before = NormalizerWrapper::from(normalizers::Lowercase);
        let own = inner.get_normalizer().unwrap().clone();
        inner.with_normalizer(Some(normalizers::Sequence::new(vec![before, own]))).unwrap();
    }
    let room = max_tokens - inner.encode(("", ""), true).unwrap().len();
    let truncation = TruncationParams { max_length: room, ..TruncationParams::default() };
    move |first, second| {
        let [first, second] = [first, second].map(|text| inner.encode(text, false).unwrap());
        let (mut first, second) = truncate_encodings(first, Some(second), &truncation).unwrap();
        let mut second = second.unwrap();
        first.take_overflowing();
        second.take_overflowing();
        let encoding = inner.post_process(first, Some(second), true).unwrap();
        Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() }
    }
}

/// What sentence-transformers made of the pairs of a golden cross-encoder.
#[derive(Deserialize)]
struct Golden {
    max_tokens: usize,
    token_ids: Vec<Vec<u32>>,
    token_types: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Questions {
    pairs: Vec<(String, String)>,
}

#[test]
fn ids_and_types_equal_the_reference() {
    let Questions { pairs } = serde_json::from_str(include_str!("../../../tests/golden/pairs.json")).unwrap();
    let rows: [(&str, &[u8], bool); 3] = [
        (include_str!("../../../tests/golden/cross_bert/expected.json"), WORD_PIECE, false),
        (include_str!("../../../tests/golden/cross_electra/expected.json"), CASED, true),
        (include_str!("../../../tests/golden/cross_roberta/expected.json"), BYTE_LEVEL, false),
    ];
    for (expected, json, lowercase) in rows {
        let Golden { max_tokens, token_ids, token_types } = serde_json::from_str(expected).unwrap();
        let tokenizer = PairTokenizer::new(json, max_tokens, lowercase, VOCABULARY).unwrap();
        assert!(pairs.len() >= 25 && pairs.len() == token_ids.len());
        for ((first, second), (ids, types)) in pairs.iter().zip(token_ids.iter().zip(&token_types)) {
            let found = tokenizer.encode(first, second).unwrap();
            assert_eq!(found.ids, *ids, "{first:?} {second:?}");
            // RoBERTa's model gets no types.
            let zeros = vec![0; ids.len()];
            assert_eq!(
                found.type_ids,
                if types.is_empty() { &zeros } else { types }.as_slice(),
                "{first:?} {second:?}"
            );
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("the "),
        Just("a"),
        Just(" unreadable"),
        Just("9,787"),
        Just("[SEP]"),
        Just("</s>"),
        Just("<mask>"),
        Just("\u{4f60}\u{597d}"),
        Just("\u{1f600}"),
        Just("e\u{301}"),
        Just("\u{85}"),
        Just("\u{a0}"),
        Just("\u{3000}"),
        Just(" "),
        Just("   "),
        Just("\n\n"),
        Just("\t"),
        Just("'ll"),
        Just("."),
    ];
    // Long enough to go beyond what is looked at first, which is 24 bytes for each token of the maximum.
    let times = prop_oneof![4 => Just(1_usize), 2 => 1..30_usize, 1 => 30..300_usize];
    (proptest::collection::vec(pieces, 0..14), times).prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(800) })]

    /// The prefixes that are looked at have the tokens of the whole texts, and are cut where those would be.
    #[test]
    fn prefixes_have_the_tokens_of_the_whole(first in text(), second in text(), max_tokens in 5_usize..16) {
        for (json, lowercase) in [(WORD_PIECE, false), (CASED, true), (BYTE_LEVEL, false)] {
            let tokenizer = PairTokenizer::new(json, max_tokens, lowercase, VOCABULARY).unwrap();
            let found = tokenizer.encode(&first, &second).unwrap();
            prop_assert_eq!(found, reference(json, max_tokens, lowercase)(&first, &second));
        }
    }
}

/// Both texts go beyond what is looked at first, and the longer one gets the odd token.
#[test]
fn the_longer_text_gets_the_odd_token() {
    for (first, second) in [(4_000, 4_001), (4_001, 4_000), (4_000, 4_000), (40, 4_000), (4_000, 40)] {
        let (first, second) = ("of ".repeat(first), "to ".repeat(second));
        for max_tokens in [4, 5, 8, 9, 32, 33] {
            let found = tokenizer(WORD_PIECE, max_tokens).encode(&first, &second).unwrap();
            assert_eq!(found, reference(WORD_PIECE, max_tokens, false)(&first, &second));
            assert_eq!(found.ids.len(), max_tokens);
        }
    }
}

/// A text of 10 MB costs no more than its beginning, unless there is nothing in it.
#[test]
fn endless_texts() {
    let tokenizer = tokenizer(WORD_PIECE, 64);
    for (what, endless) in [
        ("words", "word ".repeat(2_000_000)),
        ("one word", "x".repeat(10_000_000)),
        ("spaces", " ".repeat(10_000_000)),
        ("ideographs", "\u{4f60}\u{597d}".repeat(1_700_000)),
    ] {
        let tokens = [tokenizer.encode(&endless, "end").unwrap(), tokenizer.encode("end", &endless).unwrap()];
        assert!(tokens.iter().all(|tokens| tokens.ids.len() <= 64), "{what}");
    }
}

fn refused(json: &[u8], max_tokens: usize, vocabulary: usize) -> Error {
    let error = PairTokenizer::new(json, max_tokens, false, vocabulary).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    error
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(WORD_PIECE).unwrap();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn what_is_refused() {
    assert!(refused(b"{", 32, VOCABULARY).to_string().contains("tokenizer.json"));
    for (json, special) in [(WORD_PIECE, 3), (BYTE_LEVEL, 4)] {
        for max_tokens in [0, 1, special] {
            let error = refused(json, max_tokens, VOCABULARY);
            assert!(error.to_string().contains(&format!("{special} special tokens")), "{error}");
        }
        assert_eq!(tokenizer(json, special + 1).encode("word word", "word").unwrap().ids.len(), special + 1);
        assert_eq!(tokenizer(json, 99).special_tokens(), special);
    }
    assert!(refused(WORD_PIECE, 32, 100).to_string().contains("100 word embeddings"));
    let beyond = changed(|json| json["post_processor"]["special_tokens"]["[SEP]"]["ids"] = json!([5000]));
    assert!(refused(&beyond, 32, VOCABULARY).to_string().contains("5000"));
    let none = changed(|json| json["post_processor"] = Value::Null);
    assert!(refused(&none, 32, VOCABULARY).to_string().contains("post_processor"));
    let single = changed(|json| json["post_processor"]["special_tokens"] = json!({}));
    refused(&single, 32, VOCABULARY);
}

/// Every pair has at least its special tokens, the blank ones too.
#[test]
fn blank_pairs() {
    for blank in ["", " ", "\t\r\n", "\u{85}\u{a0}", "\u{0}"] {
        let tokens = tokenizer(WORD_PIECE, 8).encode(blank, blank).unwrap();
        assert_eq!((tokens.ids, tokens.type_ids), (vec![2, 3, 3], vec![0, 0, 1]));
    }
}
