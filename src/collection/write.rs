//! Add, upsert, delete: encode outside of any lock, one store transaction, then the view.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use half::f16;

use super::options::Index;
#[cfg(feature = "usearch")]
use super::recover::maintain;
use super::recover::{Tail, checkpoint};
use super::view::{View, unwatched};
use super::{Collection, Inner};
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::index::VectorIndex;
use crate::passage::{MAX_BATCH_PASSAGES, Passage, PassageId, RowId};
use crate::progress::{OnProgress, Progress, Stage, report};
use crate::similarity::Similarity;
use crate::store::{self, Batch, NewPassage};

/// Texts that go to the encoder at once, between two reports of progress.
const ENCODE_AT_ONCE: usize = 512;

/// Rows that enter a view under one lock: about 6 ms of a graph's time, for which queries wait.
const INSERT_AT_ONCE: usize = 16;

/// The snapshot of a growing graph is renewed when this many rows, or a fifth of them, are not in it.
const SNAPSHOT_ROWS: u64 = 20_000;

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The id of each passage that was handed in, in order.
    pub ids: Vec<PassageId>,
    /// Passages that are new.
    pub added: u64,
    /// Passages that took the place of one with their id.
    pub updated: u64,
}

impl Collection {
    /// Adds passages as one batch: when it returns, all of them are durable and can be found; on an error, none is.
    ///
    /// # Errors
    /// `Misuse` if an id exists already or comes twice, a limit is passed (a million passages is the most), or an embedding does not fit; the
    /// encoder's errors; `Full`, `Io` or `Poisoned` from the store.
    pub fn add<P: Into<Passage>>(&self, passages: impl IntoIterator<Item = P>) -> Result<Written> {
        self.put(passages, false, &mut unwatched())
    }

    /// Adds passages, each taking the place of the one with its id. If an id comes twice, the last one stands.
    ///
    /// # Errors
    /// As [`add`](Self::add), but for ids that exist.
    pub fn upsert<P: Into<Passage>>(&self, passages: impl IntoIterator<Item = P>) -> Result<Written> {
        self.put(passages, true, &mut unwatched())
    }

    /// [`add`](Self::add), telling `on_progress` how far it is. It may stop the encoding with `Break`, and nothing is
    /// added.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::{Collection, ErrorKind};
    /// use std::ops::ControlFlow;
    /// let notes = Collection::in_memory()?;
    /// let stopped = notes.add_with_progress(["a", "b"], |_| ControlFlow::Break(())).unwrap_err();
    /// assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    /// assert!(notes.is_empty());
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`add`](Self::add); `Cancelled`.
    pub fn add_with_progress<P: Into<Passage>>(
        &self,
        passages: impl IntoIterator<Item = P>,
        mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Written> {
        self.put(passages, false, &mut on_progress)
    }

    /// [`upsert`](Self::upsert), telling `on_progress` how far it is. It may stop the encoding with `Break`, and
    /// nothing is added.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert); `Cancelled`.
    pub fn upsert_with_progress<P: Into<Passage>>(
        &self,
        passages: impl IntoIterator<Item = P>,
        mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Written> {
        self.put(passages, true, &mut on_progress)
    }

    /// Deletes the passages with these ids as one batch, and says how many there were. Unknown ids are no error.
    ///
    /// # Errors
    /// `Misuse` for more than a million; `Full`, `Io` or `Poisoned` from the store.
    pub fn delete<T: AsRef<str>>(&self, ids: impl IntoIterator<Item = T>) -> Result<u64> {
        let ids: Vec<T> = ids.into_iter().take(MAX_BATCH_PASSAGES + 1).collect();
        check_batch(ids.len(), "delete them in several")?;
        let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        let mut tail = self.0.writing.lock();
        let written = self.0.store.write(&Batch { delete: &ids, ..Batch::default() })?;
        self.0.publish(&written, &[], &mut tail)?;
        Ok(written.deleted)
    }

    fn put<P: Into<Passage>>(
        &self,
        passages: impl IntoIterator<Item = P>,
        replace: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Written> {
        let mut passages: Vec<Passage> = passages.into_iter().take(MAX_BATCH_PASSAGES + 1).map(Into::into).collect();
        check_batch(passages.len(), "add them with ingest")?;
        let check = |(place, passage): (usize, &Passage)| passage.check(place);
        if let Err(error) = passages.iter().enumerate().try_for_each(|at| check(at).map(drop)) {
            passages.iter_mut().for_each(Passage::dismantle);
            return Err(error);
        }
        self.0.commit(self.0.prepare(passages, replace, on_progress)?)
    }
}

fn check_batch(size: usize, remedy: &str) -> Result<()> {
    if size <= MAX_BATCH_PASSAGES {
        return Ok(());
    }
    Err(Error::misuse(format!("a batch may have {MAX_BATCH_PASSAGES} passages, this one has more; {remedy}")))
}

/// A batch that has its embeddings: what is left is to write it.
pub(super) struct Prepared {
    passages: Vec<Passage>,
    embeddings: Vec<Vec<f16>>,
    /// The id of each passage that was handed in, those that others overtook included.
    given: Vec<Option<PassageId>>,
    replace: bool,
}

/// Leaves the last passage of each id; refuses repeated ids unless passages may replace each other.
fn drop_repeated(passages: &mut Vec<Passage>, replace: bool) -> Result<()> {
    let mut seen = HashSet::new();
    let mut keep = vec![true; passages.len()];
    for (passage, keep) in passages.iter().zip(&mut keep).rev() {
        if let Some(id) = &passage.id {
            *keep = seen.insert(id);
            if !*keep && !replace {
                return Err(Error::misuse(format!(
                    "id \"{id}\" comes twice in one batch; upsert lets the last one stand"
                )));
            }
        }
    }
    let mut keep = keep.into_iter();
    passages.retain(|_| keep.next().unwrap_or(true));
    Ok(())
}

/// An embedding as the store keeps it: f16, and of unit length if compared by cosine, where f16 is most exact.
pub(super) fn stored(embedding: &Embedding, dimension: usize, similarity: Similarity) -> Result<Vec<f16>> {
    if embedding.len() != dimension {
        return Err(Error::misuse(format!(
            "its embedding has {} numbers, the collection's have {}",
            embedding.len(),
            dimension
        )));
    }
    let scale = match similarity {
        Similarity::Cosine => {
            let norm = embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            if norm == 0.0 {
                return Err(Error::misuse("its embedding is zero, which has no cosine to anything"));
            }
            // What came out of a store goes in as it is.
            if is_stored_unit(embedding, norm) { 1.0 } else { norm.recip() }
        }
        Similarity::Dot => 1.0,
    };
    let stored: Vec<f16> = embedding.iter().map(|value| f16::from_f64(f64::from(*value) * scale)).collect();
    match stored.iter().position(|value| !value.is_finite()) {
        None => Ok(stored),
        Some(at) => Err(Error::misuse(format!(
            "component {at} of its embedding is beyond what is stored (f16, up to {})",
            f16::MAX
        ))),
    }
}

/// Whether these are f16 numbers whose length is 1 as far as f16 rounding of each lets it be.
fn is_stored_unit(embedding: &[f32], norm: f64) -> bool {
    let rounding = 2f64.powi(-11) + (embedding.len() as f64).sqrt() * 2f64.powi(-25);
    (norm - 1.0).abs() <= rounding && embedding.iter().all(|value| f16::from_f32(*value).to_f32() == *value)
}

fn new_passage<'a>(passage: &'a Passage, embedding: &'a Vec<f16>) -> Result<NewPassage<'a>> {
    Ok(NewPassage {
        id: passage.id.as_ref().map(PassageId::as_str),
        title: passage.title.as_deref(),
        text: &passage.text,
        metadata: passage.metadata_json()?,
        embedding,
    })
}

impl Inner {
    /// Encodes passages that are within their limits. Holds no lock, and changes nothing.
    pub(super) fn prepare(
        &self,
        mut passages: Vec<Passage>,
        replace: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Prepared> {
        let given = passages.iter().map(|passage| passage.id.clone()).collect();
        drop_repeated(&mut passages, replace)?;
        let embeddings = self.embed(&passages, on_progress)?;
        Ok(Prepared { passages, embeddings, given, replace })
    }

    /// Writes a batch: when it returns, all of it is durable and can be found.
    pub(super) fn commit(&self, batch: Prepared) -> Result<Written> {
        let Prepared { passages, embeddings, given, replace } = batch;
        let new = |(passage, embedding)| new_passage(passage, embedding);
        let put = passages.iter().zip(&embeddings).map(new).collect::<Result<Vec<_>>>()?;
        let mut tail = self.writing.lock();
        let written = self.store.write(&Batch { put, replace, ..Batch::default() })?;
        self.publish(&written, &embeddings, &mut tail)?;
        drop(tail);

        let repeated = given.len() - passages.len();
        let added = written.ids.len() as u64 - written.replaced;
        let updated = written.replaced + repeated as u64;
        // Passages without an id are never dropped, so the ids made for them come in their order.
        let mut made = passages.iter().zip(written.ids).filter(|(passage, _)| passage.id.is_none()).map(|(_, id)| id);
        let ids = given.into_iter().filter_map(|id| id.or_else(|| made.next().map(PassageId::from))).collect();
        Ok(Written { ids, added, updated })
    }

    /// The embeddings as the store keeps them: the passage's own, or the encoder's.
    fn embed(&self, passages: &[Passage], on_progress: OnProgress<'_>) -> Result<Vec<Vec<f16>>> {
        let mut embeddings: Vec<Vec<f16>> = Vec::with_capacity(passages.len());
        for (start, part) in (0..).step_by(ENCODE_AT_ONCE).zip(passages.chunks(ENCODE_AT_ONCE)) {
            report(on_progress, Stage::Encode, start as u64, passages.len() as u64)?;
            let texts: Vec<String> =
                part.iter().filter(|passage| passage.embedding.is_none()).map(Passage::text_to_encode).collect();
            let mut encoded = if texts.is_empty() { Vec::new() } else { self.encode(&texts)? }.into_iter();
            for (place, passage) in (start..).zip(part) {
                let embedding = match &passage.embedding {
                    Some(embedding) => self.stored(embedding),
                    None => encoded
                        .next()
                        .map_or_else(|| Err(Error::misuse("the encoder gave too few embeddings")), |e| self.stored(&e)),
                };
                embeddings.push(embedding.map_err(|error| {
                    let id = passage.id.as_ref().map_or_else(|| place.to_string(), |id| format!("\"{id}\""));
                    Error::new(error.kind(), format!("passage {id}: {error}")).with_source(error)
                })?);
            }
        }
        report(on_progress, Stage::Encode, passages.len() as u64, passages.len() as u64)?;
        Ok(embeddings)
    }

    fn encode(&self, texts: &[String]) -> Result<Vec<Embedding>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embeddings = self.encoder.get()?.encode_passages(&texts)?;
        if embeddings.len() == texts.len() {
            Ok(embeddings)
        } else {
            Err(Error::misuse(format!("the encoder gave {} embeddings for {} texts", embeddings.len(), texts.len())))
        }
    }

    fn stored(&self, embedding: &Embedding) -> Result<Vec<f16>> {
        stored(embedding, self.dimension, self.similarity)
    }

    /// Brings what queries see up to date with a batch that the store has. The batch is durable whatever happens here.
    fn publish(&self, written: &store::Written, embeddings: &[Vec<f16>], tail: &mut Tail) -> Result<()> {
        if written.ids.is_empty() && written.removed.is_empty() {
            return Ok(());
        }
        let applied = self.apply(written, embeddings);
        let reader = Arc::new(self.store.reader()?);
        let passages = reader.state().passages;
        let behind = {
            let live = self.live.read();
            !live.view.is_absent() && live.view.len() as u64 != passages
        };
        if applied.is_err() || behind {
            // A view that cannot follow is given up for one that cannot fail.
            let view = View::build(Index::Exact, self.index, &reader, self.similarity, &mut unwatched())?;
            let mut live = self.live.write();
            live.view = view;
            live.reader = reader;
        }
        let rows = (written.ids.len() + written.removed.len()) as u64;
        tail.rows += rows;
        #[cfg(feature = "lexical")]
        self.lexical.follow(self, rows);
        // What follows concerns speed alone, and the next batch or opening tries again: it cannot fail the batch.
        #[cfg(feature = "usearch")]
        let _ = maintain(self, tail);
        if self.live.read().view.is_exact() || tail.rows >= SNAPSHOT_ROWS.max(passages / 5) {
            let _ = checkpoint(self, tail, true);
        }
        Ok(())
    }

    fn apply(&self, written: &store::Written, embeddings: &[Vec<f16>]) -> Result<()> {
        let mut row = written.first_row;
        for part in embeddings.chunks(INSERT_AT_ONCE) {
            let mut live = self.live.write();
            for embedding in part {
                live.view.insert(RowId(row), embedding)?;
                row += 1;
            }
        }
        let reader = Arc::new(self.store.reader()?);
        let mut live = self.live.write();
        for row in &written.removed {
            live.view.remove(*row)?;
        }
        live.reader = reader;
        Ok(())
    }
}
