//! Activations to 8 bits: each row by its own range, so that a row does not depend on its neighbours.

use super::InstructionSet;
use super::aligned::{Aligned, row_stride};
use super::gemm::Rows;
use super::simd::{IntegerSet, Kernel, Simd, fill};

/// Of a byte.
const LARGEST: f32 = 255.0;

/// How a row's bytes stand for numbers: `least + scale * byte`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowFacts {
    pub(crate) scale: f32,
    pub(crate) least: f32,
}

/// Rows of bytes; kept from call to call for its memory.
#[derive(Default)]
pub(crate) struct Quantized {
    bytes: Aligned<u8>,
    facts: Vec<RowFacts>,
    stride: usize,
}

impl Quantized {
    /// Replaces the content by the first `width` numbers of each of `rows`, as `integers` reads them.
    pub(crate) fn fill(&mut self, set: InstructionSet, integers: IntegerSet, rows: Rows<'_, f32>, width: usize) {
        let spread = integers.group() == 2;
        self.stride = row_stride(if spread { 2 * width } else { width }, 64);
        self.bytes.grown(rows.count * self.stride);
        self.facts.clear();
        self.facts.resize(rows.count, RowFacts::default());
        set.run(Fill { into: self, rows, width, spread });
    }

    pub(crate) const fn count(&self) -> usize {
        self.facts.len()
    }

    /// The distance between rows. What is beyond their width may have any value.
    pub(crate) const fn stride(&self) -> usize {
        self.stride
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    pub(crate) fn facts(&self) -> &[RowFacts] {
        &self.facts
    }
}

struct Fill<'a> {
    into: &'a mut Quantized,
    rows: Rows<'a, f32>,
    width: usize,
    /// Each byte takes two.
    spread: bool,
}

impl Kernel for Fill<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Quantized { bytes, facts, stride } = self.into;
        let rows = self.rows.numbers.chunks(self.rows.stride.max(1));
        for ((row, bytes), facts) in rows.zip(bytes.as_mut_slice().chunks_exact_mut((*stride).max(1))).zip(facts) {
            if let (Some(row), Some(bytes)) = (row.get(..self.width), bytes.get_mut(..self.width)) {
                *facts = quantize(simd, row, bytes);
            }
            if self.spread {
                spread(bytes, self.width);
            }
        }
    }
}

/// Each of the first `width` bytes to the low half of 16 bits, in place: from the last on, none is overwritten unread.
#[inline(always)]
fn spread(bytes: &mut [u8], width: usize) {
    const BLOCK: usize = 64;
    for start in (0..width).step_by(BLOCK).rev() {
        let length = BLOCK.min(width - start);
        let mut block = [0; BLOCK];
        for (place, byte) in block.iter_mut().zip(bytes.iter().skip(start).take(length)) {
            *place = *byte;
        }
        let spread = block.map(|byte| u16::from(byte).to_le_bytes());
        let places = bytes.get_mut(2 * start..2 * (start + length)).unwrap_or_default();
        for (place, byte) in places.iter_mut().zip(spread.as_flattened()) {
            *place = *byte;
        }
    }
}

/// The least and the largest of some numbers, in parts: a register waits for the one before it.
#[derive(Clone, Copy)]
struct Span<S: Simd> {
    least: S::Floats,
    most: S::Floats,
    /// Nothing times infinity or NaN is NaN; everything else adds zero.
    poison: S::Floats,
}

impl<S: Simd> Span<S> {
    #[inline(always)]
    fn of(simd: S, number: f32) -> Self {
        Self { least: simd.splat(number), most: simd.splat(number), poison: simd.splat(0.0) }
    }

    #[inline(always)]
    fn with(self, simd: S, x: S::Floats) -> Self {
        let poison = simd.mul_add(x, simd.splat(0.0), self.poison);
        Self { least: simd.min(self.least, x), most: simd.max(self.most, x), poison }
    }

    #[inline(always)]
    fn and(self, simd: S, other: Self) -> Self {
        Self {
            least: simd.min(self.least, other.least),
            most: simd.max(self.most, other.most),
            poison: simd.add(self.poison, other.poison),
        }
    }
}

/// The range of the row becomes 0..=255. A row that holds NaN or infinity, or whose range overflows, gets the
/// scale NaN, which poisons every product with it.
#[inline(always)]
fn quantize<S: Simd>(simd: S, row: &[f32], bytes: &mut [u8]) -> RowFacts {
    let (whole, rest) = S::split(row);
    let first = row.first().copied().unwrap_or_default();
    let (fours, ones) = whole.as_chunks::<4>();
    let mut parts = [Span::of(simd, first); 4];
    for four in fours {
        for (part, x) in parts.iter_mut().zip(four) {
            *part = part.with(simd, simd.load(x));
        }
    }
    let [a, b, c, d] = parts;
    let mut span = a.and(simd, b).and(simd, c.and(simd, d));
    for x in ones {
        span = span.with(simd, simd.load(x));
    }
    if !rest.is_empty() {
        span = span.with(simd, fill(simd, rest, first));
    }
    let (least, most) = (simd.smallest(span.least), simd.largest(span.most));
    let range = most - least + simd.sum(span.poison);
    if !range.is_finite() {
        return RowFacts { scale: f32::NAN, least };
    }
    // A range this small is nothing beside the rounding of anything that it is added to.
    let inverse = if range > 1e-30 { LARGEST / range } else { 0.0 };
    let (lanes_least, lanes_inverse) = (simd.splat(least), simd.splat(inverse));
    let byte = |x| simd.mul(simd.sub(x, lanes_least), lanes_inverse);
    let (whole_bytes, rest_bytes) = S::split_bytes(bytes);
    for (x, bytes) in whole.iter().zip(whole_bytes) {
        simd.store_bytes(byte(simd.load(x)), bytes);
    }
    if !rest.is_empty() {
        let mut last = S::Bytes::default();
        simd.store_bytes(byte(fill(simd, rest, least)), &mut last);
        rest_bytes.iter_mut().zip(last.as_ref()).for_each(|(place, byte)| *place = *byte);
    }
    RowFacts { scale: if range > 1e-30 { range / LARGEST } else { 0.0 }, least }
}
