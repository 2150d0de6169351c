//! Tests of the tokenizer against the reference's own crate, and against files and texts that mean harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod pair;
mod word_piece;

use std::time::Instant;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::{NormalizerWrapper, TruncationParams, normalizers};

use super::{Tokenizer, Tokens};
use crate::{Error, ErrorKind};

/// What a row of a table does to a tokenizer's file.
type Change = fn(&mut Value);

const JSON: &[u8] = include_bytes!("../../tests/golden/mean/tokenizer.json");
const CASED: &[u8] = include_bytes!("../../tests/golden/prompts/tokenizer.json");
/// Byte-level BPE, to which white space matters.
const BYTES: &[u8] = include_bytes!("../../tests/golden/roberta/tokenizer.json");
const VOCABULARY: usize = 203;
const CLS: u32 = 2;
const SEP: u32 = 3;

fn tokenizer(max_tokens: usize) -> Tokenizer {
    Tokenizer::new(JSON, max_tokens, false, VOCABULARY).unwrap()
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(JSON).unwrap();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

/// The crate itself on the whole text, with nothing of ours around it.
fn reference(json: &[u8], max_tokens: usize, lowercase: bool) -> impl Fn(&str) -> Tokens {
    let mut inner = tokenizers::Tokenizer::from_bytes(json).unwrap();
    inner.with_padding(None);
    let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
    inner.with_truncation(Some(truncation)).unwrap();
    if lowercase {
        let before = NormalizerWrapper::from(normalizers::Lowercase);
        let own = inner.get_normalizer().unwrap().clone();
        inner.with_normalizer(Some(normalizers::Sequence::new(vec![before, own]))).unwrap();
    }
    move |text| {
        let encoding = inner.encode(text, true).unwrap();
        Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() }
    }
}

/// The bytes of a golden model's tokenizer, its own lower-casing, and what sentence-transformers made of its texts.
#[derive(Deserialize)]
struct Golden {
    max_tokens: usize,
    texts: Vec<String>,
    token_ids: Vec<Vec<u32>>,
}

#[test]
fn ids_equal_the_reference() {
    let rows: [(&str, &[u8], bool); 4] = [
        (include_str!("../../tests/golden/mean/expected.json"), JSON, false),
        (include_str!("../../tests/golden/cls/expected.json"), JSON, false),
        (include_str!("../../tests/golden/prompts/expected.json"), CASED, true),
        (include_str!("../../tests/golden/roberta/expected.json"), BYTES, false),
    ];
    for (expected, json, lowercase) in rows {
        let Golden { max_tokens, texts, token_ids } = serde_json::from_str(expected).unwrap();
        let tokenizer = Tokenizer::new(json, max_tokens, lowercase, 1000).unwrap();
        assert!(texts.len() >= 25 && texts.len() == token_ids.len());
        for (text, ids) in texts.iter().zip(&token_ids) {
            let found = tokenizer.encode(text).unwrap();
            assert_eq!(found.ids, *ids, "{text:?}");
            assert_eq!(found.type_ids, vec![0; ids.len()], "{text:?}");
        }
    }
}

/// Our files bake in 8 tokens, as all-MiniLM-L6-v2's bakes in 128; others bake in worse.
#[test]
fn truncation_and_padding_of_the_file_are_overridden() {
    let long = "word ".repeat(100);
    let plain = tokenizer(32);
    assert_eq!(plain.encode("a").unwrap().ids.len(), 3);
    assert_eq!(plain.encode(&long).unwrap().ids.len(), 32);
    let padding = |strategy: Value, direction: &str| {
        json!({"strategy": strategy, "direction": direction, "pad_to_multiple_of": 7, "pad_id": 0, "pad_type_id": 1,
            "pad_token": "[PAD]"})
    };
    let truncation = |max: u64, direction: &str, stride: u64| json!({"max_length": max, "strategy": "OnlyFirst", "direction": direction, "stride": stride});
    let rows = [
        (Value::Null, Value::Null),
        (truncation(20, "Left", 5), padding(json!("BatchLongest"), "Left")),
        (truncation(1_000_000, "Right", 0), padding(json!({"Fixed": 40_000_000}), "Right")),
        (truncation(8, "Right", 0), padding(json!({"Fixed": u64::MAX}), "Right")),
        // A stride beyond the maximum, and no room for special tokens: the crate panics on its own.
        (truncation(8, "Right", 9), Value::Null),
        (truncation(1, "Right", 0), Value::Null),
    ];
    for (truncation, padding) in rows {
        let json = changed(|json| {
            json["truncation"] = truncation.clone();
            json["padding"] = padding.clone();
        });
        let tokenizer = Tokenizer::new(&json, 32, false, VOCABULARY).unwrap();
        for text in ["a", &long, "London has 9,787,426 inhabitants"] {
            assert_eq!(tokenizer.encode(text).unwrap(), plain.encode(text).unwrap(), "{truncation} {padding}");
        }
    }
}

#[test]
fn texts_are_cut_from_the_right_and_keep_their_special_tokens() {
    for max_tokens in [3, 4, 9, 64] {
        let ids = tokenizer(max_tokens).encode(&"london is big. ".repeat(50)).unwrap().ids;
        assert_eq!(ids.len(), max_tokens);
        assert_eq!((ids[0], ids[max_tokens - 1]), (CLS, SEP));
        assert!(tokenizer(64).encode(&"london is big. ".repeat(50)).unwrap().ids.starts_with(&ids[..max_tokens - 1]));
    }
}

fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "london",
        "unreadable",
        "9,787",
        "[CLS]",
        "[SEP]x",
        "[cls]",
        "##ing",
        "\u{4f60}\u{597d}",
        "\u{1f600}",
        "e\u{301}",
        "\u{39f}\u{3a3}",
        "\u{130}",
        "\u{200d}",
        "\u{0}",
        "\u{ad}",
        "\u{fffd}",
        "...",
        "don't",
        "\u{202e}",
    ];
    let spaces = [
        " ", "  ", "\t", "\n", "\r\n", "\u{b}", "\u{c}", "\u{1c}", "\u{85}", "\u{a0}", "\u{1680}", "\u{2003}",
        "\u{2028}", "\u{3000}", "\u{200b}", "\u{feff}", "\u{180e}", "     ",
    ];
    prop_oneof![
        4 => "[a-zA-Z0-9]{1,12}",
        1 => "[a-z]{90,130}",
        1 => "\\PC{1,6}",
        3 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        4 => proptest::sample::select(spaces.to_vec()).prop_map(str::to_owned),
    ]
}

/// Far beyond the first look, which is 24 bytes per token.
fn text() -> impl Strategy<Value = String> {
    (proptest::collection::vec(piece(), 0..60), 1_usize..40).prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    /// The prefix that is looked at has the tokens of the whole text.
    #[test]
    fn a_prefix_has_the_tokens_of_the_whole(text in text(), max_tokens in 3_usize..12, lowercase in any::<bool>()) {
        let json = if lowercase { CASED } else { JSON };
        let found = Tokenizer::new(json, max_tokens, lowercase, VOCABULARY).unwrap().encode(&text).unwrap();
        prop_assert_eq!(found, reference(json, max_tokens, lowercase)(&text));
    }

    #[test]
    fn a_prefix_has_the_bytes_of_the_whole(text in text(), gap in " {0,30}", max_tokens in 3_usize..12) {
        let text = text.replace("london", &format!("{gap}london{gap}"));
        let found = Tokenizer::new(BYTES, max_tokens, false, 1000).unwrap().encode(&text).unwrap();
        prop_assert_eq!(found, reference(BYTES, max_tokens, false)(&text));
    }

    #[test]
    fn white_space_around_a_text_is_nothing(text in text(), before in "[ \t\n\u{85}\u{a0}\u{3000}\u{1c}]{0,9}") {
        let tokenizer = tokenizer(16);
        let around = format!("{before}{text}{before}");
        prop_assert_eq!(tokenizer.encode(&around).unwrap(), tokenizer.encode(&text).unwrap());
    }
}

/// White space that the normalizer drops joins words; a cut there would make two of them.
#[test]
fn words_around_dropped_characters_are_not_cut() {
    for joint in ["\u{85}", "\u{200b}", "\u{0}", "\u{1c}", "\u{feff}"] {
        let text = format!("{} end", ["un", "read", "able"].join(joint).repeat(20));
        for max_tokens in [3, 5, 8] {
            assert_eq!(
                tokenizer(max_tokens).encode(&text).unwrap(),
                reference(JSON, max_tokens, false)(&text),
                "{joint:?}"
            );
        }
    }
}

/// A text of 10 MB costs no more than one of a megabyte, and an ordinary one no more than its beginning.
#[test]
fn endless_texts() {
    let tokenizer = tokenizer(256);
    let start = Instant::now();
    let words = tokenizer.encode(&"word ".repeat(2_000_000)).unwrap();
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?} for words", start.elapsed());
    assert_eq!(words, tokenizer.encode(&"word ".repeat(300)).unwrap());
    let start = Instant::now();
    let rows = [
        ("one word", "x".repeat(10_000_000), 3),
        ("ideographs", "\u{4f60}\u{597d}".repeat(1_700_000), 256),
        ("punctuation", ".,".repeat(5_000_000), 256),
        ("nothing but spaces", " ".repeat(10_000_000), 2),
        ("a word after spaces", format!("{}a", " ".repeat(10_000_000)), 3),
        ("controls", "\u{85}".repeat(5_000_000), 2),
    ];
    for (what, text, tokens) in rows {
        assert_eq!(tokenizer.encode(&text).unwrap().ids.len(), tokens, "{what}");
    }
    // About 3 s on a machine of 2025: an alarm for the square of it, not a measurement.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

fn refused(json: &[u8], what: &str) -> Error {
    let error = Tokenizer::new(json, 32, false, VOCABULARY).err().unwrap_or_else(|| panic!("{what} must be refused"));
    assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
    assert!(error.to_string().contains("token"), "{what}: {error}");
    error
}

#[test]
fn files_that_are_malformed() {
    for json in ["", "{", "{}", "[]", "7", "null", "{\"model\": {}}", "not json"] {
        assert!(refused(json.as_bytes(), json).to_string().contains("tokenizer.json"));
    }
    refused(&JSON[..JSON.len() / 2], "half a file");
    refused(b"\xff\xfe", "no UTF-8");
    refused(&"[".repeat(1_000_000).into_bytes(), "a million brackets");
    let rows: Vec<(&str, Change)> = vec![
        ("no model", |json| drop(json.as_object_mut().unwrap().remove("model"))),
        ("an unknown model", |json| json["model"]["type"] = json!("Wonder")),
        ("an unknown normalizer", |json| json["normalizer"] = json!({"type": "Wonder"})),
        ("an unknown version", |json| json["version"] = json!("9.0")),
        ("a negative id", |json| json["model"]["vocab"]["london"] = json!(-1)),
    ];
    for (what, change) in rows {
        refused(&changed(change), what);
    }
}

/// Files that make the crate panic (`research/reliability.md` 5.1), at once or on the first text: an error, each time.
#[test]
fn files_that_make_the_crate_panic() {
    let template = |ids: Value| move |json: &mut Value| json["post_processor"]["special_tokens"] = ids;
    let bpe = |merges: Value| {
        move |json: &mut Value| {
            json["model"] = json!({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": merges});
        }
    };
    type Change = Box<dyn FnOnce(&mut Value)>;
    let rows: Vec<(&str, Change)> = vec![
        ("a template without its tokens", Box::new(template(json!({})))),
        ("a merge that is in no vocabulary", Box::new(bpe(json!(["ab ababab"])))),
        ("a merge of nothing", Box::new(bpe(json!([" "])))),
        ("pieces of length zero", Box::new(|json| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}))),
        (
            "a charsmap that is none",
            Box::new(|json| {
                json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
            }),
        ),
        (
            "a charsmap that lies",
            Box::new(|json| {
                json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="});
            }),
        ),
        ("no unknown token", Box::new(|json| json["model"]["unk_token"] = json!("[GONE]"))),
        (
            "a pattern that cannot be read",
            Box::new(|json| {
                json["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated",
                "invert": false});
            }),
        ),
    ];
    for (what, change) in rows {
        let opened = Tokenizer::new(&changed(change), 32, false, VOCABULARY);
        let result = opened.and_then(|tokenizer| tokenizer.encode("a text \u{4e16} of words"));
        let error = result.err().unwrap_or_else(|| panic!("{what} must be refused"));
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
    }
}

#[test]
fn ids_beyond_the_word_table() {
    for vocabulary in [1, 100, VOCABULARY - 1] {
        let error = Tokenizer::new(JSON, 32, false, vocabulary).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains(&format!("{vocabulary} word embeddings")), "{error}");
    }
    assert!(Tokenizer::new(JSON, 32, false, VOCABULARY + 9).is_ok(), "a table may have rows to spare");
    let rows: Vec<(&str, Change)> = vec![
        ("4294967295", |json| json["model"]["vocab"]["london"] = json!(u32::MAX)),
        // The crate counts on where an added token is new, whatever its id.
        ("203", |json| {
            let mut token = json["added_tokens"][0].clone();
            token["content"] = json!("[NEW]");
            token["id"] = json!(4_000_000_000_u32);
            json["added_tokens"].as_array_mut().unwrap().push(token);
        }),
        ("4000000001", |json| json["post_processor"]["special_tokens"]["[SEP]"]["ids"] = json!([4_000_000_001_u32])),
    ];
    for (id, change) in rows {
        let error = refused(&changed(change), id);
        assert!(error.to_string().contains(id), "{error}");
    }
}

/// Every text has at least one token, the blank ones too.
#[test]
fn a_tokenizer_without_special_tokens() {
    for post_processor in [Value::Null, json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false})] {
        let error = refused(&changed(|json| json["post_processor"] = post_processor), "no special tokens");
        assert!(error.to_string().contains("post_processor"), "{error}");
    }
    for blank in ["", " ", "\t\r\n", "\u{85}\u{a0}", "\u{0}"] {
        assert_eq!(tokenizer(3).encode(blank).unwrap().ids, [CLS, SEP]);
    }
}

#[test]
fn a_maximum_without_room() {
    let crowded = changed(|json| {
        let sep = json!({"SpecialToken": {"id": "[SEP]", "type_id": 0}});
        (0..3).for_each(|_| json["post_processor"]["single"].as_array_mut().unwrap().push(sep.clone()));
    });
    for (json, special, maximum) in [(JSON, 2, 2), (JSON, 2, 1), (JSON, 2, 0), (&crowded[..], 5, 5), (&crowded, 5, 3)] {
        let error = Tokenizer::new(json, maximum, false, VOCABULARY).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains(&format!("{special} special tokens")), "{error}");
    }
    assert_eq!(Tokenizer::new(&crowded, 6, false, VOCABULARY).unwrap().encode("word word").unwrap().ids.len(), 6);
}
