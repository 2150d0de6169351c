//! Field indexes: made and dropped while the collection is in use.

use std::sync::Arc;

use super::Collection;
use crate::error::Result;
use crate::field::Field;

impl Collection {
    /// Makes an index of `field`, so that filters on it read no passages; false if there is one already.
    ///
    /// It is built from the passages that are there, and from then on kept with every batch, in the same transaction.
    /// Queries go on meanwhile, writers wait.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Field, Passage, Similarity};
    /// let points = Collection::options().embeddings(2, Similarity::Cosine).index_field("lang").in_memory()?;
    /// points.add([Passage::new("east").field("year", 2011).embedding(Embedding::new([1.0, 0.0])?)])?;
    /// assert!(points.create_field_index("year")?);
    /// assert_eq!(points.field_indexes(), [Field::from("lang"), Field::from("year")]);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Misuse` if 64 fields are indexed; `Full`, `Io` or `Poisoned` from the store.
    pub fn create_field_index(&self, field: impl Into<Field>) -> Result<bool> {
        let _writing = self.0.writing.lock();
        let made = self.0.store.create_field_index(&field.into())?;
        self.renew_reader()?;
        Ok(made)
    }

    /// Drops the index of `field`; false if there is none. Filters on it work as before, by reading passages.
    ///
    /// # Errors
    /// `Full`, `Io` or `Poisoned` from the store.
    pub fn drop_field_index(&self, field: impl Into<Field>) -> Result<bool> {
        let _writing = self.0.writing.lock();
        let dropped = self.0.store.drop_field_index(&field.into())?;
        self.renew_reader()?;
        Ok(dropped)
    }

    /// The fields that have an index, in the order in which they were made.
    pub fn field_indexes(&self) -> Vec<Field> {
        let reader = Arc::clone(&self.0.live.read().reader);
        reader.indexed_fields().cloned().collect()
    }

    /// The rows are the same; what is known of them is not.
    pub(super) fn renew_reader(&self) -> Result<()> {
        let reader = Arc::new(self.0.store.reader()?);
        self.0.live.write().reader = reader;
        Ok(())
    }
}
