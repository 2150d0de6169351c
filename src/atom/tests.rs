//! Numbers and dates in the order of numbers and dates.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

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
