//! Records to bytes and back: the one envelope around every value in the store, and bincode inside it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind of record ([`Kind`]) |
//! | 1 | version of that kind |
//! | 2 | zero |
//! | 4 | length of the payload, little-endian |
//! | length | payload |
//! | 8 | xxh3-64 of the key's bytes and everything above, little-endian |
//!
//! The checksum covers the key, so that two rows that change places are noticed. Payloads are bincode with fixed-width
//! little-endian integers (`config::legacy`), which bincode 1 and wincode read too; embeddings are bare f16. Only
//! types whose layout is frozen by a test are encoded; a change of a type is a new version.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};
use half::f16;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::{Error, ErrorKind, Result};
use crate::rows::Block;

const HEADER: usize = 8;
const CHECKSUM: usize = 8;
const VERSION: u8 = 1;

/// bincode allocates what its input promises; nothing in the store is larger than this.
const MAX_PAYLOAD: usize = 64 << 20;
const CONFIG: Configuration<LittleEndian, Fixint, Limit<MAX_PAYLOAD>> =
    bincode::config::legacy().with_limit::<MAX_PAYLOAD>();

/// What a record is; also the table that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Settings = 1,
    State = 2,
    Passage = 3,
    Embedding = 4,
    Id = 5,
    Change = 6,
    Fields = 7,
    FieldRows = 8,
    Lexical = 9,
}

/// What a collection is made with; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Settings {
    pub(crate) uuid: [u8; 16],
    pub(crate) dimension: u32,
    /// [`Similarity`](crate::Similarity) by its name.
    pub(crate) similarity: String,
    /// Of the encoder; empty if passages bring their own embeddings.
    pub(crate) fingerprint: String,
    /// The encoder's name, for messages.
    pub(crate) encoder: String,
    /// The kind of index by its name.
    pub(crate) index: String,
}

/// How its words are searched; collections that are older than this record do without it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LexicalSettings {
    /// [`Language`](crate::Language) by its name; empty if words are not searched.
    pub(crate) language: String,
}

impl Default for LexicalSettings {
    fn default() -> Self {
        Self { language: crate::language::Language::default().name().to_owned() }
    }
}

/// Where the collection stands; changes with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct State {
    /// The last change.
    pub(crate) seq: u64,
    /// The lineage of that change.
    pub(crate) nonce: u64,
    /// The next row to give out.
    pub(crate) next_row: u64,
    /// Passages that are there.
    pub(crate) passages: u64,
}

/// A passage without its embedding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PassageRecord {
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    /// JSON text of the object; serde_json limits its depth when it is read.
    pub(crate) metadata: String,
}

/// Which fields are indexed, and up to where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Fields {
    /// That of the state that the indexes agree with. A program that does not know them leaves it behind, and they are
    /// built anew.
    pub(crate) nonce: u64,
    /// The next number to give out.
    pub(crate) next: u32,
    pub(crate) indexed: Vec<IndexedField>,
}

/// An indexed field: the number that its entries begin with, and the names on its path.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexedField {
    pub(crate) number: u32,
    pub(crate) names: Vec<String>,
}

/// One batch as views need it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Change {
    /// Random, so that two histories with the same sequence number differ.
    pub(crate) nonce: u64,
    /// Rows added: from, up to but not including. Some may have been removed since.
    pub(crate) added_from: u64,
    pub(crate) added_to: u64,
    pub(crate) removed: Vec<u64>,
}

/// A key as the checksum sees it.
pub(crate) trait KeyBytes: Copy {
    fn key_bytes(&self) -> impl AsRef<[u8]>;
    fn name(&self) -> String;
}

impl KeyBytes for u64 {
    fn key_bytes(&self) -> impl AsRef<[u8]> {
        self.to_le_bytes()
    }

    fn name(&self) -> String {
        self.to_string()
    }
}

impl KeyBytes for &str {
    fn key_bytes(&self) -> impl AsRef<[u8]> {
        self.as_bytes()
    }

    fn name(&self) -> String {
        format!("\"{self}\"")
    }
}

impl KeyBytes for &[u8] {
    fn key_bytes(&self) -> impl AsRef<[u8]> {
        self
    }

    fn name(&self) -> String {
        format!("{self:02x?}")
    }
}

/// A record in its envelope.
pub(crate) fn seal<T: Encode>(kind: Kind, key: impl KeyBytes, record: &T) -> Result<Vec<u8>> {
    let payload = bincode::encode_to_vec(record, CONFIG)
        .map_err(|source| Error::misuse(format!("a {kind:?} record is too large to store")).with_source(source))?;
    seal_bytes(kind, key, &payload)
}

/// An embedding in its envelope.
pub(crate) fn seal_embedding(key: u64, embedding: &[f16]) -> Result<Vec<u8>> {
    let payload: Vec<u8> = embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
    seal_bytes(Kind::Embedding, key, &payload)
}

/// The rows of one block that have one value of one field.
pub(crate) fn seal_rows(key: &[u8], rows: &Block) -> Result<Vec<u8>> {
    seal_bytes(Kind::FieldRows, key, &rows.to_bytes())
}

/// The rows in an envelope, all of the block numbered `number`.
pub(crate) fn unseal_rows(key: &[u8], number: u64, bytes: &[u8]) -> Result<Block> {
    let payload = unseal_bytes(Kind::FieldRows, key, bytes)?;
    Block::from_bytes(number, payload)
        .ok_or_else(|| damaged(Kind::FieldRows, &key.name(), "it holds no rows, or others' rows"))
}

fn seal_bytes(kind: Kind, key: impl KeyBytes, payload: &[u8]) -> Result<Vec<u8>> {
    let too_large = || Error::misuse(format!("a {kind:?} record of {} bytes is too large to store", payload.len()));
    let length = u32::try_from(payload.len()).map_err(|_| too_large())?;
    if payload.len() > MAX_PAYLOAD {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len() + CHECKSUM);
    bytes.extend([kind as u8, VERSION, 0, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(payload);
    let checksum = checksum(key, &bytes);
    bytes.extend(checksum.to_le_bytes());
    Ok(bytes)
}

/// The record in an envelope, every byte of it accounted for.
pub(crate) fn unseal<T: Decode<()>>(kind: Kind, key: impl KeyBytes, bytes: &[u8]) -> Result<T> {
    let payload = unseal_bytes(kind, key, bytes)?;
    let malformed = || damaged(kind, &key.name(), "its payload is malformed");
    let (record, consumed) =
        bincode::decode_from_slice(payload, CONFIG).map_err(|source| malformed().with_source(source))?;
    if consumed == payload.len() { Ok(record) } else { Err(malformed()) }
}

/// The embedding in an envelope.
pub(crate) fn unseal_embedding(key: u64, bytes: &[u8], dimension: usize) -> Result<Vec<f16>> {
    let mut embedding = Vec::with_capacity(dimension);
    unseal_embedding_into(key, bytes, dimension, &mut embedding)?;
    Ok(embedding)
}

/// Appends the embedding in an envelope to `out`.
pub(crate) fn unseal_embedding_into(key: u64, bytes: &[u8], dimension: usize, out: &mut Vec<f16>) -> Result<()> {
    let payload = unseal_bytes(Kind::Embedding, key, bytes)?;
    let (pairs, rest) = payload.as_chunks::<2>();
    if pairs.len() != dimension || !rest.is_empty() {
        return Err(damaged(Kind::Embedding, &key.name(), "it is of another width"));
    }
    out.extend(pairs.iter().map(|pair| f16::from_le_bytes(*pair)));
    Ok(())
}

fn unseal_bytes(kind: Kind, key: impl KeyBytes, bytes: &[u8]) -> Result<&[u8]> {
    // A name costs more than all the rest, and a range has a record for each value.
    let damaged = |why| damaged(kind, &key.name(), why);
    let (body, stored) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(|| damaged("it is cut off"))?;
    if checksum(key, body) != u64::from_le_bytes(*stored) {
        return Err(damaged("its checksum does not match"));
    }
    match body {
        [k, VERSION, 0, 0, a, b, c, d, payload @ ..]
            if *k == kind as u8 && u32::from_le_bytes([*a, *b, *c, *d]) as usize == payload.len() =>
        {
            Ok(payload)
        }
        [k, version, ..] if *k == kind as u8 && *version > VERSION => Err(Error::new(
            ErrorKind::Incompatible,
            format!(
                "{kind:?} record {} has version {version}, this program reads up to {VERSION}; use a newer Marcato",
                key.name()
            ),
        )),
        _ => Err(damaged("its header is malformed")),
    }
}

fn checksum(key: impl KeyBytes, body: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(key.key_bytes().as_ref());
    hash.update(body);
    hash.digest()
}

fn damaged(kind: Kind, name: &str, why: &str) -> Error {
    let remedy = match kind {
        Kind::FieldRows => "drop the index of the field and make it again",
        _ => "restore the collection from a copy",
    };
    Error::corrupt(format!("{kind:?} record {name} in the store is damaged: {why}; {remedy}"))
}

/// Takes bytes for a record of each kind: what is accepted is what was sealed.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz_record(bytes: &[u8]) {
    fn again<T: Encode + Decode<()>>(kind: Kind, key: impl KeyBytes, bytes: &[u8]) {
        if let Ok(record) = unseal::<T>(kind, key, bytes) {
            assert!(seal(kind, key, &record).is_ok_and(|sealed| sealed == bytes));
        }
    }
    again::<Settings>(Kind::Settings, "settings", bytes);
    again::<LexicalSettings>(Kind::Lexical, "lexical", bytes);
    again::<State>(Kind::State, "state", bytes);
    again::<Fields>(Kind::Fields, "fields", bytes);
    again::<PassageRecord>(Kind::Passage, 7_u64, bytes);
    again::<u64>(Kind::Id, "id", bytes);
    again::<Change>(Kind::Change, 7_u64, bytes);
    let _ = unseal_embedding(7, bytes, 4);
    let _ = unseal_rows(b"key", 0, bytes);
    // The same behind a right checksum, which a fuzzer does not find by itself.
    let Some((kind, payload)) = bytes.split_first() else { return };
    let kinds = [Kind::Settings, Kind::State, Kind::Passage, Kind::Id, Kind::Change, Kind::Fields, Kind::Lexical];
    let Some(kind) = kinds.get(usize::from(*kind) % kinds.len()) else { return };
    let Ok(sealed) = seal_bytes(*kind, 7_u64, payload) else { return };
    match kind {
        Kind::Settings => again::<Settings>(*kind, 7_u64, &sealed),
        Kind::State => again::<State>(*kind, 7_u64, &sealed),
        Kind::Passage => again::<PassageRecord>(*kind, 7_u64, &sealed),
        Kind::Id => again::<u64>(*kind, 7_u64, &sealed),
        Kind::Change => again::<Change>(*kind, 7_u64, &sealed),
        Kind::Fields => again::<Fields>(*kind, 7_u64, &sealed),
        _ => again::<LexicalSettings>(*kind, 7_u64, &sealed),
    }
    if let Ok(sealed) = seal_bytes(Kind::FieldRows, b"key".as_slice(), payload) {
        let _ = unseal_rows(b"key", 0, &sealed);
    }
}
