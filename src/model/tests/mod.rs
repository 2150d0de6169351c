//! Tests of what is read and what is refused, over the golden models of `tests/golden`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod artifact;
mod files;
mod fingerprint;
pub(crate) mod fixture;
mod locate;
mod quantize;
mod refusals;
mod similarity;
mod weights;
