//! A graph that is lost is made anew behind the back of a collection that answers meanwhile, exactly, from its store.
//!
//! Only where that takes long: a small one is made while the collection opens. Writers go on too; what they write is in
//! the log, which is kept until the graph has caught up with it.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::Inner;
use super::options::Index;
use super::recover::{Tail, checkpoint, replay};
use super::view::View;
use crate::error::Result;
use crate::index::VectorIndex;
use crate::store::Reader;

/// Passages from which on nobody should have to wait for the graph: about three seconds of building.
pub(super) const BEHIND_ROWS: u64 = 10_000;

/// Changes that may be replayed with writers held off: some milliseconds.
const LAST_ROWS: u64 = 64;

/// Whether the thread is at work.
#[derive(Default)]
pub(super) struct Behind {
    working: Mutex<bool>,
    ended: Condvar,
}

/// Ends the wait for the thread however it ends.
struct End(Arc<Behind>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.working.lock() = false;
        self.0.ended.notify_all();
    }
}

impl Behind {
    /// Until the graph is made, or cannot be.
    pub(super) fn wait(&self) {
        self.ended.wait_while(&mut self.working.lock(), |working| *working);
    }
}

/// Begins to make the graph of a collection whose view is [`View::Absent`]. Should there be no thread for it, the collection
/// goes on as it is.
pub(super) fn begin(inner: &Arc<Inner>) {
    if !inner.live.read().view.is_absent() {
        return;
    }
    *inner.behind.working.lock() = true;
    let end = End(Arc::clone(&inner.behind));
    let (weak, reader) = (Arc::downgrade(inner), Arc::clone(&inner.live.read().reader));
    let work = move || {
        let end = end;
        // What goes wrong with the store shows in the queries, which read it.
        let _ = make(&weak, &reader);
        drop(end);
    };
    let _ = std::thread::Builder::new().name("marcato-index".to_owned()).spawn(work);
}

/// The collection is held for moments only, so that its last handle can go at any time.
fn make(weak: &Weak<Inner>, reader: &Arc<Reader>) -> Result<()> {
    let Some((index, similarity)) = weak.upgrade().map(|inner| (inner.index, inner.similarity)) else { return Ok(()) };
    let wanted = &mut |_| if weak.strong_count() > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let mut view = View::build(Index::Hnsw, index, reader, similarity, wanted)?;
    let (mut seq, mut tail) = (reader.state().seq, Tail::default());
    loop {
        let Some(inner) = weak.upgrade() else { return Ok(()) };
        let mut writing = inner.writing.lock();
        let newer = Arc::clone(&inner.live.read().reader);
        if newer.rows_after(seq)? > LAST_ROWS {
            drop(writing);
            drop(inner);
            replay(&mut view, &newer, seq, &mut tail)?;
            seq = newer.state().seq;
            continue;
        }
        replay(&mut view, &newer, seq, &mut tail)?;
        let rows = newer.state().passages;
        if view.len() as u64 != rows {
            // Something is amiss with the log; the store is read on.
            return Ok(());
        }
        (writing.rows, writing.tuned, writing.declined) = (rows, rows, view.is_exact().then_some(rows));
        inner.live.write().view = view;
        return checkpoint(&inner, &mut writing, false);
    }
}
