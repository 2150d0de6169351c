//! The text of a filter as tokens, each with its place, and errors that point at one.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::Number;

use crate::atom::Span;
use crate::error::Error;
use crate::field::{KEYWORDS, continues_name, starts_name};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword in lower case, or a symbol.
    Mark(&'static str),
    /// The names of a dotted path.
    Path(Vec<String>),
    Text(String),
    Number(Number),
    End,
}

/// What is wrong, and at which byte of the text.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) what: String,
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, chars: text.char_indices().peekable() }
    }

    /// The next token and where it begins.
    pub(super) fn token(&mut self) -> Result<(usize, Token), Problem> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let Some((at, first)) = self.chars.peek().copied() else { return Ok((self.text.len(), Token::End)) };
        let token = match first {
            '"' | '\'' => Token::Text(self.string(first)?),
            c if c == '-' || c.is_ascii_digit() => Token::Number(self.number(at)?),
            c if starts_name(c) || c == '`' => self.path()?,
            _ => Token::Mark(self.symbol(at)?),
        };
        Ok((at, token))
    }

    fn symbol(&mut self, at: usize) -> Result<&'static str, Problem> {
        let rest = self.text.get(at..).unwrap_or_default();
        // The longer ones first.
        let symbols = ["<=", ">=", "!=", "==", "<", ">", "=", "(", ")", "[", "]", ","];
        let Some(symbol) = symbols.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            let found = rest.chars().next().unwrap_or_default();
            return Err(Problem { at, what: format!("unexpected {}", shown(&found.to_string())) });
        };
        for _ in symbol.chars() {
            self.chars.next();
        }
        Ok(if symbol == "==" { "=" } else { symbol })
    }

    fn string(&mut self, quote: char) -> Result<String, Problem> {
        let opened = self.chars.next().map_or(0, |(at, _)| at);
        let mut text = String::new();
        while let Some((at, c)) = self.chars.next() {
            match c {
                c if c == quote => return Ok(text),
                '\\' => text.push(self.escape(at)?),
                c => text.push(c),
            }
        }
        Err(Problem { at: opened, what: format!("a string begins here that has no closing {quote}") })
    }

    fn escape(&mut self, at: usize) -> Result<char, Problem> {
        let known = match self.chars.next().map(|(_, c)| c) {
            Some(c @ ('"' | '\'' | '\\')) => Some(c),
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('u') if self.chars.next_if(|(_, c)| *c == '{').is_some() => {
                let mut digits = String::new();
                while let Some((_, digit)) = self.chars.next_if(|(_, c)| c.is_ascii_hexdigit()) {
                    digits.push(digit);
                }
                let closed = self.chars.next_if(|(_, c)| *c == '}').is_some();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).filter(|_| closed)
            }
            _ => None,
        };
        known.ok_or_else(|| Problem {
            at,
            what: r#"unknown escape; there are \" \' \\ \n \r \t and \u{1F600}"#.to_owned(),
        })
    }

    fn number(&mut self, at: usize) -> Result<Number, Problem> {
        let mut digits = String::new();
        // All that may be meant as one: a date too, so that it can be said how it is written.
        while let Some((_, c)) =
            self.chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || ['.', '+', '-', ':'].contains(c))
        {
            digits.push(c);
        }
        let problem = |what: &str| Err(Problem { at, what: format!("{} {what}", shown(&digits)) });
        let magnitude = digits.strip_prefix('-').unwrap_or(&digits);
        // Rust reads "inf" and ".5" too.
        if !magnitude.starts_with(|c: char| c.is_ascii_digit()) {
            return problem("is no number");
        }
        if magnitude.bytes().all(|c| c.is_ascii_digit()) {
            let number = digits.parse::<u64>().map(Number::from).or_else(|_| digits.parse::<i64>().map(Number::from));
            return number.or_else(|_| problem("is too large for a whole number of 64 bits; write it with a point"));
        }
        match digits.parse::<f64>() {
            Ok(number) => Number::from_f64(number).map_or_else(|| problem("is too large for a number"), Ok),
            Err(_) if Span::parse(&digits).is_some() => {
                problem(&format!("is no number; a date is written date(\"{digits}\")"))
            }
            Err(_) => problem("is no number"),
        }
    }

    fn path(&mut self) -> Result<Token, Problem> {
        let mut names = Vec::new();
        let mut quoted = false;
        loop {
            let here = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
            let mut name = String::new();
            if self.chars.next_if(|(_, c)| *c == '`').is_some() {
                quoted = true;
                loop {
                    match self.chars.next() {
                        Some((_, '`')) if self.chars.next_if(|(_, c)| *c == '`').is_some() => name.push('`'),
                        Some((_, '`')) => break,
                        Some((_, c)) => name.push(c),
                        None => {
                            return Err(Problem {
                                at: here,
                                what: "a name begins here that has no closing `".to_owned(),
                            });
                        }
                    }
                }
            } else {
                while let Some((_, c)) =
                    self.chars.next_if(|(_, c)| if name.is_empty() { starts_name(*c) } else { continues_name(*c) })
                {
                    name.push(c);
                }
                if name.is_empty() {
                    return Err(Problem { at: here, what: "expected a name after the dot".to_owned() });
                }
            }
            names.push(name);
            if self.chars.next_if(|(_, c)| *c == '.').is_none() {
                break;
            }
        }
        let keyword = match names.as_slice() {
            [word] if !quoted => KEYWORDS.into_iter().find(|keyword| word.eq_ignore_ascii_case(keyword)),
            _ => None,
        };
        Ok(keyword.map_or(Token::Path(names), Token::Mark))
    }
}

impl Problem {
    /// As an error: what is wrong, the line it is in, and a caret under it.
    pub(super) fn into_error(self, text: &str) -> Error {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        // Of a long line the part around the caret. Tabs and other control characters would move the caret.
        let skipped = column.saturating_sub(CONTEXT);
        let part: String =
            line.chars().skip(skipped).take(2 * CONTEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let caret = " ".repeat(column - skipped);
        Error::misuse(format!("filter, character {}: {}\n  {part}\n  {caret}^", before.chars().count() + 1, self.what))
    }
}

/// Characters of the line that are shown on either side of the caret.
const CONTEXT: usize = 60;

/// A piece of the text for a message: short, whatever is in it.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("{short:?}")
}
