//! Passages as JSONL, out of a collection and into one, so that what comes in is what went out.
//!
//! A line is an object: `id`, `title` if there is one, `text`, `metadata`; with embeddings also `embedding`, f16 numbers in
//! decimal, and `encoder`, the fingerprint of the model that made it (absent in collections without one). Lines are in the
//! order of insertion, and each stands for itself: files may be cut, filtered and joined.

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};

use super::Collection;
use super::ingest::Ingest;
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::{Metadata, Passage};

/// The longest line that is read: a passage of the largest size, every character escaped, with its embedding.
const MAX_LINE: u64 = 256 << 20;

#[derive(Serialize)]
struct LineOut<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    text: &'a str,
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineIn {
    id: String,
    title: Option<String>,
    text: String,
    #[serde(default)]
    metadata: Metadata,
    embedding: Option<Vec<f32>>,
    encoder: Option<String>,
}

impl Collection {
    /// Writes every passage as a line of JSON, in the order in which they were last added, as the collection is now; says
    /// how many. [`import`](Self::import) reads them.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Passage, Similarity};
    /// let options = || Collection::options().embeddings(2, Similarity::Cosine);
    /// let points = options().in_memory()?;
    /// points.add([Passage::new("east").id("e").field("x", 1).embedding(Embedding::new([1.0, 0.0])?)])?;
    /// let mut lines = Vec::new();
    /// points.export_with_embeddings(&mut lines)?;
    /// assert_eq!(lines, b"{\"id\":\"e\",\"text\":\"east\",\"metadata\":{\"x\":1},\"embedding\":[1.0,0.0]}\n");
    /// let copy = options().in_memory()?;
    /// copy.import(lines.as_slice()).run()?;
    /// assert_eq!(copy.get("e")?, points.get("e")?);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Io` or `Full` from `out`; `Corrupt` or `Io` from the store.
    pub fn export(&self, out: impl Write) -> Result<u64> {
        self.write_lines(out, false)
    }

    /// [`export`](Self::export) with the stored embeddings and the fingerprint of their encoder, so that importing needs no
    /// encoder and gives the same numbers.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    pub fn export_with_embeddings(&self, out: impl Write) -> Result<u64> {
        self.write_lines(out, true)
    }

    /// Reads what [`export`](Self::export) writes, each passage taking the place of the one with its id; `run` does it, in
    /// bounded memory, as [`ingest`](Self::ingest) says. Lines with an embedding are not encoded again.
    ///
    /// # Errors
    /// Of `run`: `Misuse` for a line that is not of an export, by its number; `Incompatible` for an embedding of another
    /// encoder; and as [`ingest`](Self::ingest).
    pub fn import<R: BufRead>(&self, lines: R) -> Ingest<'_, impl Iterator<Item = Result<Passage>> + use<R>> {
        let fingerprint = self.0.store.settings().fingerprint.clone();
        self.ingest(Lines { reader: lines, number: 0 }.map(move |line| {
            let (number, line) = line?;
            let told = |error: Error| Error::new(error.kind(), format!("line {number}: {error}")).with_source(error);
            parse(&line, &fingerprint).map_err(told)
        }))
    }

    fn write_lines(&self, mut out: impl Write, embeddings: bool) -> Result<u64> {
        let failed = |source: std::io::Error| {
            let kind = match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
                _ => ErrorKind::Io,
            };
            Error::new(kind, "the export cannot be written").with_source(source)
        };
        let reader = self.reader();
        let encoder =
            Some(self.0.store.settings().fingerprint.as_str()).filter(|encoder| embeddings && !encoder.is_empty());
        let mut count = 0;
        for passage in reader.passages()? {
            let passage = passage?;
            let embedding = match embeddings {
                true => Some(reader.known_embedding(passage.row)?),
                false => None,
            };
            let line = LineOut {
                id: &passage.id,
                title: passage.title.as_deref(),
                text: &passage.text,
                metadata: &passage.metadata,
                embedding: embedding.map(|numbers| numbers.iter().map(|number| number.to_f32()).collect()),
                encoder,
            };
            serde_json::to_writer(&mut out, &line).map_err(|error| failed(error.into()))?;
            out.write_all(b"\n").map_err(failed)?;
            count += 1;
        }
        out.flush().map_err(failed)?;
        Ok(count)
    }
}

fn parse(line: &[u8], fingerprint: &str) -> Result<Passage> {
    let line: LineIn = serde_json::from_slice(line)
        .map_err(|source| Error::misuse("it is no passage of an export").with_source(source))?;
    let mut passage = Passage::new(line.text).id(line.id).metadata(line.metadata);
    passage.title = line.title;
    if let Some(numbers) = line.embedding {
        match line.encoder.unwrap_or_default() {
            encoder if encoder == fingerprint => {}
            encoder => {
                let name = |encoder: &str| match encoder.get(..12) {
                    None if encoder.is_empty() => "no encoder".to_owned(),
                    short => format!("the encoder {}", short.unwrap_or(encoder)),
                };
                return Err(Error::new(
                    ErrorKind::Incompatible,
                    format!(
                        "its embedding is of {}, the collection's are of {}; export without embeddings, and they will be made anew",
                        name(&encoder),
                        name(fingerprint)
                    ),
                ));
            }
        }
        passage = passage.embedding(Embedding::new(numbers)?);
    }
    Ok(passage)
}

/// Lines that are not empty, with their numbers from 1, none of them too long for memory.
struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            let number = self.number;
            let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut line);
            return Some(match read {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(length) if length as u64 == MAX_LINE => {
                    Err(Error::misuse(format!("line {number} is longer than any passage: {} MiB", MAX_LINE >> 20)))
                }
                Ok(_) => Ok((number, line)),
                Err(source) => {
                    Err(Error::new(ErrorKind::Io, format!("line {number} cannot be read")).with_source(source))
                }
            });
        }
    }
}
