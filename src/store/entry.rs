//! The keys of the field indexes: a field's number, a value, and a block of rows, as bytes that ascend as they do.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the field's number, big-endian |
//! | 1 | kind of entry ([`Entry`]) |
//! | | the value: boolean 1; number 10; date 16; string with 0 as 0 255, ended by 0 1; otherwise nothing |
//! | 8 | the block's number, big-endian |

use crate::atom::{Atom, Number, Span};

/// Strings of more bytes than this are not in an index themselves: it only says that the row has one.
const MAX_TEXT: usize = 255;

/// What a row can be found under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry<'a> {
    /// The field is there, with anything but null.
    Present,
    Bool(bool),
    Number(Number),
    /// Nanoseconds since 1970, beside the string that says it.
    Date(i128),
    Text(&'a str),
    /// A string that is too long to be a key.
    LongText,
}

/// One kind of entry, which are neighbours in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    Present = 1,
    Bool = 2,
    Number = 3,
    Date = 4,
    Text = 5,
    LongText = 6,
}

impl<'a> Entry<'a> {
    /// What `atom` is found under, besides [`Present`](Self::Present).
    pub(crate) fn of(atom: Atom<'a>) -> impl Iterator<Item = Self> {
        let (entry, date) = match atom {
            Atom::Bool(value) => (Self::Bool(value), None),
            Atom::Number(number) => (Self::Number(number), None),
            Atom::Text(text) => (Self::of_text(text), Span::parse(text).map(|span| Self::Date(span.start))),
        };
        std::iter::once(entry).chain(date)
    }

    pub(crate) fn of_text(text: &'a str) -> Self {
        if text.len() > MAX_TEXT { Self::LongText } else { Self::Text(text) }
    }

    pub(crate) fn kind(&self) -> EntryKind {
        match self {
            Self::Present => EntryKind::Present,
            Self::Bool(_) => EntryKind::Bool,
            Self::Number(_) => EntryKind::Number,
            Self::Date(_) => EntryKind::Date,
            Self::Text(_) => EntryKind::Text,
            Self::LongText => EntryKind::LongText,
        }
    }

    /// The beginning that the keys of all its blocks share, and no other entry's.
    pub(crate) fn prefix(&self, field: u32) -> Vec<u8> {
        let mut key = self.kind().prefix(field);
        match self {
            Self::Present | Self::LongText => {}
            Self::Bool(value) => key.push(u8::from(*value)),
            Self::Number(number) => {
                key.extend(number.floor.to_be_bytes());
                key.extend(number.rest.to_be_bytes());
            }
            Self::Date(nanoseconds) => key.extend((nanoseconds.cast_unsigned() ^ 1 << 127).to_be_bytes()),
            Self::Text(text) => {
                for byte in text.bytes() {
                    key.push(byte);
                    if byte == 0 {
                        key.push(u8::MAX);
                    }
                }
                key.extend([0, 1]);
            }
        }
        key
    }

    pub(super) fn key(&self, field: u32, block: u64) -> Vec<u8> {
        let mut key = self.prefix(field);
        key.extend(block.to_be_bytes());
        key
    }
}

impl EntryKind {
    /// The beginning that the keys of this kind share, and no others.
    pub(crate) fn prefix(self, field: u32) -> Vec<u8> {
        let mut key = field.to_be_bytes().to_vec();
        key.push(self as u8);
        key
    }
}

/// A key taken apart.
pub(super) struct Key {
    pub(super) block: u64,
    value: Vec<u8>,
    kind: u8,
}

impl Key {
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        let (head, block) = key.split_last_chunk::<8>()?;
        let (_, rest) = head.split_first_chunk::<4>()?;
        let (kind, value) = rest.split_first()?;
        let mut value = value.to_vec();
        if *kind == EntryKind::Text as u8 {
            value.truncate(value.len().checked_sub(2)?);
            let mut after_zero = false;
            value.retain(|byte| !std::mem::replace(&mut after_zero, *byte == 0));
        }
        Some(Self { block: u64::from_be_bytes(*block), value, kind: *kind })
    }

    /// The boolean, number or string that it is of.
    pub(super) fn atom(&self) -> Option<Atom<'_>> {
        match (self.kind, self.value.as_slice()) {
            (2, [value]) => Some(Atom::Bool(*value != 0)),
            (3, number) => {
                let (floor, rest) = number.split_first_chunk::<8>()?;
                let rest = u16::from_be_bytes(rest.try_into().ok()?);
                Some(Atom::Number(Number { floor: u64::from_be_bytes(*floor), rest }))
            }
            (5, text) => std::str::from_utf8(text).ok().map(Atom::Text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Number> {
        let json = prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            (-1e18..1e18f64).prop_map(serde_json::Value::from)
        ];
        json.prop_map(|json| Number::of(json.as_number().unwrap()))
    }

    proptest! {
        #[test]
        fn keys_ascend_with_texts_and_come_back(a in "[a\\x00\\x01é\u{ff}]{0,4}", b in "[a\\x00\\x01é\u{ff}]{0,4}", block in 0..1u64 << 48, other in 0..1u64 << 48) {
            let (first, second) = (Entry::Text(&a).key(7, block), Entry::Text(&b).key(7, other));
            prop_assert_eq!(first.cmp(&second), a.cmp(&b).then(block.cmp(&other)));
            prop_assert_eq!(first.starts_with(&Entry::Text(&b).prefix(7)), a == b);
            let key = Key::parse(&first).unwrap();
            prop_assert_eq!((key.atom(), key.block), (Some(Atom::Text(&a)), block));
        }

        #[test]
        fn keys_ascend_with_numbers_and_dates(a in number(), b in number(), c in any::<i64>(), d in any::<i64>(), block in 0..1u64 << 48) {
            let (first, second) = (Entry::Number(a).key(7, block), Entry::Number(b).key(7, block));
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
            let key = Key::parse(&first).unwrap();
            prop_assert_eq!(key.atom(), Some(Atom::Number(a)));
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
}
