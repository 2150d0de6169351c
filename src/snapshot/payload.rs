//! The payload of a snapshot, which may be as large as memory: written and read in pieces, each with its checksum.

use std::io::{self, Read, Write};
use std::slice;

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::{Reason, fill};
use crate::medium::Source;
use crate::threads::both;

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
    fn add(&mut self, length: u64, sum: u128) {
        self.length += length;
        self.all.update(&sum.to_le_bytes());
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
        self.sums.add(self.piece.len() as u64, xxh3_128(&self.piece));
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

/// Reads a payload of `length` bytes and its trailer to the end, and gives the checksums of its pieces. Another thread reads
/// the second half, from what `again_from` opens there.
pub(super) fn verify(
    file: &mut dyn Read,
    length: u64,
    again_from: impl Fn(u64) -> io::Result<Box<dyn Source>> + Sync,
) -> Result<Vec<u128>, Reason> {
    let half = (length / 2).next_multiple_of(PIECE as u64).min(length);
    let rest = length - half;
    let (first, second) = if half == 0 || rest == 0 {
        (Ok(Vec::new()), sums_and_trailer(file, length))
    } else {
        let second = || sums_and_trailer(&mut *again_from(half).map_err(Reason::Unreadable)?, rest);
        both(|| sums(file, half), second)
    };
    let (mut pieces, (second, trailer)) = (first?, second?);
    pieces.extend(second);
    let mut expected = Sums::default();
    for sum in &pieces {
        expected.add(piece_length(length - expected.length) as u64, *sum);
    }
    if trailer == expected.trailer() { Ok(pieces) } else { Err(Reason::Torn("the checksum of its payload is wrong")) }
}

/// The checksums of the pieces of `length` bytes.
fn sums(file: &mut dyn Read, mut length: u64) -> Result<Vec<u128>, Reason> {
    let (mut sums, mut piece) = (Vec::new(), Vec::new());
    while length > 0 {
        piece.resize(piece_length(length), 0);
        fill(file, &mut piece)?;
        sums.push(xxh3_128(&piece));
        length -= piece.len() as u64;
    }
    Ok(sums)
}

fn sums_and_trailer(file: &mut dyn Read, length: u64) -> Result<(Vec<u128>, [u8; TRAILER]), Reason> {
    let sums = sums(file, length)?;
    let mut trailer = [0; TRAILER];
    fill(file, &mut trailer)?;
    Ok((sums, trailer))
}

/// Reads a payload once more, and gives out no piece that is not what [`verify`] saw.
pub(crate) struct PayloadReader<'s> {
    file: Box<dyn Source>,
    remaining: u64,
    sums: slice::Iter<'s, u128>,
    piece: Vec<u8>,
    given: usize,
}

impl<'s> PayloadReader<'s> {
    pub(super) fn new(file: Box<dyn Source>, length: u64, sums: &'s [u128]) -> Self {
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
