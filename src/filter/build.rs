//! Filters made by calls. They cannot fail, so what is wrong is kept in the filter and reported when it is used.

use std::ops::Not;

use super::value::FilterValue;
use super::{Comparison, Expression, Filter, MAX_FILTER_DEPTH, MAX_FILTER_TERMS, Test};
use crate::field::Field;

impl Filter {
    /// A field to ask something of: `Filter::field("year").ge(2011)`.
    pub fn field(field: impl Into<Field>) -> Field {
        field.into()
    }

    /// Whether both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    /// Whether at least one of the two holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any([self, other])
    }

    /// Whether all of `filters` hold. Refused if there are none.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::join(filters, Expression::All, |expression| match expression {
            Expression::All(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// Whether at least one of `filters` holds. Refused if there are none.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::join(filters, Expression::Any, |expression| match expression {
            Expression::Any(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// One level for filters of one kind, however they were put together.
    fn join(
        filters: impl IntoIterator<Item = Self>,
        joined: fn(Vec<Self>) -> Expression,
        parts_of: fn(Expression) -> Result<Vec<Self>, Expression>,
    ) -> Self {
        let (mut parts, mut terms) = (Vec::new(), 0);
        for Self { expression, depth, terms: more } in filters {
            if let Expression::Refused(why) = expression {
                return Self::refused(why);
            }
            terms += more;
            match parts_of(expression) {
                Ok(inner) => parts.extend(inner),
                Err(expression) => parts.push(Self { expression, depth, terms: more }),
            }
        }
        match parts.len() {
            0 => Self::refused("there is nothing to combine"),
            1 => parts.remove(0),
            _ => {
                let depth = 1 + parts.iter().map(|part| part.depth).max().unwrap_or_default();
                Self { expression: joined(parts), depth, terms }.limited()
            }
        }
    }

    fn limited(self) -> Self {
        if self.depth > MAX_FILTER_DEPTH {
            Self::refused(format!("it nests more than {MAX_FILTER_DEPTH} deep"))
        } else if self.terms > MAX_FILTER_TERMS {
            Self::refused(format!("it has more than {MAX_FILTER_TERMS} comparisons and values"))
        } else {
            self
        }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self { expression: Expression::Refused(why.into()), depth: 0, terms: 0 }
    }

    fn test(field: Field, test: Test) -> Self {
        let values = match &test {
            Test::Exists => &[],
            Test::Compare(_, value) | Test::Contains(value) => std::slice::from_ref(value),
            Test::In(values) => values.as_slice(),
        };
        if let Some(why) = values.iter().find_map(FilterValue::refusal) {
            return Self::refused(format!("{field}: {why}"));
        }
        let terms = values.len().max(1);
        Self { expression: Expression::Test(field, test), depth: 1, terms }.limited()
    }
}

impl Not for Filter {
    type Output = Self;

    /// Whether it does not hold.
    fn not(self) -> Self {
        match self.expression {
            Expression::Refused(_) => self,
            Expression::Not(inner) => *inner,
            _ => {
                let (depth, terms) = (self.depth + 1, self.terms);
                Self { expression: Expression::Not(Box::new(self)), depth, terms }.limited()
            }
        }
    }
}

/// What may be asked of a field.
impl Field {
    /// Whether it is `value`.
    pub fn eq(self, value: impl Into<FilterValue>) -> Filter {
        Filter::test(self, Test::Compare(Comparison::Eq, value.into()))
    }

    /// Whether it has a value that is not `value`. Where the field is missing it does not hold; `!field.eq(..)` does.
    pub fn ne(self, value: impl Into<FilterValue>) -> Filter {
        Filter::test(self, Test::Compare(Comparison::Ne, value.into()))
    }

    /// Whether it is less than `value`: numbers by size, strings by code point, dates by time.
    pub fn lt(self, value: impl Into<FilterValue>) -> Filter {
        self.ordered(Comparison::Lt, value.into())
    }

    /// Whether it is less than `value` or equal to it.
    pub fn le(self, value: impl Into<FilterValue>) -> Filter {
        self.ordered(Comparison::Le, value.into())
    }

    /// Whether it is greater than `value`.
    pub fn gt(self, value: impl Into<FilterValue>) -> Filter {
        self.ordered(Comparison::Gt, value.into())
    }

    /// Whether it is greater than `value` or equal to it.
    pub fn ge(self, value: impl Into<FilterValue>) -> Filter {
        self.ordered(Comparison::Ge, value.into())
    }

    /// Whether it is one of `values`.
    pub fn is_in<T: Into<FilterValue>>(self, values: impl IntoIterator<Item = T>) -> Filter {
        let mut values: Vec<FilterValue> = values.into_iter().map(Into::into).collect();
        values.sort_by(FilterValue::rank);
        values.dedup_by(|a, b| a.rank(b).is_eq());
        Filter::test(self, Test::In(values))
    }

    /// Whether it is a string with `value` in it, or a list with an element that is `value`.
    pub fn contains(self, value: impl Into<FilterValue>) -> Filter {
        Filter::test(self, Test::Contains(value.into()))
    }

    /// Whether there is anything but null.
    pub fn exists(self) -> Filter {
        Filter::test(self, Test::Exists)
    }

    /// Whether it is `true`; in text, the field's name alone.
    pub fn is_true(self) -> Filter {
        self.eq(true)
    }

    fn ordered(self, comparison: Comparison, value: FilterValue) -> Filter {
        if value.is_bool() {
            return Filter::refused(format!("{self}: true and false are neither less nor greater; compare by = or !="));
        }
        Filter::test(self, Test::Compare(comparison, value))
    }
}
