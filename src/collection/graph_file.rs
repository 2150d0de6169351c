//! The graph on disk: found when a collection opens, loaded, brought up to date; and written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Inner;
use super::recover::Tail;
use super::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{HnswIndex, VectorIndex};
use crate::medium::Medium;
use crate::passage::RowId;
use crate::similarity::Similarity;
use crate::snapshot::{self, Expected, Header, Reason, Snapshot, Wanted};
use crate::store::{Reader, Store};

/// The search expansion in the snapshot of a graph that was not worth having. It has no payload, and saves the next
/// opening from building the graph to find out.
const DECLINED: u32 = 0;

pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join("views").join("embeddings.hnsw")
}

/// For work that has to be done.
pub(super) fn always() -> Wanted {
    Arc::new(|| true)
}

/// A snapshot that fits the store, as far as its header says.
pub(super) struct GraphFile {
    snapshot: Snapshot,
    medium: Arc<dyn Medium>,
    path: PathBuf,
    read_only: bool,
    dimension: usize,
    similarity: Similarity,
}

/// What is in it, as the reader sees it for which it was loaded.
pub(super) struct Loaded {
    /// `None`: a graph is not worth it.
    pub(super) view: Option<View>,
    pub(super) tail: Tail,
    /// Changes that were replayed.
    pub(super) replayed: u64,
}

impl GraphFile {
    /// The snapshot in `directory`; or, in a sentence, why there is none to be used.
    pub(super) fn find(
        store: &Store,
        reader: &Reader,
        similarity: Similarity,
        directory: &Path,
    ) -> Result<Result<Self, String>> {
        let (settings, path) = (store.settings(), path_in(directory));
        if !store.is_read_only() {
            // Only litter; whatever is wrong with the folder shows when the next snapshot is written.
            let _ = snapshot::sweep(store.medium(), &path);
        }
        let (dimension, engine) = (settings.dimension, HnswIndex::engine());
        let expected = Expected { collection: settings.uuid, dimension, similarity, engine: &engine };
        let snapshot = match snapshot::open(store.medium(), &path, &expected) {
            Ok(snapshot) => snapshot,
            Err(reason) => return Ok(Err(reason.to_string())),
        };
        // A store that was restored from a copy may have another history, or a shorter one, under the same numbers.
        if reader.change(snapshot.header.seq)?.is_none_or(|change| change.nonce != snapshot.header.lineage) {
            return Ok(Err(Reason::Foreign.to_string()));
        }
        Ok(Ok(Self {
            snapshot,
            medium: store.shared_medium(),
            path,
            read_only: store.is_read_only(),
            dimension: dimension as usize,
            similarity,
        }))
    }

    /// Whether it says that a graph is not worth having.
    pub(super) fn declines(&self) -> bool {
        self.snapshot.header.expansion_search == DECLINED
    }

    /// How far it is behind what `reader` sees, before anything is replayed.
    pub(super) fn tail(&self, reader: &Reader) -> Tail {
        // A log that cannot be read shows when it is replayed.
        Tail { rows: reader.rows_after(self.snapshot.header.seq).unwrap_or_default(), ..self.start() }
    }

    fn start(&self) -> Tail {
        let Header { seq, count, growth, .. } = self.snapshot.header;
        // Rounded such that `growth` gives the same again: without growth no number of openings leads to a fitting.
        let tuned = count.saturating_mul(100).div_ceil(100 + u64::from(growth));
        Tail { rows: 0, pruned: seq, tuned, declined: self.declines().then_some(count) }
    }

    /// Its view, and the changes since that `reader` sees; or, in a sentence, why not. It ends early once `wanted` says
    /// no.
    pub(super) fn load(self, reader: &Reader, wanted: &Wanted) -> Result<Loaded, String> {
        let (mut tail, declines) = (self.start(), self.declines());
        let Header { seq, count, expansion_search, .. } = self.snapshot.header;
        if declines {
            let read = self.snapshot.read(|_| Ok(Loaded { view: None, tail, replayed: 0 }));
            return read.map_err(|reason| reason.to_string());
        }
        let rows = usize::try_from(count).unwrap_or(usize::MAX);
        let (dimension, similarity) = (self.dimension, self.similarity);
        let snapshot = self.snapshot.while_wanted(Arc::clone(wanted));
        // A reader leaves no mark: it must not write, and several may load at once.
        let mark = if self.read_only { None } else { snapshot::Loading::begin(&*self.medium, &self.path).ok() };
        let graph = snapshot
            .read(|payload| HnswIndex::read_from(payload, dimension, similarity, rows, expansion_search as usize));
        if let Some(mark) = mark {
            let _ = mark.done();
        }
        let mut view = View::Hnsw(Box::new(graph.map_err(|reason| reason.to_string())?), None);
        let replayed = replay(&mut view, reader, seq, &mut tail, &**wanted)
            .map_err(|error| format!("the changes since the snapshot cannot be replayed: {error}"))?;
        let passages = reader.state().passages;
        if view.len() as u64 != passages {
            return Err(format!("the index has {} rows, the store {passages}", view.len()));
        }
        Ok(Loaded { view: Some(view), tail, replayed })
    }
}

/// Brings a view of the change `seq` up to what `reader` sees, while `wanted` says so; says how many changes that were.
pub(super) fn replay(
    view: &mut View,
    reader: &Reader,
    seq: u64,
    tail: &mut Tail,
    wanted: &dyn Fn() -> bool,
) -> Result<u64> {
    let mut replayed = 0;
    let mut embedding = Vec::new();
    for change in reader.changes_after(seq)? {
        let change = change?;
        for row in change.removed {
            view.remove(RowId(row))?;
            tail.rows += 1;
        }
        for row in (change.added_from..change.added_to).map(RowId) {
            if !wanted() {
                return Err(Error::new(ErrorKind::Cancelled, "the collection was closed"));
            }
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

/// From `before` to `rows` in hundredths, rounded up: a graph is fitted to its data early rather than late.
fn growth(before: u64, rows: u64) -> u8 {
    let hundredths = (rows.saturating_sub(before) * 100).div_ceil(before.max(1));
    u8::try_from(hundredths).unwrap_or(u8::MAX)
}

/// Writes the graph's snapshot into `directory`; of an exact view, that a graph was declined.
pub(super) fn write(inner: &Inner, directory: &Path, tail: &Tail) -> Result<()> {
    let settings = inner.store.settings();
    // Queries go on beside it, and nobody but the caller would change the view.
    let live = inner.live.read();
    let state = live.reader.state();
    let graph = match &live.view {
        View::Absent | View::Exact(_) => None,
        View::Hnsw(graph, _) => Some(graph),
    };
    let header = Header {
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
    snapshot::write(inner.store.medium(), &path_in(directory), &header, &mut payload)
}
