//! On open: the view from its snapshot and the changes since, or from the store anew; that of a large collection
//! [behind](super::behind) its back. In between and at the end: the snapshot. No file of a view can make opening fail
//! (invariant V2).

use std::path::Path;
use std::sync::Arc;

use super::Inner;
#[cfg(feature = "usearch")]
use super::graph_file::{self, GraphFile, Loaded, always};
use super::live::Live;
use super::options::{CollectionOptions, Index};
#[cfg(feature = "usearch")]
use super::view::settle;
use super::view::{View, unwatched};
use crate::error::Result;
use crate::index::VectorIndex;
use crate::progress::OnProgress;
use crate::similarity::Similarity;
use crate::store::{Reader, Store};

/// What happened when a collection was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Passages that were there.
    pub passages: u64,
    /// Changes that were replayed onto the index's snapshot. 0 until it is loaded.
    pub replayed: u64,
    /// Why the index has to be built anew from the store, if it has to. A large one is built while the collection is in use;
    /// until it is there, every query compares with every passage. A snapshot of a large one is found damaged only while
    /// it is loaded, which goes on for a while after the collection was opened.
    pub rebuilt: Option<String>,
}

/// How far the snapshot on disk is behind the view.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Rows added or removed since it was written.
    pub(super) rows: u64,
    /// Where the change log begins.
    pub(super) pruned: u64,
    /// How many rows the graph had when it was last fitted to its data.
    pub(super) tuned: u64,
    /// How many rows there were when a graph was found not worth having; it is tried again at twice as many.
    pub(super) declined: Option<u64>,
}

impl Tail {
    /// Whether to replay what the snapshot of a graph of `rows` rows lacks would cost more than writing it.
    pub(super) fn is_due(&self, rows: u64) -> bool {
        self.rows > rows / 256
    }

    /// Whether a graph of `rows` rows has been tried, and found wanting.
    pub(super) fn declines(&self, rows: u64) -> bool {
        self.declined.is_some_and(|declined| rows < declined.saturating_mul(2))
    }
}

/// Changes that an exact view lets pile up in the log before it has them dropped. It never needs them.
const PRUNE_EVERY: u64 = 1024;

/// The view is rebuilt when this part of it is removed rows, which usearch never gives back.
#[cfg(feature = "usearch")]
const DEAD_FRACTION: f32 = 0.3;

/// A graph is fitted to its data again when it has grown to so many times the rows: the more there are, the farther a
/// search has to walk. After a doubling 0.90 was found of twenty queries; each time takes a look at every row, and half a second of walks or more.
#[cfg(feature = "usearch")]
const GROWTH: f64 = 1.25;

/// What a collection opens with.
pub(super) struct Recovered {
    pub(super) live: Live,
    pub(super) tail: Tail,
    pub(super) report: OpenReport,
    /// What is to be loaded in the place of a [`View::Absent`].
    #[cfg(feature = "usearch")]
    pub(super) file: Option<GraphFile>,
}

impl Recovered {
    fn with(reader: Arc<Reader>, view: View, tail: Tail, report: OpenReport) -> Self {
        Self {
            live: Live { view, reader },
            tail,
            report,
            #[cfg(feature = "usearch")]
            file: None,
        }
    }
}

pub(super) fn recover(options: &mut CollectionOptions, store: &Store, directory: Option<&Path>) -> Result<Recovered> {
    let (index, similarity): (Index, Similarity) =
        (store.settings().index.parse()?, store.settings().similarity.parse()?);
    let mut silent = unwatched();
    let on_progress: OnProgress<'_> = match &mut options.on_progress {
        Some(on_progress) => on_progress.as_mut(),
        None => &mut silent,
    };
    let reader = Arc::new(store.reader()?);
    let passages = reader.state().passages;
    #[cfg_attr(not(feature = "usearch"), expect(unused_mut, reason = "there is no file to tell of"))]
    let mut report = OpenReport { passages, ..OpenReport::default() };
    let kind = View::kind(index, passages);
    #[cfg(feature = "usearch")]
    if let (Index::Hnsw, Some(directory)) = (kind, directory)
        && passages > 0
    {
        let file = match GraphFile::find(store, &reader, similarity, directory)? {
            Ok(file) if passages >= options.behind_from && !file.declines() => {
                let tail = file.tail(&reader);
                return Ok(Recovered { file: Some(file), ..Recovered::with(reader, View::Absent, tail, report) });
            }
            found => found,
        };
        match file.and_then(|file| file.load(&reader, &always())) {
            Ok(Loaded { view: Some(view), tail, replayed }) => {
                report.replayed = replayed;
                return Ok(Recovered::with(reader, view, tail, report));
            }
            Ok(Loaded { view: None, tail, .. }) if tail.declines(passages) => {
                let view = View::build(Index::Exact, index, &reader, similarity, on_progress)?;
                return Ok(Recovered::with(reader, view, tail, report));
            }
            Ok(_) => {}
            Err(reason) => report.rebuilt = Some(reason),
        }
        if passages >= options.behind_from {
            return Ok(Recovered::with(reader, View::Absent, Tail::default(), report));
        }
    }
    #[cfg(not(feature = "usearch"))]
    let _ = directory;
    let view = View::build(kind, index, &reader, similarity, on_progress)?;
    let declined = (kind == Index::Hnsw && view.is_exact()).then_some(passages);
    let tail = Tail { rows: passages, tuned: passages, declined, ..Tail::default() };
    Ok(Recovered::with(reader, view, tail, report))
}

/// Writes the view's snapshot and prunes the log below it. With `only_if_due` not before it [is](Tail::is_due): a row
/// takes 0.4 ms to replay, at each open, and 1.5 us to write, once.
pub(super) fn checkpoint(inner: &Inner, tail: &mut Tail, only_if_due: bool) -> Result<()> {
    if inner.store.is_read_only() {
        return Ok(());
    }
    let (exact, rows, seq) = {
        let live = inner.live.read();
        // What is not there yet needs the log from where its making began, or from its snapshot on.
        if live.view.is_absent() {
            return Ok(());
        }
        (live.view.is_exact(), live.view.len() as u64, live.reader.state().seq)
    };
    let kept = !exact || tail.declined.is_some();
    let due = kept && tail.is_due(rows) || exact && seq > tail.pruned + PRUNE_EVERY;
    if only_if_due && !due || seq == tail.pruned {
        return Ok(());
    }
    #[cfg(feature = "usearch")]
    if let (Some(directory), true) = (&inner.directory, kept) {
        graph_file::write(inner, directory, tail)?;
    }
    tail.rows = 0;
    #[cfg(feature = "lexical")]
    let seq = seq.min(inner.lexical.kept());
    if seq > tail.pruned {
        inner.store.prune(seq)?;
        tail.pruned = seq;
    }
    Ok(())
}

/// Loads a graph for which nobody waited, if its snapshot [is due](Tail::is_due): so that short visits, each of which
/// writes, do not leave ever more to replay.
#[cfg(feature = "usearch")]
pub(super) fn load_if_due(inner: &Inner, tail: &mut Tail) -> Result<()> {
    let (absent, reader) = {
        let live = inner.live.read();
        (live.view.is_absent(), Arc::clone(&live.reader))
    };
    let due = absent && !inner.store.is_read_only() && tail.is_due(reader.state().passages);
    let Some(directory) = inner.directory.as_ref().filter(|_| due) else { return Ok(()) };
    let found = GraphFile::find(&inner.store, &reader, inner.similarity, directory)?;
    if let Ok(Loaded { view: Some(view), tail: loaded, .. }) = found.and_then(|file| file.load(&reader, &always())) {
        *tail = loaded;
        inner.live.write().view = view;
    }
    Ok(())
}

/// The view anew from the store, and its snapshot.
pub(super) fn rebuild(inner: &Inner, tail: &mut Tail, on_progress: OnProgress<'_>) -> Result<()> {
    build(inner, tail, on_progress)?;
    #[cfg(feature = "usearch")]
    let exact = inner.live.read().view.is_exact();
    #[cfg(feature = "usearch")]
    if let (Some(directory), true) = (&inner.directory, !exact || tail.declined.is_some()) {
        graph_file::write(inner, directory, tail)?;
        tail.rows = 0;
    }
    Ok(())
}

/// The view anew, of the kind that fits.
fn build(inner: &Inner, tail: &mut Tail, on_progress: OnProgress<'_>) -> Result<()> {
    // Outside of the lock: queries go on with the old view meanwhile, and nobody else writes.
    let reader = Arc::clone(&inner.live.read().reader);
    let rows = reader.state().passages;
    let kind = View::kind(inner.index, rows);
    let view = View::build(kind, inner.index, &reader, inner.similarity, on_progress)?;
    (tail.tuned, tail.declined) = (rows, (kind == Index::Hnsw && view.is_exact()).then_some(rows));
    inner.live.write().view = view;
    Ok(())
}

/// Keeps a graph fit for its data as it grows, and free of dead weight; or gives it up for an exact view.
#[cfg(feature = "usearch")]
pub(super) fn maintain(inner: &Inner, tail: &mut Tail) -> Result<()> {
    let (exact, rows, dead) = {
        let live = inner.live.read();
        if live.view.is_absent() {
            return Ok(());
        }
        (live.view.is_exact(), live.view.len() as u64, live.view.dead_fraction())
    };
    let mut silent = unwatched();
    let grown = View::kind(inner.index, rows) == Index::Hnsw && exact && !tail.declines(rows);
    if grown || !exact && dead > DEAD_FRACTION {
        build(inner, tail, &mut silent)?;
    } else if !exact && rows as f64 > tail.tuned as f64 * GROWTH {
        let trials = inner.live.read().view.trials()?;
        // Locked for one step at a time, so that queries come in between.
        let worth_it = settle(trials, |trials| inner.live.write().view.tune(trials, inner.index))?;
        tail.tuned = rows;
        if !worth_it {
            let reader = Arc::clone(&inner.live.read().reader);
            let view = View::build(Index::Exact, inner.index, &reader, inner.similarity, &mut silent)?;
            tail.declined = Some(rows);
            inner.live.write().view = view;
        }
    }
    Ok(())
}
