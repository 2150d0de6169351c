//! Rows of numbers one after another, in chunks that never move, on huge pages where the system has them.
//!
//! Finding pages of 4 KiB takes an eighth of the time of a scan. An array that grows by moving (`Vec`) would leave huge pages
//! behind.

use bytemuck::{cast_slice, cast_slice_mut};
use half::f16;
use memmap2::MmapMut;

use crate::error::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Bytes of a chunk, but for the rest that no row fits into. A row is 128 KiB at most.
const CHUNK: usize = 4 << 20;

/// Bytes of a huge page; where the system has others, chunks lie well all the same.
const HUGE_PAGE: usize = 2 << 20;

pub(super) struct Matrix {
    /// Numbers in a row; not 0.
    width: usize,
    rows_per_chunk: usize,
    rows: usize,
    /// Rows that there will be, as far as is known.
    expected: usize,
    /// All are full but the last.
    chunks: Vec<Chunk>,
}

impl Matrix {
    pub(super) fn new(width: usize) -> Self {
        let rows_per_chunk = (CHUNK / (width * size_of::<f16>())).max(1);
        Self { width, rows_per_chunk, rows: 0, expected: 0, chunks: Vec::new() }
    }

    /// Says that `additional` rows are to come.
    pub(super) fn reserve(&mut self, additional: usize) {
        self.expected = self.rows.saturating_add(additional);
    }

    /// # Errors
    /// `Io` if the system has no memory left; then nothing has changed.
    pub(super) fn push(&mut self, row: &[f16]) -> Result<()> {
        debug_assert_eq!(row.len(), self.width, "rows have the matrix's width");
        if self.rows == self.chunks.len() * self.rows_per_chunk {
            self.chunks.push(Chunk::new(self.rows_per_chunk * self.width)?);
            // A collection of a few passages must not take a huge page: its chunk waits until there is another.
            if self.chunks.len() > 1 || self.expected >= self.rows_per_chunk {
                self.chunks.iter().rev().take(2).for_each(Chunk::ask_for_huge_pages);
            }
        }
        self.rows += 1;
        self.row_mut(self.rows - 1).copy_from_slice(row);
        Ok(())
    }

    pub(super) fn row(&self, at: usize) -> &[f16] {
        let (chunk, place) = self.place(at);
        let numbers = self.chunks.get(chunk).map_or(&[][..], Chunk::numbers);
        numbers.get(place..place + self.width).unwrap_or_default()
    }

    fn row_mut(&mut self, at: usize) -> &mut [f16] {
        let (chunk, place) = self.place(at);
        let numbers = self.chunks.get_mut(chunk).map_or(&mut [][..], Chunk::numbers_mut);
        numbers.get_mut(place..place + self.width).unwrap_or_default()
    }

    /// Its chunk, and which of the chunk's numbers is its first.
    fn place(&self, at: usize) -> (usize, usize) {
        (at / self.rows_per_chunk, at % self.rows_per_chunk * self.width)
    }

    /// Takes a row out, and moves the last into the gap.
    pub(super) fn swap_remove(&mut self, at: usize) {
        let Some(last) = self.rows.checked_sub(1) else { return };
        let moved = self.row(last).to_vec();
        self.row_mut(at).copy_from_slice(&moved);
        self.rows = last;
        self.chunks.truncate(self.rows.div_ceil(self.rows_per_chunk));
    }

    /// All rows in order, in parts of up to `size` that lie one after another: the first row of each, and its numbers.
    pub(super) fn parts(&self, size: usize) -> impl Iterator<Item = (usize, &[f16])> {
        let first_of = |chunk| chunk * self.rows_per_chunk;
        self.chunks.iter().enumerate().flat_map(move |(chunk, numbers)| {
            let rows = self.rows_per_chunk.min(self.rows - first_of(chunk));
            let numbers = numbers.numbers().get(..rows * self.width).unwrap_or_default();
            (first_of(chunk)..).step_by(size).zip(numbers.chunks(size * self.width))
        })
    }
}

/// Zeroed memory from the system, which takes no room before it is written to.
struct Chunk {
    memory: MmapMut,
    /// In bytes: its numbers begin with a huge page.
    start: usize,
    end: usize,
}

impl Chunk {
    fn new(numbers: usize) -> Result<Self> {
        let bytes = numbers * size_of::<f16>();
        let memory = MmapMut::map_anon(bytes + HUGE_PAGE).map_err(|error| {
            let message =
                "the system gives no memory for embeddings: give the process more, or close other collections";
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        let start = memory.as_ptr().align_offset(HUGE_PAGE).min(HUGE_PAGE);
        Ok(Self { memory, start, end: start + bytes })
    }

    fn ask_for_huge_pages(&self) {
        // A kernel without them refuses, and the memory is as good as any.
        #[cfg(target_os = "linux")]
        let _ = self.memory.advise(memmap2::Advice::HugePage);
    }

    fn numbers(&self) -> &[f16] {
        cast_slice(self.memory.get(self.start..self.end).unwrap_or_default())
    }

    fn numbers_mut(&mut self) -> &mut [f16] {
        cast_slice_mut(self.memory.get_mut(self.start..self.end).unwrap_or_default())
    }
}
