//! From files, folders and standard input to passages, one at a time, so that memory does not grow with the input.

pub(crate) mod lines;
pub(crate) mod object;

mod jsonl;
mod paragraphs;
mod source;
mod table;

pub(crate) use source::{Source, sources, total_bytes};

use marcato::Passage;

/// What a reader gives.
pub(crate) enum Item {
    Passage(Passage),
    /// A line that is no passage; says which file and line, and why. What follows it can be read.
    Invalid(anyhow::Error),
}
