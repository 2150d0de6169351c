//! A collection moved to another model: every passage encoded anew, and nothing else changed.

use std::path::Path;

use super::Collection;
use super::holder::Holder;
use super::lifecycle::{assemble, exists, new_settings, no_collection, open_store, store_path};
use super::options::CollectionOptions;
use super::view::unwatched;
use super::write::stored;
use crate::bi_encoder::Encoder;
use crate::error::{Error, Result};
use crate::progress::{OnProgress, Stage, report};
use crate::store::{Settings, Store, StoredPassage};

/// Passages that are encoded and become durable at once.
const BATCH: usize = 1024;

impl CollectionOptions {
    /// Opens the collection in `path` with this encoder, whatever it was made with: if that was another, every passage is
    /// encoded anew first. Ids, texts, metadata, their order and the indexed fields stay as they are.
    ///
    /// Until the last passage is done the collection is as it was; if the work is interrupted, it goes on the next time
    /// where it was, unless the collection was written meanwhile. It takes as much space as the collection, and nobody
    /// else can use that in the meantime.
    ///
    /// ```no_run
    /// use marcato::{BiEncoder, Collection};
    /// let model = BiEncoder::open("sentence-transformers/msmarco-distilbert-base-tas-b")?;
    /// let notes = Collection::options().encoder(model).reembed("notes.marcato")?;
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open); `Misuse` without an encoder; the encoder's errors; `Cancelled`, with what is done kept.
    pub fn reembed(mut self, path: impl AsRef<Path>) -> Result<Collection> {
        let directory = path.as_ref();
        if !exists(&*self.medium, directory)? {
            return Err(no_collection(directory));
        }
        let store = open_store(&mut self, directory, false)?;
        let holder = Holder::claim(directory);
        if self.embeddings.is_some() {
            return Err(Error::misuse(
                "to encode passages anew takes an encoder; embeddings of your own have to be added",
            ));
        }
        let settings = Settings { index: store.settings().index.clone(), ..new_settings(&self)? };
        if settings.fingerprint == store.settings().fingerprint {
            drop(holder);
            return assemble(self, store, Some(directory));
        }
        let encoder = self.encoder.clone();
        let mut silent = unwatched();
        let on_progress: OnProgress<'_> = match &mut self.on_progress {
            Some(on_progress) => on_progress.as_mut(),
            None => &mut silent,
        };
        let successor = encode_anew(&store, &store_path(directory), settings, encoder.get()?, on_progress)?;
        // In this order: the name leads to the new file, whose lock is held already.
        drop(store);
        drop(holder);
        assemble(self, successor, Some(directory))
    }
}

fn encode_anew(
    store: &Store,
    path: &Path,
    settings: Settings,
    encoder: &dyn Encoder,
    on_progress: OnProgress<'_>,
) -> Result<Store> {
    let (dimension, similarity) = (encoder.dimension(), encoder.similarity());
    let successor = store.successor(path, settings)?;
    let reader = store.reader()?;
    let total = reader.state().passages;
    let last = successor.last()?;
    let mut passages = reader.passages_after(last)?;
    let mut done = match last {
        Some(last) => reader.passages()?.take_while(|passage| passage.as_ref().is_ok_and(|p| p.row <= last)).count(),
        None => 0,
    } as u64;
    loop {
        report(on_progress, Stage::Encode, done, total)?;
        let batch = passages.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
        if batch.is_empty() {
            break;
        }
        let texts: Vec<String> = batch.iter().map(StoredPassage::text_to_encode).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encoded = encoder.encode_passages(&texts)?;
        if encoded.len() != batch.len() {
            let message = format!("the encoder gave {} embeddings for {} texts", encoded.len(), batch.len());
            return Err(Error::misuse(message));
        }
        let convert = |(passage, embedding): (&StoredPassage, _)| {
            stored(embedding, dimension, similarity).map_err(|error| {
                Error::new(error.kind(), format!("passage \"{}\": {error}", passage.id)).with_source(error)
            })
        };
        let embeddings = batch.iter().zip(&encoded).map(convert).collect::<Result<Vec<_>>>()?;
        let rows = batch.iter().zip(&embeddings);
        successor.push(rows.map(|(passage, embedding)| (passage.row, passage.id.as_str(), embedding.as_slice())))?;
        done += batch.len() as u64;
    }
    successor.finish()
}
