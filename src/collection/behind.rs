//! The graph of a large collection is loaded behind its back, and made anew there if it is lost.
//!
//! A million passages take a second to load, and several where the system is slow to give memory; to make a graph of them
//! takes minutes. Nobody waits for that but who needs it: passages are read, written and found by their words at once,
//! queries by meaning wait for a graph that is being loaded, and are answered exactly from the store while one is being made.
//! What is written meanwhile is in the log, which is kept until the graph has caught up with it.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::Inner;
use super::graph_file::{GraphFile, Loaded, replay};
use super::options::Index;
use super::recover::{Tail, checkpoint};
use super::view::View;
use crate::error::Result;
use crate::index::VectorIndex;
use crate::snapshot::Wanted;
use crate::store::Reader;

/// Passages from which on nobody should have to wait for the graph: about three seconds of building.
pub(super) const BEHIND_ROWS: u64 = 10_000;

/// Changes that may be replayed with writers held off: some milliseconds.
const LAST_ROWS: u64 = 64;

/// What the thread is at, the last thing first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing: the graph is there, or cannot be.
    #[default]
    Over,
    /// Making the graph from the store, and putting it in its place.
    Making,
    /// Putting the graph in its place that was loaded.
    Placing,
    /// Loading the graph from its snapshot, which it has marked.
    Loading,
}

/// What the thread, and whoever waits for it, know of each other.
#[derive(Default)]
pub(super) struct Behind {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Handles of the collection that are left.
    handles: usize,
    /// Whether the thread holds the collection itself.
    held: bool,
}

/// Ends the wait for the thread however it ends.
struct End(Arc<Behind>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.enter(Phase::Over);
    }
}

/// The collection in the hands of the thread. The last handle waits for it to be let go, so that the collection is released
/// with that handle and never later: in the order of these fields.
struct Held {
    inner: Arc<Inner>,
    _let_go: LetGo,
}

struct LetGo(Arc<Behind>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.state.lock().held = false;
        self.0.changed.notify_all();
    }
}

impl Behind {
    fn enter(&self, phase: Phase) {
        self.state.lock().phase = phase;
        self.changed.notify_all();
    }

    /// Until the thread is at `phase`, or past it.
    pub(super) fn wait_for(&self, phase: Phase) {
        self.changed.wait_while(&mut self.state.lock(), |state| state.phase > phase);
    }

    pub(super) fn is_loading(&self) -> bool {
        self.state.lock().phase > Phase::Making
    }

    /// There is one more handle.
    pub(super) fn handle_made(&self) {
        self.state.lock().handles += 1;
    }

    /// There is one handle less. After the last one the thread does not touch the collection any more.
    pub(super) fn handle_gone(&self) {
        let mut state = self.state.lock();
        state.handles = state.handles.saturating_sub(1);
        if state.handles == 0 {
            self.changed.wait_while(&mut state, |state| state.held);
        }
    }

    fn is_wanted(&self) -> bool {
        self.state.lock().handles > 0
    }

    /// The collection, unless its last handle is gone.
    fn hold(self: &Arc<Self>, weak: &Weak<Inner>) -> Option<Held> {
        let mut state = self.state.lock();
        if state.handles == 0 {
            return None;
        }
        let inner = weak.upgrade()?;
        state.held = true;
        Some(Held { inner, _let_go: LetGo(Arc::clone(self)) })
    }
}

/// Begins to load the graph of a collection whose view is [`View::Absent`], or to make it. Should there be no thread for it,
/// the collection goes on as it is.
pub(super) fn begin(inner: &Arc<Inner>, file: Option<GraphFile>) {
    if !inner.live.read().view.is_absent() {
        return;
    }
    inner.behind.enter(if file.is_some() { Phase::Loading } else { Phase::Making });
    let end = End(Arc::clone(&inner.behind));
    let (weak, reader) = (Arc::downgrade(inner), Arc::clone(&inner.live.read().reader));
    let work = move || {
        let end = end;
        // What goes wrong with the store shows in the queries, which read it.
        let _ = fill(&weak, &end.0, &reader, file);
        drop(end);
    };
    let _ = std::thread::Builder::new().name("marcato-index".to_owned()).spawn(work);
}

/// The collection is held for moments only, so that its last handle can go at any time; never while [loading](Phase::Loading),
/// for the end of which the last one waits.
fn fill(weak: &Weak<Inner>, behind: &Arc<Behind>, reader: &Arc<Reader>, file: Option<GraphFile>) -> Result<()> {
    let wanted: Wanted = {
        let behind = Arc::clone(behind);
        Arc::new(move || behind.is_wanted())
    };
    let place = |view, tail, loaded| place(|| behind.hold(weak), view, reader, tail, &wanted, loaded);
    if let Some(file) = file {
        let loaded = file.load(reader, &wanted);
        behind.enter(Phase::Placing);
        let reason = match loaded {
            Ok(Loaded { view: Some(view), tail, replayed }) => {
                if let Some(held) = behind.hold(weak) {
                    held.inner.report.lock().replayed = replayed;
                }
                match place(view, tail, true) {
                    Ok(true) => return Ok(()),
                    Ok(false) => "the index does not follow the changes since it was loaded".to_owned(),
                    Err(error) => format!("the changes since the index was loaded cannot be replayed: {error}"),
                }
            }
            Ok(Loaded { view: None, .. }) => return Ok(()),
            Err(reason) => reason,
        };
        let Some(held) = behind.hold(weak) else { return Ok(()) };
        held.inner.report.lock().rebuilt = Some(reason);
        behind.enter(Phase::Making);
    }
    let Some((index, similarity)) = behind.hold(weak).map(|held| (held.inner.index, held.inner.similarity)) else {
        return Ok(());
    };
    let go_on = &mut |_| if wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let view = View::build(Index::Hnsw, index, reader, similarity, go_on)?;
    place(view, Tail::default(), false).map(drop)
}

/// Puts a view into its place, once it has caught up with the changes since `reader`; false if it cannot. Its snapshot is
/// written, unless it came from one that is good enough.
fn place(
    hold: impl Fn() -> Option<Held>,
    mut view: View,
    reader: &Reader,
    mut tail: Tail,
    wanted: &Wanted,
    loaded: bool,
) -> Result<bool> {
    let mut seq = reader.state().seq;
    loop {
        let Some(held) = hold() else { return Ok(true) };
        let inner = &held.inner;
        let mut writing = inner.writing.lock();
        let newer = Arc::clone(&inner.live.read().reader);
        if newer.rows_after(seq)? > LAST_ROWS {
            drop(writing);
            drop(held);
            replay(&mut view, &newer, seq, &mut tail, &**wanted)?;
            seq = newer.state().seq;
            continue;
        }
        replay(&mut view, &newer, seq, &mut tail, &**wanted)?;
        let rows = newer.state().passages;
        if view.len() as u64 != rows {
            // Something is amiss with the log; the store is read on.
            return Ok(false);
        }
        if !loaded {
            tail = Tail { rows, tuned: rows, declined: view.is_exact().then_some(rows), ..tail };
        }
        *writing = tail;
        inner.live.write().view = view;
        return checkpoint(inner, &mut writing, loaded).map(|()| true);
    }
}
