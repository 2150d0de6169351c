#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! [`Collection`] is the handle; [`Passage`] goes in, [`Hit`] comes out. [`BiEncoder`] turns text into an
//! [`Embedding`] by itself, [`Encoder`] is what you implement to bring your own; [`CrossEncoder`] scores a query and a
//! passage together. [`eval`] measures rankings, [`util`] compares embeddings without a collection.
//!
//! # Crate features
//!
//! Features add; they never change what the same call gives.
//!
//! - `builtin` (default): the built-in model, 23 MB in the binary.
//! - `lexical` (default): search by words, and by words and meaning together.
//! - `rates`: the kernels' own speed, for `benches/kernels.rs`; no part of the stable interface.
//! - `cuda`, `metal`: the candle backend on a GPU ([`BackendKind::Cuda`], [`BackendKind::Metal`]).
//! - `usearch` (default): the approximate index for large collections; needs a C++ compiler.

#![cfg_attr(
    not(all(feature = "builtin", feature = "lexical", feature = "usearch")),
    allow(dead_code, reason = "what only the approximate index, the lexical one or the built-in model uses")
)]

mod atom;
mod bi_encoder;
mod candidate;
mod collection;
mod cross_encoder;
mod embedding;
mod encoder;
mod error;
pub mod eval;
mod field;
mod filter;
mod index;
mod kernels;
mod language;
#[cfg(feature = "lexical")]
mod lexical;
mod medium;
mod model;
mod passage;
mod progress;
mod rows;
mod similarity;
#[cfg(any(feature = "lexical", feature = "usearch"))]
mod snapshot;
mod store;
mod text;
mod threads;
pub mod util;

pub use bi_encoder::{BiEncoder, BiEncoderOptions, Encoder, ModelInfo, Quantized, quantize};
pub use collection::{
    CheckReport, Collection, CollectionOptions, CollectionStats, DEFAULT_RERANK_TOP, Explanation, Fusion, Highlight,
    Hit, Index, Ingest, Ingested, Mode, OpenReport, Part, Plan, Problem, Query, Ranking, Reranker, Scores, Times,
    Warning, Written,
};
pub use cross_encoder::{
    CrossEncoder, CrossEncoderInfo, CrossEncoderOptions, QuantizedCrossEncoder, Ranked, ScoreActivation,
};
pub use embedding::Embedding;
pub use encoder::{BackendKind, InstructionLevel};
pub use error::{Error, ErrorKind, Result};
pub use field::Field;
pub use filter::{Filter, FilterValue, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
#[cfg(feature = "rates")]
#[doc(hidden)]
pub use kernels::{Rate, kernel_rates};
pub use language::Language;
pub use model::{Drift, LocalModel, ModelKind, ModelName, ModelSource, Models, Precision, ScoreDrift};
pub use passage::{
    MAX_BATCH_PASSAGES, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_METADATA_DEPTH, MAX_TEXT_BYTES, Metadata, Passage,
    PassageId,
};
pub use progress::{Progress, Stage};
pub use similarity::Similarity;
#[cfg(all(feature = "fuzzing", any(feature = "lexical", feature = "usearch")))]
#[doc(hidden)]
pub use snapshot::fuzz_snapshot;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use store::fuzz_record;
