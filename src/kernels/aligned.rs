//! Numbers that start on a cache line: a load of a whole register then touches one line, not two.

/// Bytes in a cache line, and in the widest register.
const LINE: usize = 64;

/// A slice of fixed length whose first number is at a multiple of 64 bytes.
pub(crate) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `length` zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let spare = LINE / size_of::<T>().max(1);
        let storage = vec![T::default(); length + spare];
        let start = storage.as_ptr().align_offset(LINE).min(spare);
        Self { storage, start, length }
    }

    /// At least `length` numbers: the same ones, or zeros if there were fewer.
    pub(crate) fn grown(&mut self, length: usize) -> &mut [T] {
        if self.length < length {
            *self = Self::zeros(length);
        }
        self.as_mut_slice()
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        self.storage.get(self.start..self.start + self.length).unwrap_or_default()
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        self.storage.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }
}

impl<T: Copy + Default> Default for Aligned<T> {
    fn default() -> Self {
        Self::zeros(0)
    }
}

/// The distance between rows of `columns` numbers of which 64 bytes hold `per_line`: whole lines, and an odd number of
/// them, so that the rows of a tile fall into different sets of the cache.
pub(crate) const fn row_stride(columns: usize, per_line: usize) -> usize {
    let lines = columns.div_ceil(per_line);
    (lines | 1) * per_line
}
