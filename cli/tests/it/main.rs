//! The command as people and programs use it: the real binary, its output, its exit codes.
//!
//! - `forms`: the forms that programs rely on
//! - `files`: every format that `add` reads
//! - `eval`: measuring rankings
//! - `score`: pairs of texts and cross-encoders
//! - `search`: modes, stages and pages of a query
//! - `bad_inputs`: bad input by name, each with its message and exit code
//! - `refusals`: files and collections that are wrong inside
//! - `hub`: models by their names, and from a hub on loopback
//! - `upkeep`: check, compact, export, import, reembed
//! - `kill`: SIGKILL in the middle of every command that writes

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backup;
mod bad_inputs;
mod eval;
mod files;
mod filters;
mod forms;
mod hub;
#[cfg(unix)]
mod kill;
mod refusals;
mod score;
mod search;
mod support;
mod upkeep;
