//! Lines of a text file, one at a time, with what a message needs to point at one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The most bytes that a line may have.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lines of a reader that are not blank.
pub(super) struct Lines<R> {
    reader: R,
    /// What messages call the text: a path, or a word.
    name: String,
    number: usize,
}

/// A line, and where it is.
pub(super) struct Line {
    pub(super) text: String,
    /// `qrels/test.tsv line 7`.
    pub(super) place: String,
}

impl Line {
    /// The complaint that this line is not as it should be.
    pub(super) fn malformed(&self, why: impl std::fmt::Display) -> Error {
        Error::misuse(format!("{}: {why}", self.place))
    }

    /// The fields between tabs if there are any tabs, between white space otherwise.
    pub(super) fn fields(&self) -> Vec<&str> {
        if self.text.contains('\t') {
            self.text.split('\t').map(str::trim).collect()
        } else {
            self.text.split_whitespace().collect()
        }
    }
}

impl Lines<BufReader<File>> {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // Asked before it is opened: opening a pipe waits for a writer, and reading a directory says nothing of use.
        let metadata = std::fs::metadata(path).map_err(|source| Error::io("read", path, source))?;
        if metadata.is_dir() {
            return Err(Error::misuse(format!("{} is a directory, not a file", path.display())).with_path(path));
        }
        let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, file), name: path.display().to_string(), number: 0 })
    }
}

impl<'a> Lines<&'a [u8]> {
    pub(super) fn of(name: &str, text: &'a str) -> Self {
        Self { reader: text.as_bytes(), name: name.to_owned(), number: 0 }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut bytes);
            self.number += 1;
            let place = || format!("{} line {}", self.name, self.number);
            match read {
                Err(source) => return Some(Err(Error::io("read", Path::new(&self.name), source))),
                Ok(0) => return None,
                Ok(_) if bytes.len() as u64 > MAX_LINE_BYTES => {
                    return Some(Err(Error::misuse(format!("{}: more than {MAX_LINE_BYTES} bytes", place()))));
                }
                Ok(_) => {}
            }
            // A byte order mark is no part of the first line.
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            // The end of the line and no more: a field at its end may be empty.
            while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                bytes.pop();
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            return Some(match String::from_utf8(bytes) {
                Ok(text) => Ok(Line { text, place: place() }),
                Err(source) => {
                    let at = source.utf8_error().valid_up_to() + 1;
                    Err(Error::misuse(format!("{}: not valid UTF-8 at byte {at}", place())).with_source(source))
                }
            });
        }
    }
}
