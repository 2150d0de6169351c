//! Tests of filters: their text, their meaning, and what is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod meaning;
mod text;

use proptest::prelude::*;

use super::{Filter, FilterValue};
use crate::field::Field;

/// Filters of every form over a few fields and values, so that they meet what passages have.
pub(crate) fn any_filter() -> impl Strategy<Value = Filter> {
    let value = || {
        prop_oneof![
            any::<bool>().prop_map(FilterValue::from),
            (-3..4i64).prop_map(FilterValue::from),
            prop_oneof![Just(0.5), Just(-1.0), Just(1e300), Just(-0.0)].prop_map(FilterValue::from),
            "[ab]{0,2}".prop_map(FilterValue::from),
            any::<String>().prop_map(FilterValue::from),
            prop_oneof![Just("2011-03-27"), Just("2011-03-28T00:00:00Z"), Just("2012-01-01")]
                .prop_map(|date| FilterValue::date(date).unwrap()),
        ]
    };
    let field = prop_oneof![
        4 => prop_oneof![Just("a"), Just("b"), Just("b.c"), Just("tag"), Just("title"), Just("id")].prop_map(Field::from),
        1 => proptest::collection::vec(any::<String>(), 1..3).prop_map(Field::path),
    ];
    let test =
        (field, 0..9, value(), proptest::collection::vec(value(), 0..4)).prop_map(|(field, kind, value, values)| {
            let orders = !["true", "false"].contains(&value.to_string().as_str());
            match kind {
                0 => field.eq(value),
                1 => field.ne(value),
                2 if orders => field.lt(value),
                3 if orders => field.le(value),
                4 if orders => field.gt(value),
                5 if orders => field.ge(value),
                6 => field.is_in(values),
                7 => field.contains(value),
                _ => field.exists(),
            }
        });
    test.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Filter::all),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Filter::any),
            inner.prop_map(|filter| !filter),
        ]
    })
}
