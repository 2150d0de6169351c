#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! [`Collection`] is the handle; [`Passage`] goes in, [`Hit`] comes out. [`BiEncoder`] turns text into an
//! [`Embedding`] by itself, [`Encoder`] is what you implement to bring your own. [`eval`] measures rankings.
//!
//! # Crate features
//!
//! Features add; they never change what the same call gives.
//!
//! - `builtin` (default): the built-in model, 23 MB in the binary.
//! - `usearch` (default): the approximate index for large collections; needs a C++ compiler.

#![cfg_attr(
    not(feature = "usearch"),
    allow(dead_code, reason = "parts of a view that only the approximate index uses")
)]

mod atom;
mod bi_encoder;
mod collection;
mod embedding;
mod encoder;
mod error;
pub mod eval;
mod field;
mod filter;
mod index;
mod kernels;
mod model;
mod passage;
mod progress;
mod rows;
mod similarity;
mod store;
mod text;

pub use bi_encoder::{BackendKind, BiEncoder, BiEncoderOptions, Encoder, ModelInfo, Quantized, quantize};
pub use collection::{
    Collection, CollectionOptions, CollectionStats, Explanation, Hit, Index, OpenReport, Plan, Query, Times, Warning,
    Written,
};
pub use embedding::Embedding;
pub use error::{Error, ErrorKind, Result};
pub use field::Field;
pub use filter::{Filter, FilterValue, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
pub use model::{Drift, Precision};
pub use passage::{MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_METADATA_DEPTH, MAX_TEXT_BYTES, Metadata, Passage, PassageId};
pub use progress::{Progress, Stage};
pub use similarity::Similarity;
