//! What users store: a passage of text under an id of theirs, with what they know about it.

use std::borrow::Borrow;
use std::fmt;

use crate::embedding::Embedding;
use crate::error::{Error, Result};

/// What a user knows about a passage besides its text: a JSON object, kept as it is.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// The most bytes that a passage's id may have.
pub const MAX_ID_BYTES: usize = 1024;
/// The most bytes that a passage's text and title may have together. Only the first tokens, up to the model's maximum,
/// reach the embedding; the rest is kept.
pub const MAX_TEXT_BYTES: usize = 16 << 20;
/// The most bytes that a passage's metadata may have, as JSON.
pub const MAX_METADATA_BYTES: usize = 1 << 20;
/// How deep a passage's metadata may nest.
pub const MAX_METADATA_DEPTH: usize = 32;
/// Passages, or ids to delete, of one batch at most. [`Collection::ingest`](crate::Collection::ingest) takes any number.
pub const MAX_BATCH_PASSAGES: usize = 1_000_000;

/// A user's name for a passage, unique in its collection: 1 to [`MAX_ID_BYTES`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassageId(String);

impl PassageId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for PassageId {
    fn from(id: T) -> Self {
        Self(id.into())
    }
}

impl AsRef<str> for PassageId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PassageId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PassageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A passage to add, or one that came back from a collection.
///
/// ```
/// use marcato::Passage;
/// let passage = Passage::new("London has 9,787,426 inhabitants at the 2011 census")
///     .id("london")
///     .title("London")
///     .field("year", 2011);
/// assert_eq!(passage.text_to_encode(), "London London has 9,787,426 inhabitants at the 2011 census");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Passage {
    /// The caller's id; one is made (`row-17`) if there is none.
    pub id: Option<PassageId>,
    /// A heading, encoded in front of the text.
    pub title: Option<String>,
    /// The text.
    pub text: String,
    /// What else is known.
    pub metadata: Metadata,
    /// The embedding, if the caller brings it; the collection's encoder makes it otherwise.
    pub embedding: Option<Embedding>,
}

impl Passage {
    /// A passage of `text` alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { id: None, title: None, text: text.into(), metadata: Metadata::new(), embedding: None }
    }

    /// With an id of the caller's.
    #[must_use]
    pub fn id(mut self, id: impl Into<PassageId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// With a title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// With one more field of metadata; a field of that name is replaced.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// With this metadata in place of what it had.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// With an embedding of the caller's, so that no encoder runs.
    #[must_use]
    pub fn embedding(mut self, embedding: Embedding) -> Self {
        self.embedding = Some(embedding);
        self
    }

    /// What an encoder sees: `title + " " + text`, the convention of BEIR, or the text alone.
    pub fn text_to_encode(&self) -> String {
        text_to_encode(self.title.as_deref(), &self.text)
    }

    /// Checks the documented limits, naming the passage by its id or else by `position` in its batch; gives the bytes of
    /// all that it carries.
    pub(crate) fn check(&self, position: usize) -> Result<usize> {
        let name = || match &self.id {
            Some(id) => format!("passage \"{}\"", id.0.chars().take(80).collect::<String>()),
            None => format!("passage {position} of the batch"),
        };
        if let Some(id) = &self.id {
            if id.0.is_empty() {
                return Err(Error::misuse(format!(
                    "passage {position} of the batch has an empty id; leave it out or name it"
                )));
            }
            if id.0.len() > MAX_ID_BYTES {
                return Err(Error::misuse(format!(
                    "{}: an id may have {MAX_ID_BYTES} bytes, this one has {}",
                    name(),
                    id.0.len()
                )));
            }
        }
        let bytes = self.text.len() + self.title.as_ref().map_or(0, String::len);
        if bytes > MAX_TEXT_BYTES {
            return Err(Error::misuse(format!(
                "{}: text and title may have {MAX_TEXT_BYTES} bytes, these have {bytes}; split it into passages",
                name()
            )));
        }
        if self.metadata.values().any(|value| depth_exceeds(value, MAX_METADATA_DEPTH - 1)) {
            return Err(Error::misuse(format!("{}: metadata may nest {MAX_METADATA_DEPTH} deep", name())));
        }
        let metadata = self.metadata_json()?.len();
        if metadata > MAX_METADATA_BYTES {
            return Err(Error::misuse(format!(
                "{}: metadata may have {MAX_METADATA_BYTES} bytes as JSON, this has {metadata}",
                name()
            )));
        }
        let id = self.id.as_ref().map_or(0, |id| id.0.len());
        let embedding = self.embedding.as_ref().map_or(0, |embedding| size_of_val(&**embedding));
        Ok(bytes + metadata + id + embedding)
    }

    /// Takes the metadata apart without recursion: a value that nests thousands deep would exhaust the stack as it is dropped.
    pub(crate) fn dismantle(&mut self) {
        use serde_json::Value::{Array, Object};
        let mut values: Vec<serde_json::Value> =
            std::mem::take(&mut self.metadata).into_iter().map(|(_, v)| v).collect();
        while let Some(value) = values.pop() {
            match value {
                Array(items) => values.extend(items),
                Object(fields) => values.extend(fields.into_iter().map(|(_, value)| value)),
                _ => {}
            }
        }
    }

    /// The metadata as the store keeps it.
    pub(crate) fn metadata_json(&self) -> Result<String> {
        serde_json::to_string(&self.metadata)
            .map_err(|source| Error::misuse("metadata that is no JSON").with_source(source))
    }
}

pub(crate) fn text_to_encode(title: Option<&str>, text: &str) -> String {
    match title {
        Some(title) if !title.is_empty() => format!("{title} {text}"),
        _ => text.to_owned(),
    }
}

/// Recursion ends at `allowed`, so a hostile value cannot exhaust the stack.
fn depth_exceeds(value: &serde_json::Value, allowed: usize) -> bool {
    use serde_json::Value::{Array, Object};
    match value {
        Array(items) => allowed == 0 || items.iter().any(|item| depth_exceeds(item, allowed - 1)),
        Object(fields) => allowed == 0 || fields.values().any(|field| depth_exceeds(field, allowed - 1)),
        _ => false,
    }
}

impl From<&str> for Passage {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Passage {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// A passage's place in the store: given once, ascending, never reused; an upsert takes a new one (invariant S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId(pub(crate) u64);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
