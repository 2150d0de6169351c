//! One value of metadata that can be compared: a boolean, a number or a string, which may be a date.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[cfg(test)]
mod tests;

/// A value that filters compare and field indexes hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Atom<'a> {
    Bool(bool),
    Number(Number),
    Text(&'a str),
}

impl<'a> Atom<'a> {
    /// `None` for null, lists and objects.
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) => Some(Self::Number(Number::of(number))),
            Value::String(text) => Some(Self::Text(text)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A number of JSON in the order of numbers, whichever of `u64`, `i64` and `f64` it came as: `2^53 + 1` is greater than
/// `2^53` and than `2^53` as a float.
///
/// It is split into the greatest `f64` that is not above it, as bits that ascend with it, and what is left, which is
/// whole, and less than the 2048 that lie between two floats near `2^64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number {
    pub(crate) floor: u64,
    pub(crate) rest: u16,
}

impl Number {
    pub(crate) fn of(number: &serde_json::Number) -> Self {
        let whole = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
        match whole {
            Some(whole) => Self::whole(whole),
            // A number of JSON is one of the three.
            None => Self { floor: ascending(number.as_f64().unwrap_or_default()), rest: 0 },
        }
    }

    fn whole(whole: i128) -> Self {
        let nearest = whole as f64;
        let floor = if nearest as i128 > whole { nearest.next_down() } else { nearest };
        let rest = u16::try_from(whole - floor as i128).unwrap_or(u16::MAX);
        Self { floor: ascending(floor), rest }
    }
}

/// Bits that compare as the numbers do; both zeros give the same.
fn ascending(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// A span of time in nanoseconds since 1970 (UTC), without its end: a whole day, or one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: i128,
    pub(crate) end: i128,
}

const DAY: i128 = 86_400 * 1_000_000_000;

impl Span {
    /// What an RFC 3339 date (`2011-03-27`) or date and time (`2011-03-27T12:30:00+01:00`; UTC if there is no offset, a
    /// space may stand for the `T`) denotes; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Nearly every string that is no date ends here.
        let (date, time) = text.split_at_checked(10)?;
        if !matches!(date.as_bytes(), [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()))
        {
            return None;
        }
        let instant = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp_nanos);
        if time.is_empty() {
            let start = instant(&format!("{date}T00:00:00Z"))?;
            return Some(Self { start, end: start + DAY });
        }
        let time = time.strip_prefix(['T', 't', ' '])?;
        let start = instant(&format!("{date}T{time}")).or_else(|| instant(&format!("{date}T{time}Z")))?;
        Some(Self { start, end: start + 1 })
    }
}
