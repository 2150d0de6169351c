//! Room for the intermediate results of one batch, kept from call to call.

use parking_lot::Mutex;

use super::cls::ClsScratch;
use crate::kernels::{Aligned, AttentionScratch, Quantized};

/// Each buffer grows to the largest batch seen.
#[derive(Default)]
pub(super) struct Scratch {
    /// `[token][width]`, rows [`stride`](Self::stride) apart.
    pub(super) states: Aligned<f32>,
    /// The heads' results, likewise.
    pub(super) context: Aligned<f32>,
    pub(super) stride: usize,
    /// Queries, keys and values side by side.
    pub(super) projections: Aligned<f32>,
    /// Queries of the sequences' first tokens only.
    pub(super) queries: Aligned<f32>,
    /// A block of rows inside the feed-forward part.
    pub(super) inner: Aligned<f32>,
    /// What goes into a product, in 8 bits.
    pub(super) quantized: Quantized,
    pub(super) attention: AttentionScratch,
    pub(super) cls: ClsScratch,
}

/// As many as there are threads at once.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Scratch>>);

impl Pool {
    /// Runs `work` with a scratch of its own.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.0.lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        self.0.lock().push(scratch);
        result
    }
}
