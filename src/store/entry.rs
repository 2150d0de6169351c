//! The keys of the field indexes: a field's number, a value, and a block of rows, as bytes that ascend as they do.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the field's number, big-endian |
//! | 1 | kind of entry ([`Entry`]) |
//! | | the value: boolean 1; number 10; date 16; string with 0 as 0 255, ended by 0 1; otherwise nothing |
//! | 8 | the block's number, big-endian |

use std::borrow::Cow;

use crate::atom::{Atom, Number, Span};

/// Strings of more bytes than this are not in an index themselves: it only says that the row has one.
pub(super) const MAX_TEXT: usize = 255;

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
pub(super) struct Key<'k> {
    pub(super) block: u64,
    value: &'k [u8],
    kind: u8,
}

impl<'k> Key<'k> {
    pub(super) fn parse(key: &'k [u8]) -> Option<Self> {
        let (head, block) = key.split_last_chunk::<8>()?;
        let (_, rest) = head.split_first_chunk::<4>()?;
        let (kind, value) = rest.split_first()?;
        Some(Self { block: u64::from_be_bytes(*block), value, kind: *kind })
    }

    /// The value that it is of, zeros as they were; `None` if it is cut off.
    pub(super) fn value(&self) -> Option<Cow<'k, [u8]>> {
        if self.kind != EntryKind::Text as u8 {
            return Some(Cow::Borrowed(self.value));
        }
        let (text, _) = self.value.split_last_chunk::<2>()?;
        if !text.contains(&0) {
            return Some(Cow::Borrowed(text));
        }
        let mut text = text.to_vec();
        let mut after_zero = false;
        text.retain(|byte| !std::mem::replace(&mut after_zero, *byte == 0));
        Some(Cow::Owned(text))
    }

    /// The boolean, number or string that it is of, whose [`value`](Self::value) is `value`.
    pub(super) fn atom<'v>(&self, value: &'v [u8]) -> Option<Atom<'v>> {
        match (self.kind, value) {
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
