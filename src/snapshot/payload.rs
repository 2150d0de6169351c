//! The payload of a snapshot, which may be as large as memory: written and read in pieces, each with its checksum.
//!
//! The checksums stand behind the payload with their own, so that one reading is enough: nobody gets a piece before it was
//! compared, and whoever got all but a damaged one starts over from the store. Reading it all twice, first for a
//! checksum of the whole, took a fifth longer from a disk (0.66 s and 0.55 for 264 MB).

use std::io::{self, Read, SeekFrom, Write};
use std::vec;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::header::Fields;
use super::{Reason, fill};
use crate::medium::Source;

/// Bytes of a piece; the last one may be shorter.
const PIECE: usize = 1 << 20;

/// Bytes of a piece's checksum.
const SUM: usize = 16;

/// Bytes behind the checksums: the payload's length, the checksum of the checksums, and the checksum of these two.
const TRAILER: usize = 32;

/// Takes the payload and writes it, and what stands behind it.
pub(super) struct PayloadWriter<'w> {
    file: &'w mut dyn Write,
    piece: Vec<u8>,
    length: u64,
    sums: Vec<u8>,
}

impl<'w> PayloadWriter<'w> {
    pub(super) fn new(file: &'w mut dyn Write) -> Self {
        Self { file, piece: Vec::new(), length: 0, sums: Vec::new() }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.put()?;
        }
        let mut trailer = Vec::with_capacity(TRAILER);
        trailer.extend(self.length.to_le_bytes());
        trailer.extend(xxh3_128(&self.sums).to_le_bytes());
        trailer.extend(xxh3_64(&trailer).to_le_bytes());
        self.file.write_all(&self.sums)?;
        self.file.write_all(&trailer)
    }

    fn put(&mut self) -> io::Result<()> {
        self.length += self.piece.len() as u64;
        self.sums.extend(xxh3_128(&self.piece).to_le_bytes());
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

/// Reads a payload, and gives out nothing that was not written so.
pub(super) struct PayloadReader<'f> {
    file: &'f mut dyn Source,
    remaining: u64,
    sums: vec::IntoIter<u128>,
    piece: Vec<u8>,
    given: usize,
    /// Why there is no more.
    failed: Option<Reason>,
}

impl<'f> PayloadReader<'f> {
    /// Of a file of `file_length` bytes, with the header `before` the payload.
    pub(super) fn new(file: &'f mut dyn Source, before: u64, file_length: u64) -> Result<Self, Reason> {
        let (remaining, sums) = length_and_sums(file, before, file_length)?;
        file.seek(SeekFrom::Start(before)).map_err(Reason::Unreadable)?;
        Ok(Self { file, remaining, sums: sums.into_iter(), piece: Vec::new(), given: 0, failed: None })
    }

    /// What is left is read too: whether all of it was sound.
    pub(super) fn finish(mut self) -> Result<(), Reason> {
        let rest = io::copy(&mut self, &mut io::sink());
        match (self.failed, rest) {
            (Some(reason), _) => Err(reason),
            (None, Err(error)) => Err(Reason::Unreadable(error)),
            (None, Ok(_)) => Ok(()),
        }
    }

    fn next_piece(&mut self) -> Result<(), Reason> {
        self.given = 0;
        self.piece.resize(usize::try_from(self.remaining).map_or(PIECE, |remaining| remaining.min(PIECE)), 0);
        let sound = fill(self.file, &mut self.piece).and_then(|()| match self.sums.next() {
            Some(sum) if sum == xxh3_128(&self.piece) => Ok(()),
            _ => Err(Reason::Torn("the checksum of its payload is wrong")),
        });
        match sound {
            Ok(()) => self.remaining -= self.piece.len() as u64,
            Err(_) => self.piece.clear(),
        }
        sound
    }
}

impl Read for PayloadReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() && self.remaining > 0 {
            if self.failed.is_none() {
                self.failed = self.next_piece().err();
            }
            if let Some(reason) = &self.failed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason.to_string()));
            }
        }
        let read = self.piece.get(self.given..).unwrap_or_default().read(out)?;
        self.given += read;
        Ok(read)
    }
}

/// The payload's length and the checksums of its pieces, which are themselves believed only if theirs is right.
fn length_and_sums(file: &mut dyn Source, before: u64, file_length: u64) -> Result<(u64, Vec<u128>), Reason> {
    let end = file_length.checked_sub(TRAILER as u64).ok_or(Reason::Torn("it is cut short"))?;
    file.seek(SeekFrom::Start(end)).map_err(Reason::Unreadable)?;
    let mut trailer = [0; TRAILER];
    fill(file, &mut trailer)?;
    let (sealed, seal) = trailer.split_at(TRAILER - 8);
    if xxh3_64(sealed).to_le_bytes() != seal {
        return Err(Reason::Torn("the checksum of its end is wrong"));
    }
    let mut fields = Fields(sealed);
    let (length, sum) = (fields.u64()?, u128::from_le_bytes(fields.take()?));
    let sums_length = length.div_ceil(PIECE as u64) * SUM as u64;
    let whole = [length, sums_length, TRAILER as u64].into_iter().try_fold(before, u64::checked_add);
    let sums_length = usize::try_from(sums_length).ok().filter(|_| whole == Some(file_length));
    // The file's own length bounds it: what a forged one claims must not be allocated.
    let mut sums = vec![0; sums_length.ok_or(Reason::Torn("its length is wrong"))?];
    file.seek(SeekFrom::Start(before + length)).map_err(Reason::Unreadable)?;
    fill(file, &mut sums)?;
    if xxh3_128(&sums) != sum {
        return Err(Reason::Torn("the checksum of its checksums is wrong"));
    }
    let (sums, _) = sums.as_chunks::<SUM>();
    Ok((length, sums.iter().map(|sum| u128::from_le_bytes(*sum)).collect()))
}
