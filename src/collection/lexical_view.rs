//! The lexical view of one collection: its words, folded from the change log up to what a query sees.
//!
//! It is brought up to date when somebody asks, and by writers once it is thousands of rows behind: a batch costs no
//! more for it, opening a collection costs nothing, and a small collection has no file for it at all. Like the vector
//! view it has a snapshot, which is of no use at the slightest doubt, and none of its files can make opening fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Inner;
use crate::error::{Error, Result};
use crate::language::Language;
use crate::lexical::{Document, LexicalIndex, Searcher};
use crate::passage::RowId;
use crate::similarity::Similarity;
use crate::snapshot::{self, Expected, Header};
use crate::store::{Reader, Settings, Store, StoredPassage};

/// Rows that writers let the view fall behind: as many as the next query by words has to index at most.
const FOLLOW_ROWS: u64 = 4096;

/// From here a collection has a snapshot. Fewer are indexed anew when words are first searched.
const SNAPSHOT_ROWS: u64 = 1024;

/// While a collection grows its snapshot is renewed when this many rows, or a fifth of them, are not in it.
const GROWING_ROWS: u64 = 20_000;

pub(super) struct LexicalView {
    /// `None` if words are not searched.
    language: Option<Language>,
    /// `None` in memory.
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    folded: Option<Folded>,
    /// The last change in the snapshot on disk, if that is of use.
    saved: Option<u64>,
    /// Rows added or removed since that change.
    unsaved: u64,
    /// Rows added or removed by writers that the view has not followed yet.
    behind: u64,
    /// Why it was built anew although there should have been a snapshot.
    rebuilt: Option<String>,
}

/// The view in memory: every change up to `seq`.
struct Folded {
    index: LexicalIndex,
    seq: u64,
}

impl LexicalView {
    /// Looks at the snapshot's header and no further.
    pub(super) fn open(store: &Store, reader: &Reader, similarity: Similarity, directory: Option<&Path>) -> Self {
        let language = store.lexical_settings().language.parse().ok();
        let path = directory.map(|directory| directory.join("views").join("words.bm25"));
        let mut state = State { unsaved: reader.state().passages, ..State::default() };
        if let (Some(language), Some(path)) = (language, &path) {
            if !store.is_read_only() {
                // Only litter; whatever is wrong with the folder shows when the next snapshot is written.
                let _ = snapshot::sweep(store.medium(), path);
            }
            let engine = LexicalIndex::engine(language);
            let expected = expected(store.settings(), similarity, &engine);
            let snapshot = snapshot::open(store.medium(), path, &expected);
            match snapshot.map(|snapshot| snapshot.header).map_err(|reason| reason.to_string()) {
                Ok(header) if is_of_this_history(reader, &header) => {
                    state.saved = Some(header.seq);
                    // What cannot be read is as good as not there.
                    state.unsaved = reader.rows_after(header.seq).unwrap_or(u64::MAX);
                }
                Ok(_) => state.rebuilt = Some(snapshot::Reason::Foreign.to_string()),
                Err(reason) => state.rebuilt = Some(reason),
            }
            if state.unsaved < SNAPSHOT_ROWS {
                state.rebuilt = None;
            }
        }
        Self { language, path, state: Mutex::new(state) }
    }

    /// The language of its words; `None` if they are not searched.
    pub(super) fn language(&self) -> Option<Language> {
        self.language
    }

    /// The same, or the error that they are not.
    pub(super) fn searched(&self) -> Result<Language> {
        self.language.ok_or_else(|| {
            Error::misuse("the words of this collection are not searched: it was made without; use the mode dense")
        })
    }

    /// Why the view had to be built anew, if it had to although there should have been a snapshot.
    pub(super) fn rebuilt(&self) -> Option<String> {
        self.state.lock().rebuilt.clone()
    }

    /// The words, and the store at the very same change.
    pub(super) fn search(&self, inner: &Inner) -> Result<(Searcher, Arc<Reader>)> {
        let language = self.searched()?;
        let reader = Arc::clone(&inner.live.read().reader);
        let mut state = self.state.lock();
        state.fold(self.path.as_deref(), language, &inner.store, &reader, inner.similarity)?;
        // The long part is done, with nobody waiting but those who want the same. Writers may have come in between;
        // what they wrote is folded with them held off.
        let live = inner.live.read();
        state.fold(self.path.as_deref(), language, &inner.store, &live.reader, inner.similarity)?;
        let folded = state.folded.as_ref().ok_or_else(|| Error::misuse("the lexical view is closed"))?;
        Ok((folded.index.searcher(), Arc::clone(&live.reader)))
    }

    /// Writers tell of the rows that they added or removed. The view follows now and then; it cannot fail a batch.
    pub(super) fn follow(&self, inner: &Inner, rows: u64) {
        let passages = {
            let mut state = self.state.lock();
            state.behind += rows;
            state.unsaved += rows;
            let Some(language) = self.language.filter(|_| state.behind >= FOLLOW_ROWS) else { return };
            let reader = Arc::clone(&inner.live.read().reader);
            // What goes wrong here goes wrong again, and is told, when somebody searches.
            let _ = state.fold(self.path.as_deref(), language, &inner.store, &reader, inner.similarity);
            reader.state().passages
        };
        let _ = self.save(inner, GROWING_ROWS.max(passages / 5));
    }

    /// The view anew from the passages, and its snapshot. Only for whoever holds the writers' lock.
    pub(super) fn rebuild(&self, inner: &Inner) -> Result<()> {
        let reader = Arc::clone(&inner.live.read().reader);
        let Some(language) = self.language else { return Ok(()) };
        {
            let mut state = self.state.lock();
            state.folded = Some(Folded { index: build(language, &reader)?, seq: reader.state().seq });
            (state.unsaved, state.behind) = (reader.state().passages.max(1), 0);
        }
        self.save(inner, 1)
    }

    /// [`rebuild`](Self::rebuild)s a view that holds rows which are gone.
    pub(super) fn compact(&self, inner: &Inner) -> Result<()> {
        let dead = |state: &State| state.folded.as_ref().is_some_and(|folded| folded.index.has_dead_rows());
        if self.path.as_ref().is_some_and(|_| self.state.lock().saved.is_some()) {
            self.search(inner)?;
        }
        let dead = dead(&self.state.lock());
        if dead { self.rebuild(inner) } else { Ok(()) }
    }

    /// Writes the snapshot if `due` rows or more are not in it. Only for whoever holds the writers' lock.
    pub(super) fn save(&self, inner: &Inner, due: u64) -> Result<()> {
        let (Some(language), Some(path)) = (self.language, &self.path) else { return Ok(()) };
        let reader = Arc::clone(&inner.live.read().reader);
        let mut state = self.state.lock();
        let too_small = reader.state().passages < SNAPSHOT_ROWS && state.saved.is_none();
        if inner.store.is_read_only() || too_small || state.unsaved < due.max(1) {
            return Ok(());
        }
        state.fold(Some(path), language, &inner.store, &reader, inner.similarity)?;
        let Some(folded) = &state.folded else { return Ok(()) };
        let settings = inner.store.settings();
        let header = Header {
            collection: settings.uuid,
            lineage: reader.state().nonce,
            seq: folded.seq,
            count: folded.index.len(),
            dimension: settings.dimension,
            similarity: inner.similarity,
            expansion_search: 0,
            growth: 0,
            engine: LexicalIndex::engine(language),
        };
        let payload = folded.index.to_bytes()?;
        // Searches go on while it is written.
        drop(state);
        snapshot::write(inner.store.medium(), path, &header, &mut |out| out.write_all(&payload))?;
        let mut state = self.state.lock();
        (state.saved, state.unsaved) = (Some(header.seq), 0);
        Ok(())
    }

    /// The change up to which the log may be forgotten: those after it are not in the snapshot, or not in the view.
    pub(super) fn kept(&self) -> u64 {
        let state = self.state.lock();
        let folded = state.folded.as_ref().map_or(u64::MAX, |folded| folded.seq);
        folded.min(state.saved.unwrap_or(u64::MAX))
    }

    /// Writes the snapshot if that saves time at the next opening: to index a row takes many times what writing one does.
    pub(super) fn save_if_due(&self, inner: &Inner) -> Result<()> {
        let passages = inner.live.read().reader.state().passages;
        self.save(inner, SNAPSHOT_ROWS.max(passages / 64))
    }

    /// The same; and the view in memory is forgotten, so that it does not hold on to the log.
    pub(super) fn close(&self, inner: &Inner) {
        // Nothing is lost if it fails.
        let _ = self.save_if_due(inner);
        self.state.lock().folded = None;
    }
}

impl State {
    /// Brings the view up to what `reader` sees.
    fn fold(
        &mut self,
        path: Option<&Path>,
        language: Language,
        store: &Store,
        reader: &Reader,
        similarity: Similarity,
    ) -> Result<()> {
        let seq = reader.state().seq;
        let mut folded = match self.folded.take() {
            Some(folded) => Ok(folded),
            None => restore(path.filter(|_| self.saved.is_some()), language, store, reader, similarity),
        };
        if let Ok(view) = &mut folded
            && let Err(error) = view.replay(reader)
        {
            folded = Err(format!("the changes since the snapshot cannot be replayed: {error}"));
        }
        let folded = match folded {
            Ok(folded) => folded,
            Err(reason) => {
                if self.saved.take().is_some() {
                    self.rebuilt = Some(reason);
                    self.unsaved = reader.state().passages;
                }
                Folded { index: build(language, reader)?, seq }
            }
        };
        self.folded = Some(folded);
        self.behind = 0;
        Ok(())
    }
}

impl Folded {
    fn replay(&mut self, reader: &Reader) -> Result<()> {
        let seq = reader.state().seq;
        if self.seq >= seq {
            return Ok(());
        }
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for change in reader.changes_after(self.seq)? {
            let change = change?;
            removed.extend(change.removed.into_iter().map(RowId));
            added.extend((change.added_from..change.added_to).map(RowId));
        }
        // Rows that a later change removed are gone from the store already.
        let documents =
            added.iter().filter_map(|row| reader.passage(*row).map(|found| found.map(document)).transpose());
        self.index.update(&removed, documents, added.len())?;
        self.seq = seq;
        let (found, expected) = (self.index.len(), reader.state().passages);
        if found == expected {
            Ok(())
        } else {
            Err(Error::corrupt(format!("the view has {found} rows, the store {expected}")))
        }
    }
}

/// The view from its snapshot; or, in a sentence, why not.
fn restore(
    path: Option<&Path>,
    language: Language,
    store: &Store,
    reader: &Reader,
    similarity: Similarity,
) -> Result<Folded, String> {
    let path = path.ok_or_else(|| snapshot::Reason::Missing.to_string())?;
    let engine = LexicalIndex::engine(language);
    let expected = expected(store.settings(), similarity, &engine);
    let snapshot = snapshot::open(store.medium(), path, &expected).map_err(|reason| reason.to_string())?;
    if !is_of_this_history(reader, &snapshot.header) {
        return Err(snapshot::Reason::Foreign.to_string());
    }
    let Header { seq, count, .. } = snapshot.header;
    let index = snapshot.read(|payload| {
        let mut bytes = Vec::new();
        payload.read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
        LexicalIndex::from_bytes(&bytes, language, count)
    });
    Ok(Folded { index: index.map_err(|reason| reason.to_string())?, seq })
}

fn build(language: Language, reader: &Reader) -> Result<LexicalIndex> {
    let mut index = LexicalIndex::new(language)?;
    let passages = usize::try_from(reader.state().passages).unwrap_or(usize::MAX);
    index.update(&[], reader.passages()?.map(|passage| passage.map(document)), passages)?;
    Ok(index)
}

fn document(passage: StoredPassage) -> Document {
    Document { row: passage.row, title: passage.title, text: passage.text }
}

fn expected<'e>(settings: &Settings, similarity: Similarity, engine: &'e str) -> Expected<'e> {
    Expected { collection: settings.uuid, dimension: settings.dimension, similarity, engine }
}

/// A store that was restored from a copy may have another history, or a shorter one, under the same numbers.
fn is_of_this_history(reader: &Reader, header: &Header) -> bool {
    matches!(reader.change(header.seq), Ok(Some(change)) if change.nonce == header.lineage)
}
