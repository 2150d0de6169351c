//! What was typed, taken apart: words, "quoted phrases" and prefixes*. Everything else about a query is just words, so
//! no text is a wrong query.

use std::collections::HashMap;
use std::ops::Bound;

use tantivy::query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use super::analysis::{Analysis, Term};
use super::failed;
use super::index::Fields;
use crate::error::Result;

/// The most different words of a query that are looked up, the rarest first: a whole passage may be a query.
const MAX_WORDS: usize = 64;

/// The most bytes of a query that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// A part of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Counts if it occurs.
    Word(&'a str),
    /// Must occur, its words in this order.
    Phrase(&'a str),
    /// Counts if a word begins with it.
    Prefix(&'a str),
}

/// The pieces of a query, in order. A quotation mark without a partner is no more than punctuation.
pub(super) fn pieces(query: &str) -> Vec<Piece<'_>> {
    let query = query.get(..query.floor_char_boundary(MAX_BYTES)).unwrap_or_default();
    let mut pieces = Vec::new();
    let parts: Vec<&str> = query.split('"').collect();
    for (place, part) in parts.iter().enumerate() {
        // Marks stand between parts, so the odd ones are quoted, unless the last of them was never closed.
        if place % 2 == 1 && place + 1 < parts.len() {
            pieces.push(Piece::Phrase(part));
            continue;
        }
        for word in part.split_whitespace() {
            match word.strip_suffix('*') {
                Some(prefix) if prefix.ends_with(char::is_alphanumeric) => pieces.push(Piece::Prefix(prefix)),
                _ => pieces.push(Piece::Word(word)),
            }
        }
    }
    pieces
}

/// The words that are neither quoted nor cut off.
pub(super) fn plain_words<'a>(pieces: &'a [Piece<'a>]) -> impl Iterator<Item = &'a str> {
    pieces.iter().filter_map(|piece| if let Piece::Word(word) = piece { Some(*word) } else { None })
}

/// tantivy's query for a text; `None` if there is no word in it.
pub(super) fn compile(
    text: &str,
    analysis: &Analysis,
    fields: &Fields,
    searcher: &tantivy::Searcher,
) -> Result<Option<Box<dyn Query>>> {
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    let mut counts: HashMap<String, u32> = HashMap::new();
    let pieces = pieces(text);
    for stem in analysis.telling(plain_words(&pieces)) {
        *counts.entry(stem.text).or_default() += 1;
    }
    for piece in &pieces {
        match piece {
            Piece::Word(_) => {}
            Piece::Phrase(words) => {
                if let Some(phrase) = phrase(&analysis.stems(words), fields.stems) {
                    clauses.push((Occur::Must, phrase));
                }
            }
            Piece::Prefix(prefix) => {
                // Of `on-off*` the last word is the one that goes on.
                if let Some(last) = analysis.words(prefix).pop() {
                    clauses.push((Occur::Should, begins(&last.text, fields.words, searcher)?));
                }
            }
        }
    }
    let mut words = Vec::with_capacity(counts.len());
    for (word, count) in counts {
        let term = tantivy::Term::from_field_text(fields.stems, &word);
        let found = searcher.doc_freq(&term).map_err(failed)?;
        if found > 0 {
            words.push((found, count, term));
        }
    }
    // By term in the end, so that sums of scores come out the same each time.
    words.sort_by(|(a, _, one), (b, _, other)| a.cmp(b).then_with(|| one.cmp(other)));
    words.truncate(MAX_WORDS);
    let words = words.into_iter().map(|(_, count, term)| (Occur::Should, repeated(term, count)));
    clauses.extend(words);
    Ok(if clauses.is_empty() { None } else { Some(Box::new(BooleanQuery::new(clauses))) })
}

fn repeated(term: tantivy::Term, count: u32) -> Box<dyn Query> {
    let query = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
    if count == 1 { query } else { Box::new(BoostQuery::new(query, count as f32)) }
}

fn phrase(stems: &[Term], field: Field) -> Option<Box<dyn Query>> {
    let term = |stem: &Term| tantivy::Term::from_field_text(field, &stem.text);
    match stems {
        [] => None,
        [stem] => Some(Box::new(TermQuery::new(term(stem), IndexRecordOption::WithFreqs))),
        stems => {
            let terms = stems.iter().map(|stem| (stem.position, term(stem))).collect();
            Some(Box::new(PhraseQuery::new_with_offset(terms)))
        }
    }
}

/// Passages with a word that begins with `prefix`. It scores as one word would that occurs once in each of them.
fn begins(prefix: &str, field: Field, searcher: &tantivy::Searcher) -> Result<Box<dyn Query>> {
    let term = |text: &str| tantivy::Term::from_field_text(field, text);
    let upper = after(prefix).map_or(Bound::Unbounded, |after| Bound::Excluded(term(&after)));
    let range = RangeQuery::new(Bound::Included(term(prefix)), upper);
    let found = range.count(searcher).map_err(failed)? as f32;
    let passages = searcher.num_docs() as f32;
    let rarity = (1.0 + (passages - found + 0.5).max(0.0) / (found + 0.5)).ln();
    Ok(Box::new(ConstScoreQuery::new(Box::new(range), rarity)))
}

/// The least text above everything that begins with `prefix`.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 sorts as code points do.
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
