//! Two things at once, on threads of our own: the pool of the host is the host's.

use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

/// What both give; `second` on a thread of its own. A machine that is out of threads does one after the other.
pub(crate) fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl Fn() -> B + Sync) -> (A, B) {
    thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, &second).ok();
        let first = first();
        match beside.map(ScopedJoinHandle::join) {
            None => (first, second()),
            Some(Ok(second)) => (first, second),
            Some(Err(panic)) => resume_unwind(panic),
        }
    })
}
