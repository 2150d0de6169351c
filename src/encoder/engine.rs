//! A backend with threads and a batch size of its own: texts in, what a model makes of their states out.

use std::hash::Hash;
use std::num::NonZero;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::{Backend, Batch, CandleBackend, CpuBackend, Wanted, distinct, plan, plan_for_threads};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{InstructionLevel, InstructionSet};
use crate::model::{Model, Precision};
use crate::text::Tokens;

/// Tokens that go through the encoder at once on one thread: enough rows to keep the matrix products busy, few enough
/// for their intermediate results to stay in a core's cache (256 was the fastest of 128 to 512 on Sapphire Rapids).
const BATCH_TOKENS: usize = 256;

/// What runs the encoder's forward pass. Both take the same weights and agree within the precision's stated error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendKind {
    /// Marcato's own: fused, without padding, in f32 or in 8-bit integers as the weights are.
    #[default]
    Cpu,
    /// `candle-transformers`, always in f32: the reference.
    Candle,
    /// The same on the first NVIDIA GPU, in a build with the feature `cuda`.
    Cuda,
    /// The same on an Apple GPU, in a build with the feature `metal`.
    Metal,
}

/// How an engine is made; the defaults are those of every model's options.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineOptions {
    pub(crate) backend: BackendKind,
    pub(crate) precision: Precision,
    pub(crate) threads: Option<usize>,
    pub(crate) batch_tokens: Option<usize>,
    pub(crate) instructions: Option<InstructionLevel>,
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
        self.engine_and(model, || Ok(())).map(|(engine, ())| engine)
    }

    /// The same beside `other` work, such as loading the tokenizer, which takes about as long.
    pub(crate) fn engine_and<T: Send>(
        &self,
        model: &Model,
        other: impl FnOnce() -> Result<T> + Send,
    ) -> Result<(Engine, T)> {
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
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("marcato-encode-{index}"))
            .build()
            .map_err(|source| Error::new(ErrorKind::Io, "cannot start the encoder's threads").with_source(source))?;
        let (config, weights) = (&model.config, &model.weights);
        let wanted = if model.modules.pooling.is_cls_alone(0) { Wanted::Cls } else { Wanted::All };
        let set = match self.instructions {
            Some(_) if self.backend != BackendKind::Cpu => {
                return Err(Error::misuse(
                    "candle chooses its instructions itself; take the cpu backend to force a level",
                ));
            }
            Some(level) => InstructionSet::at(level)?,
            None => InstructionSet::requested()?,
        };
        let backend = || -> Result<Box<dyn Backend>> {
            Ok(match self.backend {
                BackendKind::Cpu => Box::new(CpuBackend::with_instruction_set(set, config, weights, wanted)?),
                device => Box::new(CandleBackend::new(device, config, weights)?),
            })
        };
        let (backend, other) = threads.install(|| rayon::join(backend, other));
        Ok((Engine { backend: backend?, batch_tokens, threads }, other?))
    }
}

impl Engine {
    pub(crate) fn instruction_set(&self) -> &'static str {
        self.backend.instruction_set()
    }

    /// One result for each of `texts`, in order. `finish` gets the states of a batch as [`Backend::forward`] gives them
    /// and makes one result of each of its sequences. What is there more than once is computed once.
    pub(crate) fn run<S: Copy + Eq + Hash + Send + Sync, T: Clone + Send>(
        &self,
        texts: &[S],
        tokenize: impl Fn(&S) -> Result<Tokens> + Sync,
        wanted: Wanted,
        finish: impl Fn(&Batch, &[f32]) -> Result<Vec<T>> + Sync,
    ) -> Result<Vec<T>> {
        if let ([text], true) = (texts, self.backend.takes_batches_at_once()) {
            // On the caller's own thread: to wait until another one wakes takes a tenth of a query's time.
            let batches = plan(&[tokenize(text)?], self.batch_tokens);
            let run = |batch: &Batch| finish(batch, &self.backend.forward_alone(batch, wanted, &self.threads)?);
            return Ok(batches.iter().map(run).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        let run = |batch: &Batch| -> Result<Vec<(usize, T)>> {
            let results = finish(batch, &self.backend.forward(batch, wanted)?)?;
            Ok(batch.places.iter().copied().zip(results).collect())
        };
        let (distinct, places) = distinct(texts);
        self.threads.install(|| {
            let tokens = distinct.par_iter().map(&tokenize).collect::<Result<Vec<Tokens>>>()?;
            let finished = if self.backend.takes_batches_at_once() {
                self.on_all_threads(&plan_for_threads(&tokens, self.batch_tokens, rayon::current_num_threads()), run)?
            } else {
                plan(&tokens, self.batch_tokens).iter().map(run).collect::<Result<Vec<_>>>()?
            };
            let mut placed: Vec<(usize, T)> = finished.into_iter().flatten().collect();
            placed.sort_by_key(|(place, _)| *place);
            if placed.len() == places.len() {
                return Ok(placed.into_iter().map(|(_, result)| result).collect());
            }
            let result = |place: usize| placed.get(place).map(|(_, result)| result.clone());
            Ok(places.into_iter().filter_map(result).collect())
        })
    }

    /// What `run` makes of `batches`, in any order. Each thread takes the next one: an iterator would be halved at first, and
    /// whoever is done with a half would find large ones left in the other.
    fn on_all_threads<T: Send>(&self, batches: &[Batch], run: impl Fn(&Batch) -> Result<T> + Sync) -> Result<Vec<T>> {
        let finished = Mutex::new(Vec::with_capacity(batches.len()));
        self.threads.scope_fifo(|scope| {
            for batch in batches {
                let (run, finished) = (&run, &finished);
                scope.spawn_fifo(move |_| {
                    let result = run(batch);
                    finished.lock().push(result);
                });
            }
        });
        finished.into_inner().into_iter().collect()
    }
}
