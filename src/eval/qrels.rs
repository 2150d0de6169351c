//! Relevance judgements.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Write};
use std::path::Path;

use super::lines::{Line, Lines};
use crate::error::{Error, Result};

/// Which passages answer which query, and how well: query id to passage id to grade. 0 and less is not relevant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels(BTreeMap<String, BTreeMap<String, i64>>);

impl Qrels {
    /// Reads a file in any of the forms below, told apart by its first line.
    ///
    /// # Errors
    /// `Misuse`, naming the file and the line; `NotFound` and `Io` from the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::of_lines(Lines::open(path)?, Form::of).map_err(|error| error.with_path(path))
    }

    /// Reads BEIR's form: a header line, then `query-id`, `corpus-id` and `score` between tabs. A first line that is a
    /// judgement is taken as one.
    ///
    /// # Errors
    /// `Misuse`, naming the line, also for a passage that is given two grades.
    pub fn parse_tsv(text: &str) -> Result<Self> {
        Self::of_lines(Lines::of("qrels", text), |_| Ok(Form::Beir))
    }

    /// Reads TREC's form, which is MS MARCO's too: query, a word that is ignored, passage and grade between white
    /// space.
    ///
    /// # Errors
    /// As [`parse_tsv`](Self::parse_tsv).
    pub fn parse_trec(text: &str) -> Result<Self> {
        Self::of_lines(Lines::of("qrels", text), |_| Ok(Form::Trec))
    }

    fn of_lines(lines: impl Iterator<Item = Result<Line>>, form: impl Fn(&Line) -> Result<Form>) -> Result<Self> {
        let (mut qrels, mut known) = (Self::default(), None);
        for line in lines {
            let line = line?;
            let (form, is_first) = match known {
                Some(form) => (form, false),
                None => (*known.insert(form(&line)?), true),
            };
            let fields = line.fields();
            let (query, passage, grade) = match (form, fields.as_slice()) {
                (Form::Beir, [query, passage, grade]) | (Form::Trec, [query, _, passage, grade]) => {
                    (*query, *passage, *grade)
                }
                (form, _) => return Err(line.malformed(form.expected())),
            };
            let grade = match grade.parse() {
                Ok(grade) => grade,
                // The header; a grade that is a broken number is none.
                Err(_) if is_first && matches!(form, Form::Beir) && grade.parse::<f64>().is_err() => continue,
                Err(source) => return Err(line.malformed(form.expected()).with_source(source)),
            };
            qrels.insert(query, passage, grade).map_err(|error| line.malformed(error))?;
        }
        Ok(qrels)
    }

    /// Adds a judgement. The same again changes nothing.
    ///
    /// # Errors
    /// `Misuse` for another grade than was given before, and for an empty id.
    pub fn insert(&mut self, query: &str, passage: &str, grade: i64) -> Result<()> {
        if query.is_empty() || passage.is_empty() {
            return Err(Error::misuse("an id is empty"));
        }
        match self.0.entry(query.to_owned()).or_default().entry(passage.to_owned()) {
            Entry::Occupied(known) if *known.get() != grade => Err(Error::misuse(format!(
                "passage \"{passage}\" is graded {} and {grade} for query \"{query}\"; keep one of them",
                known.get()
            ))),
            entry => {
                entry.or_insert(grade);
                Ok(())
            }
        }
    }

    /// Writes TREC's form.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_trec(&self, mut out: impl Write) -> io::Result<()> {
        for (query, judged) in &self.0 {
            for (passage, grade) in judged {
                writeln!(out, "{query} 0 {passage} {grade}")?;
            }
        }
        Ok(())
    }

    /// The ids of the queries that have judgements, in order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many queries have judgements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was judged.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the query has judgements.
    pub fn contains(&self, query: &str) -> bool {
        self.0.contains_key(query)
    }

    /// The grade of a passage for a query; 0 where nobody judged it.
    pub fn grade(&self, query: &str, passage: &str) -> i64 {
        self.0.get(query).and_then(|judged| judged.get(passage)).copied().unwrap_or(0)
    }

    /// The grades given for a query.
    pub fn grades(&self, query: &str) -> impl Iterator<Item = i64> {
        self.judgements(query).map(|(_, grade)| grade)
    }

    /// The passages judged for a query, by id, with their grades.
    pub fn judgements(&self, query: &str) -> impl Iterator<Item = (&str, i64)> {
        self.0.get(query).into_iter().flatten().map(|(passage, grade)| (passage.as_str(), *grade))
    }
}

#[derive(Clone, Copy)]
enum Form {
    Beir,
    Trec,
}

impl Form {
    fn of(first: &Line) -> Result<Self> {
        match first.fields().len() {
            3 => Ok(Self::Beir),
            4 => Ok(Self::Trec),
            _ => Err(first.malformed(
                "not judgements; expected \"query-id, corpus-id, score\" (BEIR) or \"query 0 passage grade\" (TREC, MS MARCO)",
            )),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Beir => "expected query, passage and grade between tabs, the grade a whole number",
            Self::Trec => "expected query, 0, passage and grade between white space, the grade a whole number",
        }
    }
}
