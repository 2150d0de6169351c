//! A filter as text that parses to the same filter.

use std::fmt;

use super::value::Literal;
use super::{Comparison, Expression, Filter, FilterValue, Test};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expression {
            Expression::All(parts) => joined(f, parts, " and ", |part| matches!(part, Expression::Any(_))),
            Expression::Any(parts) => joined(f, parts, " or ", |part| matches!(part, Expression::All(_))),
            Expression::Not(part) => {
                let compound = matches!(part.expression, Expression::All(_) | Expression::Any(_));
                if compound { write!(f, "not ({part})") } else { write!(f, "not {part}") }
            }
            Expression::Test(field, test) => match test {
                Test::Exists => write!(f, "{field} exists"),
                Test::Compare(Comparison::Eq, value) if *value.literal() == Literal::Bool(true) => write!(f, "{field}"),
                Test::Compare(comparison, value) => write!(f, "{field} {} {value}", comparison.symbol()),
                Test::In(values) => {
                    write!(f, "{field} in [")?;
                    for (place, value) in values.iter().enumerate() {
                        write!(f, "{}{value}", if place > 0 { ", " } else { "" })?;
                    }
                    f.write_str("]")
                }
                Test::Contains(value) => write!(f, "{field} contains {value}"),
            },
            Expression::Refused(why) => write!(f, "<{why}>"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Filter],
    word: &str,
    needs_parentheses: fn(&Expression) -> bool,
) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(&part.expression) { write!(f, "({part})") } else { write!(f, "{part}") }?;
    }
    Ok(())
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

impl fmt::Display for FilterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal() {
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Number(number) => write!(f, "{number}"),
            Literal::Text(text) => quoted(f, text),
            Literal::Date(text, _) => write!(f, "date(\"{text}\")"),
            Literal::NotFinite(number) => f.write_str(number),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '\t' => f.write_str("\\t"),
            '\r' => f.write_str("\\r"),
            control if control.is_control() => write!(f, "\\u{{{:x}}}", u32::from(control)),
            other => write!(f, "{other}"),
        }?;
    }
    f.write_str("\"")
}
