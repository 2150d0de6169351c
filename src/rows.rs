//! A set of rows: what a filter matches, and what the store's field indexes are made of. The only home of `roaring`.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};

use crate::passage::RowId;

#[cfg(test)]
mod tests;

/// Rows that are listed, or all rows but those.
///
/// With the second form `not` costs nothing, and needs no list of what there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    listed: RoaringTreemap,
    /// Whether the listed rows are those that do *not* belong.
    inverted: bool,
}

impl Rows {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn all() -> Self {
        !Self::none()
    }

    pub(crate) fn contains(&self, row: RowId) -> bool {
        self.listed.contains(row.0) != self.inverted
    }

    pub(crate) fn insert(&mut self, row: RowId) {
        if self.inverted {
            self.listed.remove(row.0)
        } else {
            self.listed.insert(row.0)
        };
    }

    /// How many rows there are of `total`, of which the listed ones are some.
    pub(crate) fn count(&self, total: u64) -> u64 {
        if self.inverted { total.saturating_sub(self.listed.len()) } else { self.listed.len() }
    }

    /// Whether it is known to be empty without knowing what rows there are.
    pub(crate) fn is_none(&self) -> bool {
        !self.inverted && self.listed.is_empty()
    }

    /// The rows in ascending order; `None` if only those are listed that do not belong.
    pub(crate) fn listed(&self) -> Option<impl Iterator<Item = RowId>> {
        self.listed_from(RowId(0))
    }

    /// The same from `first` on.
    pub(crate) fn listed_from(&self, first: RowId) -> Option<impl Iterator<Item = RowId>> {
        let mut listed = self.listed.iter();
        listed.advance_to(first.0);
        (!self.inverted).then(|| listed.map(RowId))
    }

    /// The listed rows in parts of `size`, which is not 0: the first row of each part, and how many it has.
    pub(crate) fn parts(&self, size: usize) -> impl Iterator<Item = (RowId, usize)> {
        let total = usize::try_from(self.listed.len()).unwrap_or(usize::MAX);
        let part = move |place| self.listed.select(place as u64).map(|row| (RowId(row), size.min(total - place)));
        (0..total).step_by(size).filter_map(part)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let (listed, inverted) = match (self.inverted, other.inverted) {
            (false, false) => (self.listed & other.listed, false),
            (false, true) => (self.listed - other.listed, false),
            (true, false) => (other.listed - self.listed, false),
            (true, true) => (self.listed | other.listed, true),
        };
        Self { listed, inverted }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        !(!self).and(!other)
    }
}

impl std::ops::Not for Rows {
    type Output = Self;

    fn not(self) -> Self {
        Self { inverted: !self.inverted, ..self }
    }
}

const BLOCK_BITS: u32 = 16;

/// Rows that have all but their low 16 bits in common: the piece in which rows are stored. A batch changes few of them,
/// however many rows have a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block(RoaringBitmap);

impl Block {
    /// The number of the block that `row` is in.
    pub(crate) fn number(row: RowId) -> u64 {
        row.0 >> BLOCK_BITS
    }

    pub(crate) fn insert(&mut self, row: RowId) {
        self.0.insert(low(row));
    }

    pub(crate) fn remove(&mut self, row: RowId) {
        self.0.remove(low(row));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The low 32 bits of its rows, in ascending order.
    pub(crate) fn low_bits(&self) -> impl Iterator<Item = u32> {
        self.0.iter()
    }

    pub(crate) fn union(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.0 -= &other.0;
    }

    /// Roaring's portable serialization of the rows' low 32 bits.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        // Writing to memory does not fail.
        let _ = self.0.serialize_into(&mut bytes);
        bytes
    }

    /// The block numbered `number` that [`to_bytes`](Self::to_bytes) wrote, if it is one.
    pub(crate) fn from_bytes(number: u64, mut bytes: &[u8]) -> Option<Self> {
        let rows = RoaringBitmap::deserialize_from(&mut bytes).ok()?;
        let belongs = |row: Option<u32>| row.is_some_and(|row| row >> BLOCK_BITS == (number & 0xffff) as u32);
        (bytes.is_empty() && belongs(rows.min()) && belongs(rows.max())).then_some(Self(rows))
    }
}

/// Rows that come as blocks, many of one number, such as those of each value in a range.
#[derive(Default)]
pub(crate) struct Gathering {
    rows: RoaringTreemap,
    /// A bit for each row of a block of which small blocks came: to unite them in compressed form would copy what is
    /// there for each.
    dense: BTreeMap<u64, Box<[u8]>>,
}

/// A block of as many rows is united as it is: large ones are few, and setting their bits one by one would cost more.
const LARGE_BLOCK: u64 = 64;

impl Gathering {
    /// Adds the rows of the block numbered `number`.
    pub(crate) fn add(&mut self, number: u64, Block(block): Block) {
        if block.len() >= LARGE_BLOCK {
            self.rows |= treemap(number, block);
            return;
        }
        let bits = self.dense.entry(number).or_insert_with(|| vec![0; (1 << BLOCK_BITS) / 8].into());
        for row in block {
            let place = (row & 0xffff) as usize;
            if let Some(byte) = bits.get_mut(place / 8) {
                *byte |= 1 << (place % 8);
            }
        }
    }

    pub(crate) fn into_rows(mut self) -> Rows {
        for (number, bits) in self.dense {
            let first = (number & 0xffff) as u32;
            self.rows |= treemap(number, RoaringBitmap::from_lsb0_bytes(first << BLOCK_BITS, &bits));
        }
        Rows { listed: self.rows, inverted: false }
    }
}

/// The rows of the block numbered `number`, of which `low` has the low 32 bits.
fn treemap(number: u64, low: RoaringBitmap) -> RoaringTreemap {
    RoaringTreemap::from_bitmaps([(u32::try_from(number >> BLOCK_BITS).unwrap_or(u32::MAX), low)])
}

fn low(row: RowId) -> u32 {
    (row.0 & u64::from(u32::MAX)) as u32
}
