//! A backend with threads and a batch size of its own: texts in, what a model makes of their states out.

use std::num::NonZero;

use rayon::prelude::*;

use super::{Backend, Batch, CandleBackend, CpuBackend, Wanted, plan};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Model, Precision};
use crate::text::Tokens;

/// Tokens that go through the encoder at once on one thread: enough rows to keep the matrix products busy, few enough
/// for their intermediate results to stay in a core's cache (512 was the fastest of 128 to 4096 on two Zen 4 cores).
const BATCH_TOKENS: usize = 512;

/// What runs the encoder's forward pass. Both take the same weights and agree within the precision's stated error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendKind {
    /// Marcato's own: fused, without padding, in f32 or in 8-bit integers as the weights are.
    #[default]
    Cpu,
    /// `candle-transformers`, always in f32: the reference.
    Candle,
}

/// How an engine is made; the defaults are those of every model's options.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineOptions {
    pub(crate) backend: BackendKind,
    pub(crate) precision: Precision,
    pub(crate) threads: Option<usize>,
    pub(crate) batch_tokens: Option<usize>,
}

/// The canonical encoder of one model, ready to run.
pub(crate) struct Engine {
    backend: Box<dyn Backend>,
    batch_tokens: usize,
    /// The engine's own threads: the host's global pool is its own affair.
    threads: rayon::ThreadPool,
}

impl EngineOptions {
    /// `model` in the precision that was asked for.
    pub(crate) fn precise(&self, model: Model) -> Result<Model> {
        match self.precision {
            Precision::Int8 => model.quantized(),
            Precision::F32 if model.precision != Precision::F32 => Err(Error::misuse(format!(
                "model {} carries int8 weights only; open the directory with its full weights for f32",
                model.name
            ))),
            Precision::F32 | Precision::Auto => Ok(model),
        }
    }

    /// An engine for `model`, which must be [`precise`](Self::precise).
    pub(crate) fn engine(&self, model: &Model) -> Result<Engine> {
        let threads = match self.threads {
            Some(0) => return Err(Error::misuse("an encoder needs at least one thread")),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, NonZero::get),
        };
        let batch_tokens = match self.batch_tokens {
            Some(0) => return Err(Error::misuse("a batch needs room for at least one token")),
            Some(tokens) => tokens,
            None => BATCH_TOKENS,
        };
        let backend: Box<dyn Backend> = match self.backend {
            BackendKind::Cpu => Box::new(CpuBackend::new(&model.config, &model.weights)?),
            BackendKind::Candle => Box::new(CandleBackend::new(&model.config, &model.weights)?),
        };
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("marcato-encode-{index}"))
            .build()
            .map_err(|source| Error::new(ErrorKind::Io, "cannot start the encoder's threads").with_source(source))?;
        Ok(Engine { backend, batch_tokens, threads })
    }
}

impl Engine {
    /// One result for each of `texts`, in order. `finish` gets the states of a batch as [`Backend::forward`] gives them
    /// and makes one result of each of its sequences.
    pub(crate) fn run<S: Sync, T: Send>(
        &self,
        texts: &[S],
        tokenize: impl Fn(&S) -> Result<Tokens> + Sync,
        wanted: Wanted,
        finish: impl Fn(&Batch, &[f32]) -> Result<Vec<T>> + Sync,
    ) -> Result<Vec<T>> {
        let run = |batch: &Batch| -> Result<Vec<(usize, T)>> {
            let results = finish(batch, &self.backend.forward(batch, wanted)?)?;
            Ok(batch.places.iter().copied().zip(results).collect())
        };
        self.threads.install(|| {
            let tokens = texts.par_iter().map(&tokenize).collect::<Result<Vec<Tokens>>>()?;
            let batches = plan(&tokens, self.batch_tokens);
            let finished = if self.backend.takes_batches_at_once() {
                batches.par_iter().with_max_len(1).map(run).collect::<Result<Vec<_>>>()?
            } else {
                batches.iter().map(run).collect::<Result<Vec<_>>>()?
            };
            let mut placed: Vec<(usize, T)> = finished.into_iter().flatten().collect();
            placed.sort_by_key(|(place, _)| *place);
            Ok(placed.into_iter().map(|(_, result)| result).collect())
        })
    }
}
