//! What people and programs read: one JSON value a line, or text.

use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Result;
use marcato::{Metadata, Passage};
use serde::Serialize;

/// Standard output, buffered.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    pub(crate) json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), json }
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(self.out, "{}", text.as_ref())?)
    }

    /// A line of JSON.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        Ok(writeln!(self.out)?)
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// A passage as JSON: what `add` reads.
#[derive(Serialize)]
pub(crate) struct PassageLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    text: &'a str,
    metadata: &'a Metadata,
}

impl<'a> From<&'a Passage> for PassageLine<'a> {
    fn from(passage: &'a Passage) -> Self {
        let id = passage.id.as_ref().map_or("", |id| id.as_str());
        Self { id, title: passage.title.as_deref(), text: &passage.text, metadata: &passage.metadata }
    }
}

/// The beginning of a text on one line.
pub(crate) fn excerpt(text: &str, characters: usize) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(characters) {
        words.truncate(at);
        words.push_str("...");
    }
    words
}

/// An error and its causes, as one message. A cause that its error repeats is not said twice.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&cause);
        }
    }
    eprintln!("error: {message}");
}
