//! Relevance judgements.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Which passages answer which query, and how well: query id to passage id to grade. 0 and less is not relevant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels(BTreeMap<String, BTreeMap<String, i64>>);

impl Qrels {
    /// Reads BEIR's form: a header line, then `query-id`, `corpus-id` and `score` between tabs.
    ///
    /// # Errors
    /// `Misuse`, naming the line.
    pub fn parse_tsv(text: &str) -> Result<Self> {
        let mut qrels = Self::default();
        for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
            let mut fields = line.split('\t').map(str::trim);
            let malformed =
                || Error::misuse(format!("qrels line {}: expected query, passage and grade between tabs", number + 1));
            let (Some(query), Some(passage), Some(grade), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(malformed());
            };
            let grade = grade.parse().map_err(|source| malformed().with_source(source))?;
            qrels.0.entry(query.to_owned()).or_default().insert(passage.to_owned(), grade);
        }
        Ok(qrels)
    }

    /// The ids of the queries that have judgements.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The grade of a passage for a query; 0 where nobody judged it.
    pub fn grade(&self, query: &str, passage: &str) -> i64 {
        self.0.get(query).and_then(|judged| judged.get(passage)).copied().unwrap_or(0)
    }

    /// The grades given for a query.
    pub fn grades(&self, query: &str) -> impl Iterator<Item = i64> {
        self.0.get(query).into_iter().flat_map(|judged| judged.values().copied())
    }
}
