//! Token ids to vectors: the forward pass of the canonical encoder, and what sentence-transformers does after it.
//!
//! No padding is ever computed, and a vector depends on its own text alone (invariant M1): the sums behind a row of a
//! matrix product run over the same numbers in the same order however many rows there are.

mod batch;
mod candle;
mod cpu;
mod engine;
mod head;
mod pooling;

#[cfg(test)]
mod tests;

pub use crate::kernels::InstructionLevel;
pub(crate) use batch::{Batch, distinct, plan};
pub(crate) use candle::CandleBackend;
pub(crate) use cpu::CpuBackend;
pub use engine::BackendKind;
pub(crate) use engine::{Engine, EngineOptions};
pub(crate) use head::Classifier;
pub(crate) use pooling::{normalize, pool};

use crate::error::Result;

/// Which tokens' states are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// The first token of each sequence.
    Cls,
}

/// One way to run the canonical encoder. Implementations are tested against each other.
pub(crate) trait Backend: Send + Sync {
    /// The last layer's states, the sequences one after the other, row-major: `[tokens, width]`, or `[sequences, width]`
    /// of the first tokens alone.
    fn forward(&self, batch: &Batch, wanted: Wanted) -> Result<Vec<f32>>;

    /// Whether several batches at once, a thread each, are faster than one after the other.
    fn takes_batches_at_once(&self) -> bool;

    /// The vector instructions that it runs on.
    fn instruction_set(&self) -> &'static str;
}
