//! Lines of bytes with their numbers, of bounded length; blank ones left out.

use std::io::{self, BufRead, BufReader, Read};

/// The most bytes that a line may have.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lines of a reader, numbered from 1.
pub(crate) struct Lines<R> {
    reader: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }
}

impl<R: Read> Lines<BufReader<R>> {
    /// Whether the next line is there already, so that nobody has to wait for it.
    pub(crate) fn is_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<(usize, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self.reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(0) => return None,
                Ok(_) => self.number += 1,
            }
            if line.len() as u64 > MAX_LINE_BYTES {
                let message = format!("line {} has more than {MAX_LINE_BYTES} bytes", self.number);
                return Some(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
            }
            // A byte order mark is no part of the first line.
            if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
            line.truncate(line.trim_ascii_end().len());
            if !line.trim_ascii_start().is_empty() {
                return Some(Ok((self.number, line)));
            }
        }
    }
}
