//! One value of metadata that can be compared: a boolean, a number or a string, which may be a date.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn number(value: impl Into<Value>) -> Number {
        match Atom::of(&value.into()) {
            Some(Atom::Number(number)) => number,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn numbers_compare_exactly_across_their_types() {
        let ascending = [
            number(f64::MIN),
            number(i64::MIN),
            number(i64::MIN + 1),
            number(-1.5),
            number(-1),
            number(-f64::from_bits(1)),
            number(0),
            number(f64::from_bits(1)),
            number(1),
            number((1u64 << 53) - 1),
            number(1u64 << 53),
            number((1u64 << 53) + 1),
            number((1u64 << 53) + 2),
            number(i64::MAX),
            number(1u64 << 63),
            number(u64::MAX - 1),
            number(u64::MAX),
            number(2f64.powi(64)),
            number(f64::MAX),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
        for (same, twin) in [
            (number(2), number(2.0)),
            (number(0.0), number(-0.0)),
            (number(-3i64), number(-3.0)),
            (number(1u64 << 53), number(2f64.powi(53))),
            (number(i64::MIN), number(-(2f64.powi(63)))),
        ] {
            assert_eq!(same, twin);
        }
    }

    /// The order of an integer and a float by integer arithmetic alone.
    fn compare(whole: i128, float: f64) -> Ordering {
        if float.abs() >= 2f64.powi(100) {
            return 0.0.partial_cmp(&float).unwrap();
        }
        let floor = float.floor();
        whole.cmp(&(floor as i128)).then(if floor < float { Ordering::Less } else { Ordering::Equal })
    }

    proptest! {
        #[test]
        fn numbers_have_the_order_of_numbers(a in any::<i64>(), b in any::<u64>(), near in -4i32..4, float in any::<f64>()) {
            prop_assert_eq!(number(a).cmp(&number(b)), i128::from(a).cmp(&i128::from(b)));
            for float in [float, a as f64, b as f64, (b as f64) + f64::from(near) / 2.0] {
                prop_assume!(float.is_finite());
                prop_assert_eq!(number(a).cmp(&number(float)), compare(i128::from(a), float));
                prop_assert_eq!(number(b).cmp(&number(float)), compare(i128::from(b), float));
                prop_assert_eq!(number(float).cmp(&number(1.5)), float.partial_cmp(&1.5).unwrap());
            }
        }
    }

    #[test]
    fn dates_are_days_or_instants() {
        let day = Span::parse("1970-01-02").unwrap();
        assert_eq!((day.start, day.end), (DAY, 2 * DAY));
        for instant in [
            "1970-01-02T00:00:00Z",
            "1970-01-02T00:00:00",
            "1970-01-02 00:00:00.000z",
            "1970-01-02t01:00:00+01:00",
            "1970-01-01T23:00:00-01:00",
        ] {
            let span = Span::parse(instant).unwrap();
            assert_eq!((span.start, span.end), (DAY, DAY + 1), "{instant}");
        }
        assert_eq!(Span::parse("2011-03-27T00:00:00.000000001Z").unwrap().start % 10, 1);
        assert!(Span::parse("2012-02-29").is_some());
        for no_date in [
            "",
            "2011",
            "2011-03",
            "2011-3-27",
            "2011-02-29",
            "2011-13-01",
            "2011-03-27x",
            "2011-03-27T25:00:00Z",
            "2011-03-27T",
            "éééééééééé",
            "20111-03-27",
        ] {
            assert_eq!(Span::parse(no_date), None, "{no_date}");
        }
    }
}
