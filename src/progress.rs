//! How far long work is, and the way to stop it.

use std::ops::ControlFlow;

use crate::error::{Error, ErrorKind, Result};

/// What a long operation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Turning texts into embeddings.
    Encode,
    /// Bringing a view up to date with the store, or building it anew.
    Index,
    /// Reading every record, and holding the tables and the views against each other.
    Check,
    /// Checking and mending the store after a crash.
    Repair,
}

/// A report from inside a long operation.
///
/// Handed to a callback `FnMut(Progress) -> ControlFlow<()>`: `Continue` goes on; `Break` ends the operation with
/// [`ErrorKind::Cancelled`] at the next safe point, with nothing of its batch written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Units finished: passages, or per cent for `Repair`.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// The callback of long operations.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Reports, and turns a `Break` into the error that ends the operation.
pub(crate) fn report(on_progress: OnProgress<'_>, stage: Stage, done: u64, total: u64) -> Result<()> {
    match on_progress(Progress { stage, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(ErrorKind::Cancelled, format!("cancelled after {done} of {total}"))),
    }
}
