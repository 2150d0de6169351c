//! Batches into the store and the views: those of callers that come at once in one transaction, with one fsync.
//!
//! Whoever gets the writers' lock first writes for all who wait for it, so that many small batches at once take hardly
//! longer than one. Each is whole or not at all, has a change of its own in the log, and fails by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use half::f16;
use parking_lot::Mutex;

use super::Inner;
use super::options::Index;
#[cfg(feature = "usearch")]
use super::recover::maintain;
use super::recover::{Tail, checkpoint};
use super::view::{View, unwatched};
use crate::error::{Error, ErrorKind, Result};
use crate::index::VectorIndex;
use crate::passage::{Passage, PassageId, RowId};
use crate::store::{self, Batch, NewPassage};

/// Passages and deletions that are written in one transaction, unless a single batch has more.
const GROUP: usize = 4096;

/// Rows that enter a view under one lock: about 6 ms of a graph's time, for which queries wait.
const INSERT_AT_ONCE: usize = 16;

/// The snapshot of a growing graph is renewed when this many rows, or a fifth of them, are not in it.
const SNAPSHOT_ROWS: u64 = 20_000;

/// A batch to write.
#[derive(Default)]
pub(super) struct Request {
    pub(super) delete: Vec<String>,
    pub(super) passages: Vec<Passage>,
    /// As the store keeps them, one for each passage.
    pub(super) embeddings: Vec<Vec<f16>>,
    /// Whether a passage may take the place of one with its id.
    pub(super) replace: bool,
}

/// A batch that waits, or has been written.
pub(super) struct Ticket {
    pub(super) request: Request,
    outcome: Mutex<Option<Result<store::Written>>>,
}

/// Batches that wait, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue(Mutex<VecDeque<Arc<Ticket>>>);

impl Queue {
    /// The batches that are written next; none if there are none.
    pub(super) fn take(&self) -> Vec<Arc<Ticket>> {
        let mut waiting = self.0.lock();
        let mut size = 0;
        let fits = |ticket: &Arc<Ticket>| {
            let before = size;
            size += ticket.request.size();
            before == 0 || size <= GROUP
        };
        let count = waiting.iter().map(fits).take_while(|fits| *fits).count();
        waiting.drain(..count).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Request {
    /// At least 1.
    fn size(&self) -> usize {
        (self.delete.len() + self.passages.len()).max(1)
    }
}

impl Inner {
    /// Writes a batch: when it returns, all of it is durable and can be found. Gives the batch back.
    pub(super) fn submit(&self, request: Request) -> Result<(Arc<Ticket>, store::Written)> {
        let ticket = Arc::new(Ticket { request, outcome: Mutex::new(None) });
        self.queue.0.lock().push_back(Arc::clone(&ticket));
        let mut tail = self.writing.lock();
        // Whoever had the lock before may have written it already.
        while ticket.outcome.lock().is_none() {
            let group = self.queue.take();
            // They took it, and did not come to its end.
            if group.is_empty() {
                break;
            }
            let outcomes = self.write(&group, &mut tail);
            group.iter().zip(outcomes).for_each(|(ticket, outcome)| *ticket.outcome.lock() = Some(outcome));
        }
        drop(tail);
        let outcome = ticket.outcome.lock().take();
        let unknown = "the batch may or may not have been written: open the collection again to know";
        let written = outcome.unwrap_or_else(|| Err(Error::new(ErrorKind::Poisoned, unknown)))?;
        Ok((ticket, written))
    }

    /// Writes the batches of `group`, and brings what queries see up to date; an outcome for each.
    fn write(&self, group: &[Arc<Ticket>], tail: &mut Tail) -> Vec<Result<store::Written>> {
        let outcomes = match self.write_together(group) {
            // One that should have been refused by itself has spoilt it for all, and nothing is written.
            Err(_) if group.len() > 1 && !self.store.is_poisoned() => {
                group.iter().map(|ticket| self.write_together(std::slice::from_ref(ticket)).and_then(first)).collect()
            }
            Err(error) => {
                let same = |_| Err(Error::new(error.kind(), error.to_string()));
                let mut errors: Vec<_> = group.iter().skip(1).map(same).collect();
                errors.push(Err(error));
                errors
            }
            Ok(outcomes) => outcomes,
        };
        let done = group.iter().zip(&outcomes);
        let done: Vec<_> =
            done.filter_map(|(ticket, outcome)| Some((&ticket.request, outcome.as_ref().ok()?))).collect();
        match self.publish(&done, tail) {
            Ok(()) => outcomes,
            Err(error) => {
                let told = |outcome: Result<store::Written>| {
                    outcome.and_then(|_| Err(Error::new(error.kind(), error.to_string())))
                };
                outcomes.into_iter().map(told).collect()
            }
        }
    }

    fn write_together(&self, group: &[Arc<Ticket>]) -> Result<Vec<Result<store::Written>>> {
        let deletions: Vec<Vec<&str>> =
            group.iter().map(|ticket| ticket.request.delete.iter().map(String::as_str).collect()).collect();
        let batches = group.iter().zip(&deletions).map(|(ticket, delete)| ticket.request.batch(delete));
        self.store.write(&batches.collect::<Result<Vec<_>>>()?)
    }

    /// Brings what queries see up to date with batches that the store has. They are durable whatever happens here.
    fn publish(&self, done: &[(&Request, &store::Written)], tail: &mut Tail) -> Result<()> {
        let rows: usize = done.iter().map(|(_, written)| written.ids.len() + written.removed.len()).sum();
        if rows == 0 {
            return Ok(());
        }
        let applied = self.apply(done);
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
        tail.rows += rows as u64;
        #[cfg(feature = "lexical")]
        self.lexical.follow(self, rows as u64);
        // What follows concerns speed alone, and the next batch or opening tries again: it cannot fail the batch.
        #[cfg(feature = "usearch")]
        let _ = maintain(self, tail);
        if self.live.read().view.is_exact() || tail.rows >= SNAPSHOT_ROWS.max(passages / 5) {
            let _ = checkpoint(self, tail, true);
        }
        Ok(())
    }

    fn apply(&self, done: &[(&Request, &store::Written)]) -> Result<()> {
        for (request, written) in done {
            let mut row = written.first_row;
            for part in request.embeddings.chunks(INSERT_AT_ONCE) {
                let mut live = self.live.write();
                for embedding in part {
                    live.view.insert(RowId(row), embedding)?;
                    row += 1;
                }
            }
        }
        let reader = Arc::new(self.store.reader()?);
        let mut live = self.live.write();
        for row in done.iter().flat_map(|(_, written)| &written.removed) {
            live.view.remove(*row)?;
        }
        live.reader = reader;
        Ok(())
    }
}

fn first<T>(outcomes: Vec<Result<T>>) -> Result<T> {
    outcomes.into_iter().next().unwrap_or_else(|| Err(Error::misuse("a batch has no outcome")))
}

impl Request {
    fn batch<'r>(&'r self, delete: &'r [&'r str]) -> Result<Batch<'r>> {
        let new = |(passage, embedding): (&'r Passage, &'r Vec<f16>)| -> Result<NewPassage<'r>> {
            Ok(NewPassage {
                id: passage.id.as_ref().map(PassageId::as_str),
                title: passage.title.as_deref(),
                text: &passage.text,
                metadata: passage.metadata_json()?,
                embedding,
            })
        };
        let put = self.passages.iter().zip(&self.embeddings).map(new).collect::<Result<Vec<_>>>()?;
        Ok(Batch { delete, put, replace: self.replace })
    }
}
