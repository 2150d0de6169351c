//! What the paths on the command line stand for.

use std::fs::File;
use std::io::{BufReader, stdin};
use std::iter::once;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ignore::WalkBuilder;
use indicatif::ProgressBar;

use super::paragraphs::Paragraphs;
use super::{Item, jsonl, table};

/// A file to read, or standard input.
pub(crate) enum Source {
    Stdin,
    File { path: PathBuf, format: Format, bytes: u64 },
}

#[derive(Clone, Copy)]
pub(crate) enum Format {
    Jsonl,
    Csv,
    Tsv,
    Text,
    Markdown,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "txt" => Some(Self::Text),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// The files that `paths` name, folders followed. Every path is looked at before anything is read.
pub(crate) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(Source::Stdin);
            continue;
        }
        let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            folder(path, &mut sources)?;
        } else {
            match Format::of(path) {
                Some(format) => sources.push(Source::File { path: path.clone(), format, bytes: metadata.len() }),
                None => bail!(
                    "{}: unknown format; .jsonl, .csv, .tsv, .txt and .md files are read, and - is JSONL from standard input",
                    path.display()
                ),
            }
        }
    }
    Ok(sources)
}

/// Files of a known format under `folder`, in the order of their names.
fn folder(folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let before = sources.len();
    // A collection inside the folder is not text.
    let walk = WalkBuilder::new(folder)
        .require_git(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(|entry| !entry.path().join("store.redb").exists())
        .build();
    for entry in walk {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let Some(format) = Format::of(entry.path()) else { continue };
        let metadata = entry.metadata().with_context(|| format!("cannot read {}", entry.path().display()))?;
        if metadata.is_file() {
            sources.push(Source::File { path: entry.into_path(), format, bytes: metadata.len() });
        }
    }
    if sources.len() == before {
        bail!("{} holds no .jsonl, .csv, .tsv, .txt or .md file", folder.display());
    }
    Ok(())
}

/// Bytes to read in all; `None` if standard input is among them.
pub(crate) fn total_bytes(sources: &[Source]) -> Option<u64> {
    let size = |source: &Source| match source {
        Source::Stdin => None,
        Source::File { bytes, .. } => Some(*bytes),
    };
    sources.iter().map(size).sum()
}

/// The passages of all sources, in order; a source that cannot be opened is an error in its place.
pub(crate) fn all<'a>(sources: &'a [Source], bar: &'a ProgressBar) -> impl Iterator<Item = Result<Item>> + 'a {
    sources.iter().flat_map(move |source| source.passages(bar).unwrap_or_else(|error| Box::new(once(Err(error)))))
}

impl Source {
    /// The passages, in order. `bar` moves with the bytes read.
    fn passages<'a>(&'a self, bar: &ProgressBar) -> Result<Box<dyn Iterator<Item = Result<Item>> + 'a>> {
        let (path, format) = match self {
            Self::Stdin => {
                let reader = BufReader::new(bar.wrap_read(stdin()));
                return Ok(Box::new(jsonl::passages("standard input", reader, |_| None)));
            }
            Self::File { path, format, .. } => (path, *format),
        };
        let name = path.to_str().with_context(|| format!("{}: the path is not valid UTF-8", path.display()))?;
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        let reader = BufReader::with_capacity(1 << 16, bar.wrap_read(file));
        // The whole path, so that files of one name in two folders do not replace each other's passages.
        let identity = path.canonicalize().map_or_else(|_| name.to_owned(), |path| path.display().to_string());
        let derived = {
            let identity = identity.clone();
            move |line: usize| Some(format!("{identity}:{line}"))
        };
        Ok(match format {
            Format::Jsonl => Box::new(jsonl::passages(name, reader, derived)),
            Format::Csv => Box::new(table::passages(name, reader, b',', derived)?),
            Format::Tsv => Box::new(table::passages(name, reader, b'\t', derived)?),
            Format::Text => Box::new(Paragraphs::new(identity, reader, false)),
            Format::Markdown => Box::new(Paragraphs::new(identity, reader, true)),
        })
    }
}
