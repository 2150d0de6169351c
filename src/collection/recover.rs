//! On open: the view from its snapshot and the changes since, or from the store anew. In between and at the end: the
//! snapshot. No file of a view can make opening fail (invariant V2).

#[cfg(feature = "usearch")]
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Inner;
#[cfg(feature = "usearch")]
use super::behind::BEHIND_ROWS;
use super::live::Live;
use super::options::Index;
use super::view::View;
#[cfg(feature = "usearch")]
use super::view::settle;
use crate::error::Result;
#[cfg(feature = "usearch")]
use crate::index::HnswIndex;
use crate::index::VectorIndex;
#[cfg(feature = "usearch")]
use crate::passage::RowId;
use crate::progress::OnProgress;
use crate::similarity::Similarity;
#[cfg(feature = "usearch")]
use crate::snapshot;
#[cfg(feature = "usearch")]
use crate::store::Reader;
use crate::store::Store;

/// What happened when a collection was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Passages that were there.
    pub passages: u64,
    /// Changes that were replayed onto the index's snapshot.
    pub replayed: u64,
    /// Why the index has to be built anew from the store, if it has to. A large one is built while the collection is in use;
    /// until it is there, every query compares with every passage.
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

/// The search expansion in the snapshot of a graph that was not worth having. It has no payload, and saves the next
/// opening from building the graph to find out.
#[cfg(feature = "usearch")]
const DECLINED: u32 = 0;

fn snapshot_path(directory: &Path) -> PathBuf {
    directory.join("views").join("embeddings.hnsw")
}

pub(super) fn recover(
    store: &Store,
    index: Index,
    similarity: Similarity,
    directory: Option<&Path>,
    on_progress: OnProgress<'_>,
    report: &mut OpenReport,
) -> Result<(Live, Tail)> {
    let reader = Arc::new(store.reader()?);
    report.passages = reader.state().passages;
    let kind = View::kind(index, report.passages);
    #[cfg(feature = "usearch")]
    if let (Index::Hnsw, Some(directory)) = (kind, directory)
        && report.passages > 0
    {
        match restore(store, &reader, similarity, &snapshot_path(directory), report)? {
            Ok((Some(view), tail)) => return Ok((Live { view, reader }, tail)),
            Ok((None, tail)) if tail.declines(report.passages) => {
                let view = View::build(Index::Exact, index, &reader, similarity, on_progress)?;
                return Ok((Live { view, reader }, tail));
            }
            Ok((None, _)) => {}
            Err(reason) => report.rebuilt = Some(reason),
        }
        if report.passages >= BEHIND_ROWS {
            return Ok((Live { view: View::Absent, reader }, Tail::default()));
        }
    }
    #[cfg(not(feature = "usearch"))]
    let _ = directory;
    let view = View::build(kind, index, &reader, similarity, on_progress)?;
    let rows = report.passages;
    let declined = (kind == Index::Hnsw && view.is_exact()).then_some(rows);
    Ok((Live { view, reader }, Tail { rows, tuned: rows, declined, ..Tail::default() }))
}

/// The view from its snapshot and the changes since (none if the snapshot says that a graph is not worth it); or, in a
/// sentence, why not.
#[cfg(feature = "usearch")]
fn restore(
    store: &Store,
    reader: &Reader,
    similarity: Similarity,
    path: &Path,
    report: &mut OpenReport,
) -> Result<Result<(Option<View>, Tail), String>> {
    let settings = store.settings();
    if !store.is_read_only() {
        // Only litter; whatever is wrong with the folder shows when the next snapshot is written.
        let _ = snapshot::sweep(store.medium(), path);
    }
    let engine = HnswIndex::engine();
    let expected =
        snapshot::Expected { collection: settings.uuid, dimension: settings.dimension, similarity, engine: &engine };
    let snapshot = match snapshot::open(store.medium(), path, &expected) {
        Ok(snapshot) => snapshot,
        Err(reason) => return Ok(Err(reason.to_string())),
    };
    let header = &snapshot.header;
    // A store that was restored from a copy may have another history, or a shorter one, under the same numbers.
    if reader.change(header.seq)?.is_none_or(|change| change.nonce != header.lineage) {
        return Ok(Err(snapshot::Reason::Foreign.to_string()));
    }
    // Rounded such that `growth` gives the same again: without growth no number of openings leads to a fitting.
    let tuned = header.count.saturating_mul(100).div_ceil(100 + u64::from(header.growth));
    let mut tail = Tail { rows: 0, pruned: header.seq, tuned, declined: None };
    if header.expansion_search == DECLINED {
        tail.declined = Some(header.count);
        return Ok(snapshot.read(|_| Ok((None, tail))).map_err(|reason| reason.to_string()));
    }
    let rows = usize::try_from(header.count).unwrap_or(usize::MAX);
    let (seq, expansion) = (header.seq, header.expansion_search as usize);
    // A reader leaves no mark: it must not write, and several may load at once.
    let mark = if store.is_read_only() { None } else { snapshot::Loading::begin(store.medium(), path).ok() };
    let loaded = snapshot
        .read(|payload| HnswIndex::read_from(payload, settings.dimension as usize, similarity, rows, expansion));
    if let Some(mark) = mark {
        let _ = mark.done();
    }
    let mut view = match loaded {
        Ok(index) => View::Hnsw(Box::new(index), None),
        Err(reason) => return Ok(Err(reason.to_string())),
    };
    match replay(&mut view, reader, seq, &mut tail) {
        Ok(replayed) => report.replayed = replayed,
        Err(error) => return Ok(Err(format!("the changes since the snapshot cannot be replayed: {error}"))),
    }
    if view.len() as u64 != report.passages {
        return Ok(Err(format!("the index has {} rows, the store {}", view.len(), report.passages)));
    }
    Ok(Ok((Some(view), tail)))
}

/// Brings a view of the change `seq` up to what `reader` sees; says how many changes that were.
#[cfg(feature = "usearch")]
pub(super) fn replay(view: &mut View, reader: &Reader, seq: u64, tail: &mut Tail) -> Result<u64> {
    let mut replayed = 0;
    let mut embedding = Vec::new();
    for change in reader.changes_after(seq)? {
        let change = change?;
        for row in change.removed {
            view.remove(RowId(row))?;
            tail.rows += 1;
        }
        for row in (change.added_from..change.added_to).map(RowId) {
            embedding.clear();
            // Rows that a later change removed are gone from the store already.
            if reader.embedding_into(row, &mut embedding)? {
                view.insert(row, &embedding)?;
            }
            tail.rows += 1;
        }
        replayed += 1;
    }
    Ok(replayed)
}

/// Writes the view's snapshot and prunes the log below it. With `only_if_due` not before replaying its tail would
/// cost more than writing it: a row takes 0.4 ms to replay, at each open, and 1.5 us to write, once.
pub(super) fn checkpoint(inner: &Inner, tail: &mut Tail, only_if_due: bool) -> Result<()> {
    if inner.store.is_read_only() {
        return Ok(());
    }
    let (exact, rows, seq) = {
        let live = inner.live.read();
        // What is not made yet needs the log from where its making began.
        if live.view.is_absent() {
            return Ok(());
        }
        (live.view.is_exact(), live.view.len() as u64, live.reader.state().seq)
    };
    let due = if exact { seq > tail.pruned + PRUNE_EVERY } else { tail.rows > rows / 256 };
    if only_if_due && !due || seq == tail.pruned {
        return Ok(());
    }
    #[cfg(feature = "usearch")]
    if let (Some(directory), true) = (&inner.directory, !exact || tail.declined.is_some()) {
        write_snapshot(inner, &snapshot_path(directory), tail)?;
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

/// The view anew from the store, and its snapshot.
pub(super) fn rebuild(inner: &Inner, tail: &mut Tail, on_progress: OnProgress<'_>) -> Result<()> {
    build(inner, tail, on_progress)?;
    #[cfg(feature = "usearch")]
    let exact = inner.live.read().view.is_exact();
    #[cfg(feature = "usearch")]
    if let (Some(directory), true) = (&inner.directory, !exact || tail.declined.is_some()) {
        write_snapshot(inner, &snapshot_path(directory), tail)?;
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
    let mut silent = super::view::unwatched();
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

/// From `before` to `rows` in hundredths, rounded up: a graph is fitted to its data early rather than late.
#[cfg(feature = "usearch")]
fn growth(before: u64, rows: u64) -> u8 {
    let hundredths = (rows.saturating_sub(before) * 100).div_ceil(before.max(1));
    u8::try_from(hundredths).unwrap_or(u8::MAX)
}

#[cfg(feature = "usearch")]
fn write_snapshot(inner: &Inner, path: &Path, tail: &Tail) -> Result<()> {
    let settings = inner.store.settings();
    // Queries go on beside it, and nobody but the caller would change the view.
    let live = inner.live.read();
    let state = live.reader.state();
    let graph = match &live.view {
        View::Absent | View::Exact(_) => None,
        View::Hnsw(graph, _) => Some(graph),
    };
    let header = snapshot::Header {
        collection: settings.uuid,
        lineage: state.nonce,
        seq: state.seq,
        count: graph.map_or(tail.declined.unwrap_or_default(), |graph| graph.len() as u64),
        dimension: settings.dimension,
        similarity: inner.similarity,
        expansion_search: graph.map_or(DECLINED, |graph| u32::try_from(graph.expansion_search()).unwrap_or(u32::MAX)),
        growth: graph.map_or(0, |graph| growth(tail.tuned, graph.len() as u64)),
        engine: HnswIndex::engine(),
    };
    let mut payload = |out: &mut dyn io::Write| graph.map_or(Ok(()), |graph| graph.write_to(out));
    snapshot::write(inner.store.medium(), path, &header, &mut payload)
}
