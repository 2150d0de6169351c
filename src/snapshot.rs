//! A view on disk: a verified copy of some moment, to start from instead of the store's first row.
//!
//! A snapshot is trusted only whole: [`read`] checks every byte before anybody sees one, and one that it does not
//! like is a [`Reason`] to rebuild, never an error (invariant V2). Numbers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic, `MARCVIEW` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | length of the header, `h` = 96 + `e`; the payload follows |
//! | 12 | 4 | dimension |
//! | 16 | 1 | similarity: 0 cosine, 1 dot |
//! | 17 | 1 | zero |
//! | 18 | 2 | length of the engine's name, `e` |
//! | 20 | 4 | search expansion |
//! | 24 | 16 | the collection's UUID |
//! | 40 | 8 | lineage: the nonce that the log holds at `seq` |
//! | 48 | 8 | seq: the last change of the log that is in the view |
//! | 56 | 8 | rows in the view |
//! | 64 | 8 | length of the payload |
//! | 72 | 16 | XXH3-128 of the payload |
//! | 88 | `e` | the engine's name, UTF-8: the library, its version and its parameters |
//! | `h` - 8 | 8 | XXH3-64 of the header before it |
//! | `h` | | the payload, to the end of the file |
//!
//! The first twelve bytes and the header's checksum keep their places in every version, so that a newer file and a
//! damaged one are told apart.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::error::{Error, Result};
use crate::medium::{Medium, directory_of};
use crate::similarity::Similarity;

const MAGIC: [u8; 8] = *b"MARCVIEW";
const FORMAT: u16 = 1;
/// Magic, version and length: what every version begins with.
const PREFIX: usize = 12;
/// The header without the engine's name.
const FIXED: usize = 96;

/// What a snapshot says of its view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) collection: [u8; 16],
    pub(crate) lineage: u64,
    pub(crate) seq: u64,
    pub(crate) count: u64,
    pub(crate) dimension: u32,
    pub(crate) similarity: Similarity,
    pub(crate) expansion_search: u32,
    pub(crate) engine: String,
}

/// What a snapshot has to be of use to this collection. That the log has `lineage` at `seq` is for the caller to check:
/// a store restored from a backup may have gone another way since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) collection: [u8; 16],
    pub(crate) dimension: u32,
    pub(crate) similarity: Similarity,
    pub(crate) engine: &'a str,
}

/// A snapshot that was read and found whole.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

/// Why a snapshot is of no use. The view is then rebuilt from the store.
#[derive(Debug)]
pub(crate) enum Reason {
    /// There is none.
    Missing,
    /// An earlier attempt to load it never came to an end.
    Interrupted,
    /// Its bytes are not those that were written.
    Torn(&'static str),
    /// It is of another collection, or of another history of this one.
    Foreign,
    /// It was written by an older Marcato.
    Older(u16),
    /// It was written by a newer Marcato.
    Newer(u16),
    /// It was made with other parameters.
    OtherParameters { expected: String, found: String },
    /// The operating system does not give it out.
    Unreadable(io::Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no snapshot of the view"),
            Self::Interrupted => f.write_str("the process ended while it loaded the snapshot of the view"),
            Self::Torn(what) => write!(f, "the snapshot of the view is damaged: {what}"),
            Self::Foreign => {
                f.write_str("the snapshot of the view belongs to another collection, or another history of it")
            }
            Self::Older(version) => write!(f, "the snapshot of the view has the older format {version}, not {FORMAT}"),
            Self::Newer(version) => write!(f, "the snapshot of the view has the newer format {version}, not {FORMAT}"),
            Self::OtherParameters { expected, found } => {
                write!(f, "the snapshot of the view was made by \"{found}\", not \"{expected}\"")
            }
            Self::Unreadable(error) => write!(f, "the snapshot of the view cannot be read: {error}"),
        }
    }
}

/// Puts a snapshot in the place of the one at `path`. When it returns, the new one is there for good; until then, and
/// after a failure, the old one is (invariant V3).
pub(crate) fn write(medium: &dyn Medium, path: &Path, header: &Header, payload: &[u8]) -> Result<()> {
    let header = encode(header, payload)?;
    let folder = directory_of(path);
    // Not durable: without it there is no snapshot, and none is needed.
    medium.make_directory(folder).map_err(|error| Error::io("make", folder, error))?;
    let temporary = temporary_path(path);
    let written = medium.write(&temporary, &[&header, payload]).and_then(|()| medium.rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: what stays is swept when the collection is opened.
        let _ = medium.remove(&temporary);
        return Err(Error::io("write", path, error));
    }
    medium.sync_directory(folder).map_err(|error| Error::io("write", path, error))?;
    // After the rename: should the process end between the two, a sound snapshot is thrown away, and nothing worse.
    medium.remove(&marker_path(path)).map_err(|error| Error::io("remove", &marker_path(path), error))
}

/// The snapshot at `path`, if it is whole and what is [`Expected`].
pub(crate) fn read(medium: &dyn Medium, path: &Path, expected: &Expected<'_>) -> Result<Snapshot, Reason> {
    let Opened { mut file, header, payload_length, checksum } = open(medium, path, expected)?;
    let mut payload = Vec::new();
    let length = usize::try_from(payload_length).map_err(|_| Reason::Unreadable(io::ErrorKind::OutOfMemory.into()))?;
    payload.try_reserve_exact(length).map_err(|error| Reason::Unreadable(io::Error::other(error)))?;
    payload.resize(length, 0);
    fill(&mut *file, &mut payload)?;
    if xxh3_128(&payload) != checksum {
        return Err(Reason::Torn("the checksum of its payload is wrong"));
    }
    Ok(Snapshot { header, payload })
}

/// What the snapshot at `path` says of itself, as far as that can be told without reading its payload.
#[cfg(feature = "lexical")]
pub(crate) fn peek(medium: &dyn Medium, path: &Path, expected: &Expected<'_>) -> Result<Header, Reason> {
    open(medium, path, expected).map(|opened| opened.header)
}

/// A snapshot whose header was read and found to be what is expected.
struct Opened {
    /// At the payload.
    file: Box<dyn Read>,
    header: Header,
    payload_length: u64,
    checksum: u128,
}

fn open(medium: &dyn Medium, path: &Path, expected: &Expected<'_>) -> Result<Opened, Reason> {
    let (mut file, file_length) = medium.read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Reason::Missing,
        _ => Reason::Unreadable(error),
    })?;
    if medium.exists(&marker_path(path)).map_err(Reason::Unreadable)? {
        return Err(Reason::Interrupted);
    }
    let mut bytes = vec![0; PREFIX];
    fill(&mut *file, &mut bytes)?;
    let header_length = header_length(&bytes)?;
    bytes.resize(header_length, 0);
    fill(&mut *file, bytes.get_mut(PREFIX..).unwrap_or_default())?;
    let (header, payload_length, checksum) = decode(&bytes)?;
    if (header_length as u64).checked_add(payload_length) != Some(file_length) {
        return Err(Reason::Torn("it has another length than it says"));
    }
    check(&header, expected)?;
    Ok(Opened { file, header, payload_length, checksum })
}

/// A mark beside a snapshot that its bytes are being handed to the engine.
///
/// An engine that crashes takes the process with it, and would at each start. So the mark is put down first and
/// taken away by [`done`](Self::done); [`read`] refuses a snapshot that still has one. Dropping it leaves it there.
#[must_use = "the mark stays until `done`"]
pub(crate) struct Loading<'m> {
    medium: &'m dyn Medium,
    marker: PathBuf,
}

impl<'m> Loading<'m> {
    /// Marks the snapshot at `path`.
    pub(crate) fn begin(medium: &'m dyn Medium, path: &Path) -> Result<Self> {
        let marker = marker_path(path);
        medium.mark(&marker).map_err(|error| Error::io("create", &marker, error))?;
        Ok(Self { medium, marker })
    }

    /// The engine took the bytes, or refused them in good order.
    pub(crate) fn done(self) -> Result<()> {
        self.medium.remove(&self.marker).map_err(|error| Error::io("remove", &self.marker, error))
    }
}

/// Removes the temporary files that crashed writers of the snapshot at `path` left behind: regular files named as
/// [`write()`] names them, and nothing else. Only for whoever holds the collection's lock.
pub(crate) fn sweep(medium: &dyn Medium, path: &Path) -> Result<()> {
    let directory = directory_of(path);
    let names = match medium.names(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(|error| Error::io("list", directory, error))?,
    };
    for (name, is_file) in names {
        if is_file && is_temporary_of(path, &name) {
            let temporary = directory.join(name);
            medium.remove(&temporary).map_err(|error| Error::io("remove", &temporary, error))?;
        }
    }
    Ok(())
}

fn encode(header: &Header, payload: &[u8]) -> Result<Vec<u8>> {
    let name = header.engine.as_bytes();
    let too_long = |_| Error::misuse("an engine's name must fit a snapshot's header");
    let length = u16::try_from(FIXED + name.len()).map_err(too_long)?;
    let name_length = u16::try_from(name.len()).map_err(too_long)?;
    let mut bytes = Vec::with_capacity(FIXED + name.len());
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.dimension.to_le_bytes());
    bytes.extend([similarity_code(header.similarity), 0]);
    bytes.extend(name_length.to_le_bytes());
    bytes.extend(header.expansion_search.to_le_bytes());
    bytes.extend(header.collection);
    bytes.extend(header.lineage.to_le_bytes());
    bytes.extend(header.seq.to_le_bytes());
    bytes.extend(header.count.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(xxh3_128(payload).to_le_bytes());
    bytes.extend(name);
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    Ok(bytes)
}

/// From the prefix alone. A version that we do not know is believed only once its header's checksum is found right.
fn header_length(prefix: &[u8]) -> Result<usize, Reason> {
    let mut fields = Fields(prefix);
    if fields.take()? != MAGIC {
        return Err(Reason::Torn("it does not begin as a snapshot does"));
    }
    let _version = fields.u16()?;
    let length = usize::from(fields.u16()?);
    if length < PREFIX + 8 { Err(Reason::Torn("the length of its header is wrong")) } else { Ok(length) }
}

/// The header, the payload's length and the payload's checksum.
fn decode(bytes: &[u8]) -> Result<(Header, u64, u128), Reason> {
    let (fields, checksum) = bytes.split_last_chunk::<8>().ok_or(Reason::Torn("it is cut short"))?;
    if xxh3_64(fields) != u64::from_le_bytes(*checksum) {
        return Err(Reason::Torn("the checksum of its header is wrong"));
    }
    let mut fields = Fields(fields);
    let _magic: [u8; 8] = fields.take()?;
    match fields.u16()? {
        FORMAT => {}
        older @ ..FORMAT => return Err(Reason::Older(older)),
        newer => return Err(Reason::Newer(newer)),
    }
    let _header_length = fields.u16()?;
    let dimension = fields.u32()?;
    let [similarity, _zero] = fields.take()?;
    let similarity = match similarity {
        0 => Similarity::Cosine,
        1 => Similarity::Dot,
        _ => return Err(Reason::Torn("its similarity is unknown")),
    };
    let name_length = usize::from(fields.u16()?);
    let expansion_search = fields.u32()?;
    let collection = fields.take()?;
    let (lineage, seq, count) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let payload_length = fields.u64()?;
    let checksum = u128::from_le_bytes(fields.take()?);
    let name = std::str::from_utf8(fields.0).ok().filter(|name| name.len() == name_length);
    let engine = name.ok_or(Reason::Torn("the name of its engine is wrong"))?.to_owned();
    let header = Header { collection, lineage, seq, count, dimension, similarity, expansion_search, engine };
    Ok((header, payload_length, checksum))
}

fn check(header: &Header, expected: &Expected<'_>) -> Result<(), Reason> {
    if header.collection != expected.collection {
        return Err(Reason::Foreign);
    }
    let found = (header.dimension, header.similarity, header.engine.as_str());
    let wanted = (expected.dimension, expected.similarity, expected.engine);
    if found != wanted {
        let describe = |(dimension, similarity, engine)| format!("{engine}, dimension {dimension}, {similarity}");
        return Err(Reason::OtherParameters { expected: describe(wanted), found: describe(found) });
    }
    Ok(())
}

/// The bytes of a header that are not yet taken.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Reason::Torn("its header is cut short"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, Reason> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Reason> {
        self.take().map(u64::from_le_bytes)
    }
}

const fn similarity_code(similarity: Similarity) -> u8 {
    match similarity {
        Similarity::Cosine => 0,
        Similarity::Dot => 1,
    }
}

fn fill(file: &mut dyn Read, bytes: &mut [u8]) -> Result<(), Reason> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Reason::Torn("it is cut short"),
        _ => Reason::Unreadable(error),
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn marker_path(path: &Path) -> PathBuf {
    with_suffix(path, ".loading")
}

fn temporary_path(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    with_suffix(path, &format!(".tmp-{}-{count}", std::process::id()))
}

fn is_temporary_of(path: &Path, name: &OsStr) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    path.file_name()
        .and_then(|snapshot| name.as_encoded_bytes().strip_prefix(snapshot.as_encoded_bytes()))
        .and_then(|suffix| suffix.strip_prefix(b".tmp-"))
        .and_then(|numbers| numbers.iter().position(|&byte| byte == b'-').map(|dash| numbers.split_at(dash)))
        .is_some_and(|(pid, count)| is_number(pid) && is_number(count.strip_prefix(b"-").unwrap_or_default()))
}

/// Takes bytes for a snapshot's file: what is accepted is what was written.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz_snapshot(bytes: &[u8]) {
    use crate::medium::FileSystem;
    let path = std::env::temp_dir().join(format!("marcato-fuzz-{}", std::process::id()));
    let expected = Expected {
        collection: [1; 16],
        dimension: 4,
        similarity: Similarity::Cosine,
        engine: "an engine of no library",
    };
    let read = |bytes: &[u8]| {
        if std::fs::write(&path, bytes).is_err() {
            return;
        }
        if let Ok(Snapshot { header, payload }) = read(&FileSystem, &path, &expected) {
            assert!(encode(&header, &payload).is_ok_and(|header| [header, payload].concat() == bytes));
        }
    };
    read(bytes);
    // The same behind right checksums, which a fuzzer does not find by itself.
    if let Some((header, payload)) = bytes.split_at_checked(FIXED + 23 - 8) {
        let mut whole = header.to_vec();
        if let Some(checksum) = whole.get_mut(72..88) {
            checksum.copy_from_slice(&xxh3_128(payload).to_le_bytes());
        }
        whole.extend(xxh3_64(&whole).to_le_bytes());
        whole.extend(payload);
        read(&whole);
    }
}
