//! What a filter means: whether it holds of one passage.

use std::cmp::Ordering;

use super::value::{FilterValue, Literal};
use super::{Comparison, Expression, Filter, Test};
use crate::atom::Atom;
use crate::field::{Field, Found, Subject};

impl Filter {
    /// Whether it holds of `subject`. One that was refused holds of nothing.
    pub(crate) fn matches(&self, subject: Subject<'_>) -> bool {
        match &self.expression {
            Expression::All(parts) => parts.iter().all(|part| part.matches(subject)),
            Expression::Any(parts) => parts.iter().any(|part| part.matches(subject)),
            Expression::Not(part) => !part.matches(subject),
            Expression::Test(field, test) => test.matches(field, subject),
            Expression::Refused(_) => false,
        }
    }
}

impl Test {
    fn matches(&self, field: &Field, subject: Subject<'_>) -> bool {
        field.find(subject, &mut |found| match (self, found) {
            (Self::Exists, found) => found == Found::Present,
            (_, Found::Present) => false,
            (Self::Contains(value), Found::Atom { atom, listed: false }) => value.is_within(atom),
            (Self::Contains(value), Found::Atom { atom, listed: true }) => value.compare(atom) == Some(Ordering::Equal),
            (test, Found::Atom { atom, .. }) => test.holds(atom),
        })
    }

    /// Whether a comparison holds of one value, wherever it stands.
    pub(crate) fn holds(&self, atom: Atom<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Compare(comparison, value) => comparison.holds(value.compare(atom)),
            Self::In(values) => FilterValue::any_equal(values, atom),
            Self::Contains(value) => value.is_within(atom) || value.compare(atom) == Some(Ordering::Equal),
        }
    }
}

impl Comparison {
    /// Whether it holds of values that lie so to each other; of different types, for which there is no order, only `!=`.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Lt => order == Some(Ordering::Less),
            Self::Le => order.is_some_and(Ordering::is_le),
            Self::Gt => order == Some(Ordering::Greater),
            Self::Ge => order.is_some_and(Ordering::is_ge),
        }
    }
}

impl FilterValue {
    /// Whether `atom` is a string with this string in it.
    fn is_within(&self, atom: Atom<'_>) -> bool {
        matches!((atom, self.literal()), (Atom::Text(text), Literal::Text(part)) if text.contains(part.as_str()))
    }
}
