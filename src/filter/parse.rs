//! The text language of filters: one function for each line of the grammar.
//!
//! ```text
//! filter  = all { "or" all }
//! all     = not { "and" not }
//! not     = "not" not | "(" filter ")" | test
//! test    = field [ ("=" | "!=" | "<" | "<=" | ">" | ">=") value
//!                 | ["not"] "in" "[" [ value { "," value } ] "]"
//!                 | ["not"] "contains" value
//!                 | ["not"] "exists" ]
//! value   = string | number | "true" | "false" | "date" "(" string ")"
//! ```
//!
//! Recursion goes through `not` alone, whose depth is counted, so no text exhausts the stack.

use std::str::FromStr;

use super::lexer::{Lexer, Problem, Token, shown};
use super::{Expression, Filter, FilterValue, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use crate::error::{Error, Result};
use crate::field::Field;

impl FromStr for Filter {
    type Err = Error;

    /// The filter that `text` says.
    ///
    /// # Errors
    /// `Misuse`, with the character that is wrong and what was expected there, or the limit that is passed.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(Error::misuse(format!(
                "the text of a filter may have {MAX_FILTER_BYTES} bytes, this one has {}",
                text.len()
            )));
        }
        Parser::parse(text).map_err(|problem| problem.into_error(text))
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// The token to look at, and where it begins.
    token: Token,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'t> Parser<'t> {
    fn parse(text: &'t str) -> Result<Filter, Problem> {
        let mut lexer = Lexer::new(text);
        let (at, token) = lexer.token()?;
        let mut parser = Self { lexer, token, at, depth: 0, terms: 0 };
        let filter = parser.filter()?;
        match parser.token {
            Token::End => Ok(filter),
            Token::Mark(")") => Err(parser.problem("there is no ( to this )")),
            _ => Err(parser.expected("\"and\" or \"or\"")),
        }
    }

    fn filter(&mut self) -> Result<Filter, Problem> {
        let at = self.at;
        let mut parts = vec![self.all()?];
        while self.take("or")? {
            parts.push(self.all()?);
        }
        sound(Filter::any(parts), at)
    }

    fn all(&mut self) -> Result<Filter, Problem> {
        let at = self.at;
        let mut parts = vec![self.not()?];
        while self.take("and")? {
            parts.push(self.not()?);
        }
        sound(Filter::all(parts), at)
    }

    fn not(&mut self) -> Result<Filter, Problem> {
        let at = self.at;
        if self.depth > MAX_FILTER_DEPTH {
            return Err(self.problem(&format!("a filter may nest {MAX_FILTER_DEPTH} deep")));
        }
        self.depth += 1;
        let filter = if self.take("not")? {
            sound(!self.not()?, at)?
        } else if self.take("(")? {
            let filter = self.filter()?;
            if !self.take(")")? {
                return Err(self.expected("\"and\", \"or\" or \")\""));
            }
            filter
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn test(&mut self) -> Result<Filter, Problem> {
        let at = self.at;
        let Token::Path(names) = &self.token else {
            return Err(self.expected("the name of a field, \"not\" or \"(\""));
        };
        let field = Field::path(names.clone());
        self.advance()?;
        let negated = self.take("not")?;
        let filter = match self.token {
            Token::Mark("in") => {
                self.advance()?;
                field.is_in(self.list()?)
            }
            Token::Mark("contains") => {
                self.advance()?;
                field.contains(self.value()?)
            }
            Token::Mark("exists") => {
                self.advance()?;
                field.exists()
            }
            _ if negated => return Err(self.expected("\"in\", \"contains\" or \"exists\"")),
            Token::Mark("and" | "or" | ")") | Token::End => field.is_true(),
            Token::Mark(symbol @ ("=" | "!=" | "<" | "<=" | ">" | ">=")) => {
                self.advance()?;
                let value = self.value()?;
                match symbol {
                    "=" => field.eq(value),
                    "!=" => field.ne(value),
                    "<" => field.lt(value),
                    "<=" => field.le(value),
                    ">" => field.gt(value),
                    _ => field.ge(value),
                }
            }
            _ => return Err(self.expected(AFTER_FIELD)),
        };
        self.count(1)?;
        sound(if negated { !filter } else { filter }, at)
    }

    fn list(&mut self) -> Result<Vec<FilterValue>, Problem> {
        if !self.take("[")? {
            return Err(self.expected("a list such as [\"a\", \"b\"]"));
        }
        let mut values = Vec::new();
        if self.take("]")? {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            self.count(1)?;
            if self.take("]")? {
                return Ok(values);
            }
            if !self.take(",")? {
                return Err(self.expected("\",\" or \"]\""));
            }
        }
    }

    fn value(&mut self) -> Result<FilterValue, Problem> {
        let value = match &self.token {
            Token::Text(text) => FilterValue::from(text.as_str()),
            Token::Number(number) => FilterValue::number(number.clone()),
            Token::Mark("true") => true.into(),
            Token::Mark("false") => false.into(),
            Token::Mark("null") => {
                return Err(self.problem("nothing compares with null; \"not field exists\" holds where there is none"));
            }
            Token::Path(names) if names.len() == 1 && names.iter().all(|name| name.eq_ignore_ascii_case("date")) => {
                return self.date();
            }
            Token::Path(names) => {
                let word = names.join(".");
                return Err(
                    self.problem(&format!("expected a value, found the name {word}; a string is written {word:?}"))
                );
            }
            _ => return Err(self.expected("a string, a number, true, false or date(\"2011-03-27\")")),
        };
        self.advance()?;
        Ok(value)
    }

    fn date(&mut self) -> Result<FilterValue, Problem> {
        self.advance()?;
        if !self.take("(")? {
            return Err(self.expected("(\"2011-03-27\")"));
        }
        let Token::Text(text) = &self.token else { return Err(self.expected("a date such as \"2011-03-27\"")) };
        let date = FilterValue::date(text.as_str()).map_err(|error| self.problem(&error.to_string()))?;
        self.advance()?;
        if !self.take(")")? {
            return Err(self.expected("\")\""));
        }
        Ok(date)
    }

    fn advance(&mut self) -> Result<(), Problem> {
        (self.at, self.token) = self.lexer.token()?;
        Ok(())
    }

    /// Goes past `mark` if it is next; whether it was.
    fn take(&mut self, mark: &str) -> Result<bool, Problem> {
        let found = matches!(self.token, Token::Mark(next) if next == mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn count(&mut self, terms: usize) -> Result<(), Problem> {
        self.terms += terms;
        if self.terms > MAX_FILTER_TERMS {
            return Err(self.problem(&format!("a filter may have {MAX_FILTER_TERMS} comparisons and values")));
        }
        Ok(())
    }

    fn problem(&self, what: &str) -> Problem {
        Problem { at: self.at, what: what.to_owned() }
    }

    fn expected(&self, what: &str) -> Problem {
        let found = match &self.token {
            Token::Mark(mark) => shown(mark),
            Token::Path(names) => shown(&names.join(".")),
            Token::Text(text) => format!("the string {}", shown(text)),
            Token::Number(number) => format!("the number {number}"),
            Token::End => "the end".to_owned(),
        };
        self.problem(&format!("expected {what}, found {found}"))
    }
}

const AFTER_FIELD: &str = "=, !=, <, <=, >, >=, \"in\", \"contains\" or \"exists\"";

/// What the builder refuses, as a problem of what begins at `at`.
fn sound(filter: Filter, at: usize) -> Result<Filter, Problem> {
    match filter.expression() {
        Expression::Refused(why) => Err(Problem { at, what: why.clone() }),
        _ => Ok(filter),
    }
}
