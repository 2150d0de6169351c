//! Token ids to vectors: the forward pass of the canonical encoder, and what sentence-transformers does after it.
//!
//! No padding is ever computed, and a vector depends on its own text alone (invariant M1): the sums behind a row of a
//! matrix product run over the same numbers in the same order however many rows there are.

mod batch;
mod candle;
mod chain;
mod cpu;
mod engine;
mod pooling;

#[cfg(test)]
mod tests;

pub use crate::kernels::InstructionLevel;
pub(crate) use batch::{Batch, distinct, plan, plan_for_threads};
pub(crate) use candle::CandleBackend;
pub(crate) use chain::Chain;
pub(crate) use cpu::CpuBackend;
pub use engine::BackendKind;
pub(crate) use engine::{Engine, EngineOptions};
pub(crate) use pooling::pool;

use crate::error::Result;
use crate::kernels::Then;
use crate::model::Activation;

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

    /// The same for a batch of one sequence beside which nothing else is to be done, perhaps with the help of `threads`.
    fn forward_alone(&self, batch: &Batch, wanted: Wanted, threads: &rayon::ThreadPool) -> Result<Vec<f32>>;

    /// Whether several batches at once, a thread each, are faster than one after the other.
    fn takes_batches_at_once(&self) -> bool;

    /// The vector instructions that it runs on.
    fn instruction_set(&self) -> &'static str;
}

/// The kernel of an activation.
const fn then(activation: Activation) -> Then {
    match activation {
        Activation::Gelu => Then::Gelu,
        Activation::GeluTanh => Then::GeluTanh,
        Activation::Identity => Then::Store,
        Activation::Relu => Then::Relu,
        Activation::Sigmoid => Then::Sigmoid,
        Activation::Silu => Then::Silu,
        Activation::Tanh => Then::Tanh,
    }
}
