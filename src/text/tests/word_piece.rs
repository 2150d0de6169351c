//! The fast way to BERT's tokens against the reference's own crate.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CASED, JSON, VOCABULARY, changed, pair, piece, reference, tokenizer};
use crate::text::{PairTokenizer, Tokenizer};

/// Anything that a keyboard for English types, white space of all kinds included.
const ASCII: &str = "[ -~\t\n\r]{0,40}";

/// Texts in which the special cases are frequent.
fn text() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![2 => ASCII.prop_map(String::from), 3 => piece(), 1 => "[a-z]{90,110}".prop_map(String::from)];
    let separator = prop_oneof![Just(" "), Just(""), Just("\n\t"), Just("-"), Just("[")];
    prop::collection::vec((part, separator), 0..12)
        .prop_map(|parts| parts.into_iter().map(|(part, separator)| part + separator).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tokens_equal_the_reference(text in text(), max_tokens in 3_usize..80, lowercase: bool) {
        for json in [JSON, CASED] {
            let tokenizer = Tokenizer::new(json, max_tokens, lowercase, VOCABULARY).unwrap();
            if let Some(fast) = tokenizer.encode_fast(&text) {
                prop_assert_eq!(fast, reference(json, max_tokens, lowercase)(&text));
            }
        }
    }

    #[test]
    fn tokens_of_pairs_equal_the_reference(first in text(), second in text(), max_tokens in 4_usize..80) {
        let tokenizer = PairTokenizer::new(JSON, max_tokens, false, VOCABULARY).unwrap();
        if let Some(fast) = tokenizer.encode_fast(&first, &second) {
            prop_assert_eq!(fast, pair::reference(JSON, max_tokens, false)(&first, &second));
        }
    }
}

/// The whole vocabulary of BERT: each of its pieces alone, joined with the next, and as a start of something else.
#[cfg(feature = "builtin")]
#[test]
fn tokens_equal_the_reference_over_the_whole_vocabulary() {
    let artifact = safetensors::SafeTensors::deserialize(marcato_builtin::ARTIFACT).unwrap();
    let json = artifact.tensor("file:tokenizer.json").unwrap().data();
    let tokenizer = Tokenizer::new(json, 256, false, 30522).unwrap();
    let reference = reference(json, 256, false);
    let vocabulary: Value = serde_json::from_slice(json).unwrap();
    let pieces: Vec<&str> = vocabulary["model"]["vocab"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut compared = 0;
    for window in pieces.windows(8).step_by(4) {
        let joined = window.iter().map(|piece| piece.trim_start_matches('#')).collect::<Vec<_>>();
        for text in [window.join(" "), joined.join(""), joined.join("q Z"), window.concat()] {
            if let Some(fast) = tokenizer.encode_fast(&text) {
                assert_eq!(fast, reference(&text), "{text:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "only {compared} texts took the fast way");
}

#[test]
fn ordinary_text_takes_the_fast_way_and_odd_text_does_not() {
    let pairs = PairTokenizer::new(JSON, 64, false, VOCABULARY).unwrap();
    let tokenizer = tokenizer(64);
    for text in ["", " ", "London has 9,787,426 inhabitants", "a\tb\r\nc", "[x]", "##ing", "CLS", "[ CLS]"] {
        assert!(tokenizer.encode_fast(text).is_some(), "{text:?}");
        assert!(pairs.encode_fast(text, text).is_some(), "{text:?}");
    }
    for text in ["Zürich", "a\0b", "a\u{7f}", "a\u{b}b", "[CLS]", "a[mask]b", "\u{feff}a", &"a ".repeat(10_000)] {
        assert_eq!(tokenizer.encode_fast(text), None, "{text:?}");
        assert_eq!(pairs.encode_fast("a", text), None, "{text:?}");
        assert_eq!(pairs.encode_fast(text, "a"), None, "{text:?}");
    }
}

#[test]
fn another_kind_of_tokenizer_is_left_to_the_crate() {
    let rows: [fn(&mut Value); 7] = [
        |json| json["normalizer"] = Value::Null,
        |json| json["normalizer"] = json!({"type": "Sequence", "normalizers": [json["normalizer"].clone()]}),
        |json| json["pre_tokenizer"] = json!({"type": "Whitespace"}),
        |json| json["model"]["unk_token"] = json!("[NONE]"),
        |json| json["added_tokens"][1]["content"] = json!("\u{c9}t\u{e9}"),
        |json| json["added_tokens"][1]["content"] = json!("two words"),
        |json| {
            json["model"]["type"] = json!("WordLevel");
            json["model"].as_object_mut().unwrap().remove("continuing_subword_prefix");
            json["model"].as_object_mut().unwrap().remove("max_input_chars_per_word");
        },
    ];
    for (row, change) in rows.into_iter().enumerate() {
        let json = changed(change);
        let tokenizer = Tokenizer::new(&json, 64, false, VOCABULARY + 10).unwrap();
        assert_eq!(tokenizer.encode_fast("london"), None, "row {row}");
        assert!(Tokenizer::new(JSON, 64, false, VOCABULARY).unwrap().encode_fast("london").is_some());
    }
}

/// What the file says of words and pieces is what counts, and not what BERT's says.
#[test]
fn the_file_decides() {
    let rows: [fn(&mut Value); 4] = [
        |_| (),
        |json| json["model"]["max_input_chars_per_word"] = json!(5),
        |json| json["model"]["continuing_subword_prefix"] = json!(""),
        |json| {
            json["post_processor"]["single"] =
                json!([{"SpecialToken": {"id": "[SEP]", "type_id": 1}}, {"Sequence": {"id": "A", "type_id": 1}}])
        },
    ];
    let text = "unreadable london! 2011 qqq";
    let mut seen = Vec::new();
    for change in rows {
        let json = changed(change);
        let fast = Tokenizer::new(&json, 64, false, VOCABULARY).unwrap().encode_fast(text).unwrap();
        assert_eq!(fast, reference(&json, 64, false)(text));
        assert!(!seen.contains(&fast), "the change makes no difference");
        seen.push(fast);
    }
}
