//! Any number of passages, in bounded memory: reading, encoding and writing side by side, a batch each.
//!
//! The caller's thread reads; a second encodes, on the encoder's own threads; a third writes and brings the index up
//! to date. Each hands its batch to the next and waits until it is taken, so that three batches are in memory at most,
//! and they become durable in the order in which they were read.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::result::Result as StdResult;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use super::view::unwatched;
use super::write::Prepared;
use super::{Collection, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::passage::Passage;

/// Enough for the encoder's threads to spend little of their time waiting for the last of them at the end of a batch;
/// few enough to be durable every few seconds.
const BATCH: usize = 1024;

/// Bytes of passages that end a batch, however few they are.
const BATCH_BYTES: usize = 8 << 20;

/// Passages that are about to be added; [`run`](Self::run) does it.
#[must_use = "nothing is read until it is run"]
pub struct Ingest<'c, I> {
    collection: &'c Collection,
    passages: I,
    batch: usize,
    on_durable: OnDurable<'c>,
}

type OnDurable<'c> = Box<dyn FnMut(Ingested) -> ControlFlow<()> + Send + 'c>;

/// What has become durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ingested {
    /// Passages that are new.
    pub added: u64,
    /// Passages that took the place of one with their id.
    pub updated: u64,
}

impl Collection {
    /// Adds passages of any number, such as the lines of a file, each taking the place of the one with its id.
    ///
    /// They are read, encoded and written at the same time, in batches: [`upsert`](Self::upsert) of each batch would do
    /// the same, one after the other. Beside what the collection itself needs for each, memory does not grow with their
    /// number.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::{Collection, Error, Passage};
    /// let notes = Collection::in_memory()?;
    /// let lines = "Oats are sown in spring\nA violin has four strings".lines();
    /// let passages = lines.zip(1..).map(|(line, n)| Ok::<_, Error>(Passage::new(line).id(format!("line {n}"))));
    /// assert_eq!(notes.ingest(passages).run()?.added, 2);
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    pub fn ingest<I: IntoIterator>(&self, passages: I) -> Ingest<'_, I::IntoIter> {
        Ingest {
            collection: self,
            passages: passages.into_iter(),
            batch: BATCH,
            on_durable: Box::new(|_| ControlFlow::Continue(())),
        }
    }
}

impl<'c, I> Ingest<'c, I> {
    /// Passages that become durable together, 1 or more; 1024 by default, and fewer if they have more than 8 MiB.
    pub fn batch(mut self, passages: usize) -> Self {
        self.batch = passages;
        self
    }

    /// Is told after each batch how many passages are durable by now, on a thread of its own. `Break` ends the work with
    /// `Cancelled`; what is durable stays.
    pub fn on_durable(mut self, on_durable: impl FnMut(Ingested) -> ControlFlow<()> + Send + 'c) -> Self {
        self.on_durable = Box::new(on_durable);
        self
    }

    /// Adds the passages, and says how many there were.
    ///
    /// # Errors
    /// The first error of the iterator: whole batches before it are durable, and nothing of the one that it is in.
    /// As [`Collection::upsert`] for a batch: those before it are durable, and none after it. `Misuse` for a batch of
    /// none; `Cancelled`; `Io` if the machine is out of threads.
    pub fn run<P, E>(self) -> StdResult<Ingested, E>
    where
        I: Iterator<Item = StdResult<P, E>>,
        P: Into<Passage>,
        E: From<Error>,
    {
        let Self { collection, passages, batch, on_durable } = self;
        if batch == 0 {
            return Err(Error::misuse("a batch needs room for at least one passage").into());
        }
        let inner = &*collection.0;
        scope(|scope| {
            let (hand_over, read) = sync_channel(0);
            let (hand_on, prepared) = sync_channel(0);
            let writing = spawn(scope, "marcato-write", move || write(inner, prepared, on_durable))?;
            let encoding = spawn(scope, "marcato-prepare", move || encode(inner, read, &hand_on))?;
            let outcome = collect(passages, batch, &hand_over);
            drop(hand_over);
            let encoded = encoding.join().unwrap_or_else(|panic| resume_unwind(panic));
            let written = writing.join().unwrap_or_else(|panic| resume_unwind(panic));
            // Of several errors the one that concerns the earliest passages: what came after it was given up.
            let written = written?;
            encoded?;
            outcome.map(|()| written)
        })
    }
}

/// Reads batches until the end, an error, or nobody takes them any more: whoever that is has an error of their own.
fn collect<P: Into<Passage>, E: From<Error>>(
    passages: impl Iterator<Item = StdResult<P, E>>,
    size: usize,
    hand_over: &SyncSender<Vec<Passage>>,
) -> StdResult<(), E> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for passage in passages {
        let mut passage: Passage = passage?.into();
        match passage.check(batch.len()) {
            Ok(size) => bytes += size,
            Err(error) => {
                passage.dismantle();
                return Err(error.into());
            }
        }
        batch.push(passage);
        if batch.len() >= size || bytes >= BATCH_BYTES {
            if hand_over.send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        let _ = hand_over.send(batch);
    }
    Ok(())
}

fn encode(inner: &Inner, read: Receiver<Vec<Passage>>, hand_on: &SyncSender<Prepared>) -> Result<()> {
    for passages in read {
        let prepared = inner.prepare(passages, true, &mut unwatched())?;
        if hand_on.send(prepared).is_err() {
            break;
        }
    }
    Ok(())
}

fn write(inner: &Inner, prepared: Receiver<Prepared>, mut on_durable: OnDurable<'_>) -> Result<Ingested> {
    let mut total = Ingested::default();
    for batch in prepared {
        let written = inner.commit(batch)?;
        total.added += written.added;
        total.updated += written.updated;
        if on_durable(total).is_break() {
            let durable = total.added + total.updated;
            return Err(Error::new(ErrorKind::Cancelled, format!("cancelled after {durable} passages")));
        }
    }
    Ok(total)
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot start a thread to add passages").with_source(source))
}
