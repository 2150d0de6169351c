//! The held-out rows: a sample of all rows that stays out of the graph, and is scanned beside it.
//!
//! A graph finds the rows that it was made of more easily than anything new, or less if they are under noise: on four sets of
//! 20,000 to 1,000,000 embeddings, with and without structure, neither told how well it answers. These rows are new to it.

use std::io::{self, Read, Write};

use half::f16;
use xxhash_rust::xxh3::xxh3_64;

use super::{doubtful, read_rows, read_u64, unreadable};
use crate::error::Result;
use crate::index::{ExactIndex, VectorIndex};
use crate::passage::RowId;
use crate::similarity::Similarity;

/// How many there are at most, but for those that are about to leave. A question finds 0.1 more or less than the next one,
/// so that of 256 to 512 the mean is known to 0.006. A scan of them reads 0.4 MB where embeddings have a width of 384.
const MOST: usize = 512;

/// One in sixteen is held out at first.
const LEVEL: u32 = 4;

pub(in crate::index) struct HeldOut {
    pub(super) rows: ExactIndex,
    /// A row is of the sample if its hash ends in so many zeros: one in two to the power of it, from all over the collection.
    pub(super) level: u32,
}

impl HeldOut {
    pub(super) fn new(dimension: usize, similarity: Similarity) -> Result<Self> {
        Ok(Self { rows: ExactIndex::new(dimension, similarity)?, level: LEVEL })
    }

    /// Whether `row` is of the sample.
    pub(super) fn takes(&self, row: RowId) -> bool {
        hash(row).trailing_zeros() >= self.level
    }

    /// A row that has to leave for the graph, if there are too many. One at a time: half of them at once would keep
    /// queries waiting.
    pub(super) fn excess(&mut self) -> Option<RowId> {
        let leaving = |held: &Self| held.rows.rows().iter().copied().filter(|row| !held.takes(*row)).min();
        leaving(self).or_else(|| {
            (self.rows.len() > MOST).then(|| self.level += 1)?;
            leaving(self)
        })
    }

    /// In an order that has nothing to do with when they came: the first ones are a sample too.
    pub(super) fn shuffled(&self) -> Vec<RowId> {
        let mut rows = self.rows.rows().to_vec();
        rows.sort_unstable_by_key(|row| hash(*row));
        rows
    }

    /// In ascending order.
    pub(in crate::index) fn sorted(&self) -> Vec<RowId> {
        let mut rows = self.rows.rows().to_vec();
        rows.sort_unstable();
        rows
    }

    pub(in crate::index) fn embedding(&self, row: RowId) -> Result<Vec<f16>> {
        let mut embedding = Vec::new();
        self.rows.embedding_into(row, &mut embedding)?;
        Ok(embedding)
    }

    /// Writes the level and the number of rows (each a little-endian `u64`), the rows in ascending order, and their
    /// embeddings.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows = self.sorted();
        let numbers = [u64::from(self.level), rows.len() as u64];
        for number in numbers.into_iter().chain(rows.iter().map(|row| row.0)) {
            out.write_all(&number.to_le_bytes())?;
        }
        for row in rows {
            for number in self.embedding(row).map_err(io::Error::other)? {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// What [`write_to`](Self::write_to) wrote, of a view of `most` rows.
    ///
    /// # Errors
    /// `Corrupt` for anything else.
    pub(super) fn read_from(
        input: &mut dyn Read,
        dimension: usize,
        similarity: Similarity,
        most: usize,
    ) -> Result<Self> {
        let [level, count] = [read_u64(input).map_err(unreadable)?, read_u64(input).map_err(unreadable)?];
        let level = u32::try_from(level).ok().filter(|level| *level <= u64::BITS);
        let level =
            level.filter(|_| count <= most as u64).ok_or_else(|| doubtful("its sample of rows is impossible"))?;
        let rows = read_rows(input, count)?;
        let mut held_out = Self { rows: ExactIndex::new(dimension, similarity)?, level };
        let mut bytes = vec![0; dimension * size_of::<f16>()];
        for row in rows {
            input.read_exact(&mut bytes).map_err(unreadable)?;
            let numbers = bytes.as_chunks().0.iter().map(|number| f16::from_le_bytes(*number));
            let inserted = held_out.rows.insert(row, &numbers.collect::<Vec<f16>>());
            inserted.map_err(|error| doubtful("its sample of rows is malformed").with_source(error))?;
        }
        Ok(held_out)
    }
}

fn hash(row: RowId) -> u64 {
    xxh3_64(&row.0.to_le_bytes())
}
