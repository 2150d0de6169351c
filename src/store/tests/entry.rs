//! Keys of the field indexes ascend as the values do.

use proptest::prelude::*;

use super::super::entry::{Entry, EntryKind, Key, MAX_TEXT};
use crate::atom::{Atom, Number};

fn number() -> impl Strategy<Value = Number> {
    let json =
        prop_oneof![any::<i64>().prop_map(serde_json::Value::from), (-1e18..1e18f64).prop_map(serde_json::Value::from)];
    json.prop_map(|json| Number::of(json.as_number().unwrap()))
}

proptest! {
    #[test]
    fn keys_ascend_with_texts_and_come_back(a in "[a\\x00\\x01é\u{ff}]{0,4}", b in "[a\\x00\\x01é\u{ff}]{0,4}", block in 0..1u64 << 48, other in 0..1u64 << 48) {
        let (first, second) = (Entry::Text(&a).key(7, block), Entry::Text(&b).key(7, other));
        prop_assert_eq!(first.cmp(&second), a.cmp(&b).then(block.cmp(&other)));
        prop_assert_eq!(first.starts_with(&Entry::Text(&b).prefix(7)), a == b);
        let key = Key::parse(&first).unwrap();
        let value = key.value().unwrap();
        prop_assert_eq!((key.atom(&value), key.block), (Some(Atom::Text(&a)), block));
    }

    #[test]
    fn keys_ascend_with_numbers_and_dates(a in number(), b in number(), c in any::<i64>(), d in any::<i64>(), block in 0..1u64 << 48) {
        let (first, second) = (Entry::Number(a).key(7, block), Entry::Number(b).key(7, block));
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        let key = Key::parse(&first).unwrap();
        let value = key.value().unwrap();
        prop_assert_eq!(key.atom(&value), Some(Atom::Number(a)));
        let (c, d) = (i128::from(c), i128::from(d));
        prop_assert_eq!(Entry::Date(c).prefix(7).cmp(&Entry::Date(d).prefix(7)), c.cmp(&d));
    }
}

#[test]
fn a_string_is_found_as_itself_as_a_date_or_as_long() {
    let of = |text: &str| Entry::of(Atom::Text(text)).map(|entry| entry.kind()).collect::<Vec<_>>();
    assert_eq!(of("a"), [EntryKind::Text]);
    assert_eq!(of("2011-03-27"), [EntryKind::Text, EntryKind::Date]);
    assert_eq!(of(&"a".repeat(MAX_TEXT)), [EntryKind::Text]);
    assert_eq!(of(&"a".repeat(MAX_TEXT + 1)), [EntryKind::LongText]);
}
