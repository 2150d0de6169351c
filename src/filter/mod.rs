//! Which passages may answer: conditions on what is known about them.
//!
//! A [`Filter`] is data. [`build`] makes it from calls and [`parse`] from text, [`display`] is the way back, and
//! [`mod@matches`] is its meaning, which every other way of evaluating it is tested against.

mod build;
mod display;
mod lexer;
mod matches;
mod parse;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub use value::FilterValue;
pub(crate) use value::Literal;

use crate::error::{Error, Result};
use crate::field::Field;

/// How deep a filter may nest.
pub const MAX_FILTER_DEPTH: usize = 64;
/// How many comparisons, and values in lists, a filter may have.
pub const MAX_FILTER_TERMS: usize = 100_000;
/// The most bytes that the text of a filter may have.
pub const MAX_FILTER_BYTES: usize = 1 << 20;

/// A condition on passages: on their metadata, `id`, `title` and `text`.
///
/// It is built by calls, or parsed from text; its `Display` is that text.
///
/// ```
/// use marcato::{Field, Filter};
/// let built = Filter::field("year").ge(2011).and(Filter::field("lang").is_in(["en", "fr"])).and(!Filter::field("archived").is_true());
/// let parsed: Filter = r#"year >= 2011 and lang in ["en", "fr"] and not archived"#.parse()?;
/// assert_eq!(built, parsed);
/// assert_eq!(parsed.to_string().parse::<Filter>()?, parsed);
/// # Ok::<(), marcato::Error>(())
/// ```
///
/// A comparison holds if the field has a value of the same type for which it holds; of a list, if any element does. So
/// it is false where the field is missing or null, and `not` is plain negation: `not lang = "en"` is true of passages
/// without a language, and `lang != "en"` is not. `docs/filters.md` has the whole language.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    expression: Expression,
    depth: usize,
    terms: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// At least two.
    All(Vec<Filter>),
    /// At least two.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test(Field, Test),
    /// What was wrong with what it should have been made of. Nothing is built on top, so no tree is too deep to drop.
    Refused(String),
}

/// What may be asked of one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Exists,
    Compare(Comparison, FilterValue),
    /// Ascending, each value once.
    In(Vec<FilterValue>),
    Contains(FilterValue),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Filter {
    /// What it says, if it was built of what it can be built of.
    ///
    /// # Errors
    /// `Misuse` if it nests too deep, is too large, or holds a value that does not compare.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.expression {
            Expression::Refused(why) => Err(Error::misuse(format!("filter: {why}"))),
            _ => Ok(()),
        }
    }

    pub(crate) fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Each field that it names, once.
    pub(crate) fn fields(&self) -> Vec<&Field> {
        fn collect<'f>(filter: &'f Filter, fields: &mut Vec<&'f Field>) {
            match &filter.expression {
                Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| collect(part, fields)),
                Expression::Not(part) => collect(part, fields),
                Expression::Test(field, _) => fields.push(field),
                Expression::Refused(_) => {}
            }
        }
        let mut fields = Vec::new();
        collect(self, &mut fields);
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}
