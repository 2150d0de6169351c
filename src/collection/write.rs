//! Add, upsert, delete: encode outside of any lock, one store transaction, then the view.

use std::collections::HashSet;
use std::ops::ControlFlow;

use half::f16;

use super::commit::Request;
use super::view::unwatched;
use super::{Collection, Inner};
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::passage::{MAX_BATCH_PASSAGES, Passage, PassageId};
use crate::progress::{OnProgress, Progress, Stage, report};
use crate::similarity::Similarity;

/// Texts that go to the encoder at once, between two reports of progress.
const ENCODE_AT_ONCE: usize = 512;

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
    /// `Misuse` if an id exists already or comes twice, a limit is passed (a million passages is the most), or an embedding
    /// does not fit; the encoder's errors; `Full`, `Io` or `Poisoned` from the store.
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
        let delete = ids.iter().map(|id| id.as_ref().to_owned()).collect();
        let written = self.0.submit(Request { delete, ..Request::default() })?.1;
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
    request: Request,
    /// The id of each passage that was handed in, those that others overtook included.
    given: Vec<Option<PassageId>>,
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
        Ok(Prepared { request: Request { delete: Vec::new(), passages, embeddings, replace }, given })
    }

    /// Writes a batch: when it returns, all of it is durable and can be found.
    pub(super) fn commit(&self, batch: Prepared) -> Result<Written> {
        let Prepared { request, given } = batch;
        let (ticket, written) = self.submit(request)?;
        let passages = &ticket.request.passages;
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
}
