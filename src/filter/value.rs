//! What fields are compared with.

use std::cmp::Ordering;

use serde_json::Number as JsonNumber;

use crate::atom::{Atom, Number, Span};
use crate::error::{Error, Result};

/// A value to compare a field with: a string, a number, a boolean or a date.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterValue(Literal);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Bool(bool),
    Number(JsonNumber),
    Text(String),
    Date(String, Span),
    /// NaN or an infinity, which no metadata has.
    NotFinite(String),
}

impl FilterValue {
    /// A date (`2011-03-27`, the whole day in UTC) or a date and time (`2011-03-27T12:30:00Z`), as RFC 3339 has them.
    /// It is compared with strings that are such dates; other strings are none of it.
    ///
    /// # Errors
    /// `Misuse` if it is none.
    pub fn date(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        match Span::parse(&text) {
            Some(span) => Ok(Self(Literal::Date(text, span))),
            None => Err(Error::misuse(format!(
                "\"{text}\" is no date; write 2011-03-27, or 2011-03-27T12:30:00Z with the time"
            ))),
        }
    }

    pub(super) fn number(number: JsonNumber) -> Self {
        Self(Literal::Number(number))
    }

    pub(crate) fn literal(&self) -> &Literal {
        &self.0
    }

    pub(super) fn is_bool(&self) -> bool {
        matches!(self.0, Literal::Bool(_))
    }

    /// Why it cannot be compared with anything.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.0 {
            Literal::NotFinite(number) => Some(format!("{number} compares with no number of metadata")),
            _ => None,
        }
    }

    /// How `atom` lies to it; `None` if they are of different types. A date is equal to all that lies in it.
    pub(crate) fn compare(&self, atom: Atom<'_>) -> Option<Ordering> {
        match (atom, &self.0) {
            (Atom::Bool(atom), Literal::Bool(value)) => Some(atom.cmp(value)),
            (Atom::Number(atom), Literal::Number(value)) => Some(atom.cmp(&Number::of(value))),
            (Atom::Text(atom), Literal::Text(value)) => Some(atom.cmp(value)),
            (Atom::Text(atom), Literal::Date(_, span)) => Some(match Span::parse(atom)?.start {
                start if start < span.start => Ordering::Less,
                start if start >= span.end => Ordering::Greater,
                _ => Ordering::Equal,
            }),
            _ => None,
        }
    }

    /// An order of all values, by type first: that of an `in` list. Dates are last.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Literal::Bool(a), Literal::Bool(b)) => a.cmp(b),
            (Literal::Number(a), Literal::Number(b)) => Number::of(a).cmp(&Number::of(b)),
            (Literal::Text(a), Literal::Text(b)) | (Literal::NotFinite(a), Literal::NotFinite(b)) => a.cmp(b),
            (Literal::Date(_, a), Literal::Date(_, b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }

    /// Whether `atom` equals one of `values`, which ascend by [`rank`](Self::rank).
    pub(crate) fn any_equal(values: &[Self], atom: Atom<'_>) -> bool {
        let of_atom = match atom {
            Atom::Bool(_) => 0,
            Atom::Number(_) => 1,
            Atom::Text(_) => 2,
        };
        let by_value = |value: &Self| match value.0.kind().cmp(&of_atom) {
            Ordering::Equal => value.compare(atom).map_or(Ordering::Less, Ordering::reverse),
            other => other,
        };
        if values.binary_search_by(by_value).is_ok() {
            return true;
        }
        let dates = values.iter().rev().take_while(|value| matches!(value.0, Literal::Date(..)));
        matches!(atom, Atom::Text(_)) && dates.into_iter().any(|date| date.compare(atom) == Some(Ordering::Equal))
    }
}

impl Literal {
    fn kind(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
            Self::NotFinite(_) => 3,
            Self::Date(..) => 4,
        }
    }
}

impl From<&str> for FilterValue {
    fn from(text: &str) -> Self {
        Self(Literal::Text(text.to_owned()))
    }
}

impl From<String> for FilterValue {
    fn from(text: String) -> Self {
        Self(Literal::Text(text))
    }
}

impl From<&String> for FilterValue {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<bool> for FilterValue {
    fn from(value: bool) -> Self {
        Self(Literal::Bool(value))
    }
}

impl From<f64> for FilterValue {
    fn from(number: f64) -> Self {
        Self(JsonNumber::from_f64(number).map_or_else(|| Literal::NotFinite(number.to_string()), Literal::Number))
    }
}

impl From<f32> for FilterValue {
    fn from(number: f32) -> Self {
        Self::from(f64::from(number))
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for FilterValue {
            fn from(number: $integer) -> Self {
                Self(Literal::Number(number.into()))
            }
        }
    )*};
}

from_integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
