//! The payload of a snapshot, which may be as large as memory: written and read in pieces, each with its checksum.

use std::io::{self, Read, Write};
use std::slice;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::{Reason, fill};

/// Bytes of a piece; the last one may be shorter.
pub(super) const PIECE: usize = 1 << 20;

/// Bytes of the trailer.
pub(super) const TRAILER: usize = 32;

/// Takes the payload and writes it, and the trailer behind it.
pub(super) struct PayloadWriter<'w> {
    file: &'w mut dyn Write,
    piece: Vec<u8>,
    sums: Sums,
}

/// The length of the pieces so far, and the checksum of their checksums.
#[derive(Default)]
struct Sums {
    length: u64,
    all: Xxh3,
}

impl Sums {
    fn add(&mut self, piece: &[u8]) -> u128 {
        let sum = xxh3_128(piece);
        self.length += piece.len() as u64;
        self.all.update(&sum.to_le_bytes());
        sum
    }

    fn trailer(&self) -> [u8; TRAILER] {
        let mut bytes = Vec::with_capacity(TRAILER);
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.all.digest128().to_le_bytes());
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes.try_into().unwrap_or([0; TRAILER])
    }
}

impl<'w> PayloadWriter<'w> {
    pub(super) fn new(file: &'w mut dyn Write) -> Self {
        Self { file, piece: Vec::new(), sums: Sums::default() }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.put()?;
        }
        self.file.write_all(&self.sums.trailer())
    }

    fn put(&mut self) -> io::Result<()> {
        self.sums.add(&self.piece);
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl Write for PayloadWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (now, _) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
        self.piece.extend(now);
        if self.piece.len() == PIECE {
            self.put()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a payload of `length` bytes and its trailer to the end, and gives the checksums of its pieces.
pub(super) fn verify(file: &mut dyn Read, length: u64) -> Result<Vec<u128>, Reason> {
    let mut sums = Sums::default();
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    while sums.length < length {
        piece.resize(piece_length(length - sums.length), 0);
        fill(file, &mut piece)?;
        pieces.push(sums.add(&piece));
    }
    let mut trailer = [0; TRAILER];
    fill(file, &mut trailer)?;
    if trailer == sums.trailer() { Ok(pieces) } else { Err(Reason::Torn("the checksum of its payload is wrong")) }
}

/// Reads a payload once more, and gives out no piece that is not what [`verify`] saw.
pub(crate) struct PayloadReader<'s> {
    file: Box<dyn Read>,
    remaining: u64,
    sums: slice::Iter<'s, u128>,
    piece: Vec<u8>,
    given: usize,
}

impl<'s> PayloadReader<'s> {
    pub(super) fn new(file: Box<dyn Read>, length: u64, sums: &'s [u128]) -> Self {
        Self { file, remaining: length, sums: sums.iter(), piece: Vec::new(), given: 0 }
    }
}

impl Read for PayloadReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() && self.remaining > 0 {
            self.given = 0;
            self.piece.resize(piece_length(self.remaining), 0);
            self.file.read_exact(&mut self.piece)?;
            if self.sums.next() != Some(&xxh3_128(&self.piece)) {
                self.piece.clear();
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the snapshot changed while it was read"));
            }
            self.remaining -= self.piece.len() as u64;
        }
        let read = self.piece.get(self.given..).unwrap_or_default().read(out)?;
        self.given += read;
        Ok(read)
    }
}

fn piece_length(remaining: u64) -> usize {
    usize::try_from(remaining).map_or(PIECE, |remaining| remaining.min(PIECE))
}
