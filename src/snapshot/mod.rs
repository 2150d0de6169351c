//! A view on disk: a verified copy of some moment, to start from instead of the store's first row.
//!
//! A snapshot is trusted only whole, and nobody sees a byte of it that was not checked: one that is not liked is a
//! [`Reason`] to rebuild, never an error (invariant V2). Numbers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic, `MARCVIEW` |
//! | 8 | 2 | format version, 3 |
//! | 10 | 2 | length of the header, `h` = 72 + `e` |
//! | 12 | 4 | dimension |
//! | 16 | 1 | similarity: 0 cosine, 1 dot |
//! | 17 | 1 | hundredths that the view has grown by since its search expansion was chosen, 255 at most |
//! | 18 | 2 | length of the engine's name, `e` |
//! | 20 | 4 | search expansion |
//! | 24 | 16 | the collection's UUID |
//! | 40 | 8 | lineage: the nonce that the log holds at `seq` |
//! | 48 | 8 | seq: the last change of the log that is in the view |
//! | 56 | 8 | rows in the view |
//! | 64 | `e` | the engine's name, UTF-8: the library, its version and its parameters |
//! | `h` - 8 | 8 | XXH3-64 of the header before it |
//! | `h` | `p` | the payload |
//! | `h` + `p` | `s` | the XXH3-128 of each piece of 1 MiB of the payload |
//! | `h` + `p` + `s` | 8 | `p` |
//! | | 16 | XXH3-128 of the `s` bytes |
//! | | 8 | XXH3-64 of the 24 bytes before it, to the end of the file |
//!
//! What is known only at the end stands at the end, so that a payload never has to lie in memory whole.
//!
//! The first twelve bytes and the header's checksum keep their places in every version, so that a newer file and a
//! damaged one are told apart.

mod header;
mod payload;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::header::{Expected, Header};
use self::header::{FORMAT, PREFIX};
use self::payload::{PayloadReader, PayloadWriter};
use crate::error::{Error, Result};
use crate::medium::{Content, Medium, Source, directory_of};

/// A snapshot whose header was read, and found to be what is [`Expected`].
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    file: Box<dyn Source>,
    /// Bytes before the payload, and of the whole file.
    before: u64,
    length: u64,
}

/// Whether what takes long is still wanted.
pub(crate) type Wanted = Arc<dyn Fn() -> bool + Send + Sync>;

/// A file that is read while that is wanted.
struct WantedFile {
    file: Box<dyn Source>,
    wanted: Wanted,
}

impl Read for WantedFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if (self.wanted)() { self.file.read(out) } else { Err(io::Error::other("nobody wants it any more")) }
    }
}

impl Seek for WantedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Snapshot {
    /// Reading it ends early, for [`Reason::Unreadable`], once `wanted` says no: it may be as large as memory.
    pub(crate) fn while_wanted(self, wanted: Wanted) -> Self {
        let file = Box::new(WantedFile { file: self.file, wanted });
        Self { file, ..self }
    }

    /// What `take` makes of the payload. It gets no byte before that was compared with its checksum; and whatever it made
    /// counts for nothing if any other is wrong.
    pub(crate) fn read<T>(mut self, take: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T, Reason> {
        let mut payload = PayloadReader::new(&mut *self.file, self.before, self.length)?;
        let taken = take(&mut payload);
        // A payload that breaks off is refused for that, and not for what it lacks.
        payload.finish()?;
        taken.map_err(Reason::Refused)
    }
}

/// Why a snapshot is of no use. The view is then rebuilt from the store.
#[derive(Debug)]
pub(crate) enum Reason {
    /// There is none.
    Missing,
    /// So many attempts to load it never came to an end.
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
    /// Its bytes are those that were written, but are not what they should be.
    Refused(Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no snapshot of the view"),
            Self::Interrupted => {
                write!(f, "{ATTEMPTS} times a process ended while it loaded the snapshot of the view")
            }
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
            Self::Refused(error) => error.fmt(f),
        }
    }
}

/// Puts a snapshot in the place of the one at `path`, with what `payload` writes. When it returns, the new one is there
/// for good; until then, and after a failure, the old one is (invariant V3).
pub(crate) fn write(medium: &dyn Medium, path: &Path, header: &Header, payload: Content<'_>) -> Result<()> {
    let header = header::encode(header)?;
    let folder = directory_of(path);
    // Not durable: without it there is no snapshot, and none is needed.
    medium.make_directory(folder).map_err(|error| Error::io("make", folder, error))?;
    let temporary = temporary_path(path);
    let mut content = |file: &mut dyn Write| {
        file.write_all(&header)?;
        let mut writer = PayloadWriter::new(file);
        payload(&mut writer)?;
        writer.finish()
    };
    let written = medium.write(&temporary, &mut content).and_then(|()| medium.rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: what stays is swept when the collection is opened.
        let _ = medium.remove(&temporary);
        return Err(Error::io("write", path, error));
    }
    medium.sync_directory(folder).map_err(|error| Error::io("write", path, error))?;
    // After the rename: should the process end between the two, a sound snapshot may be thrown away, and nothing worse.
    remove_marks(medium, path)
}

/// The snapshot at `path`, if its header is what is [`Expected`]; its payload is not looked at before it is read.
pub(crate) fn open(medium: &dyn Medium, path: &Path, expected: &Expected<'_>) -> Result<Snapshot, Reason> {
    let (mut file, length) = medium.read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Reason::Missing,
        _ => Reason::Unreadable(error),
    })?;
    if free_mark(medium, path).map_err(Reason::Unreadable)?.is_none() {
        return Err(Reason::Interrupted);
    }
    let mut bytes = vec![0; PREFIX];
    fill(&mut *file, &mut bytes)?;
    let header_length = header::header_length(&bytes)?;
    bytes.resize(header_length, 0);
    fill(&mut *file, bytes.get_mut(PREFIX..).unwrap_or_default())?;
    let header = header::decode(&bytes)?;
    header::check(&header, expected)?;
    Ok(Snapshot { header, file, before: header_length as u64, length })
}

/// How many attempts to load a snapshot may come to no end before it is given up. A process may be ended in the midst of
/// one for many reasons, and it takes minutes to make a large graph anew.
const ATTEMPTS: u32 = 3;

/// A mark beside a snapshot that its bytes are being handed to the engine.
///
/// An engine that crashes takes the process with it, and would at each start. So a mark is put down first and
/// taken away by [`done`](Self::done); [`open`] refuses a snapshot that has three. Dropping it leaves it there.
#[must_use = "the mark stays until `done`"]
pub(crate) struct Loading<'m> {
    medium: &'m dyn Medium,
    path: &'m Path,
}

impl<'m> Loading<'m> {
    /// Marks the snapshot at `path` once more.
    pub(crate) fn begin(medium: &'m dyn Medium, path: &'m Path) -> Result<Self> {
        let free = free_mark(medium, path).map_err(|error| Error::io("look for", &mark_path(path, 1), error))?;
        let mark = free.unwrap_or_else(|| mark_path(path, ATTEMPTS));
        medium.mark(&mark).map_err(|error| Error::io("create", &mark, error))?;
        Ok(Self { medium, path })
    }

    /// The engine took the bytes, or refused them in good order.
    pub(crate) fn done(self) -> Result<()> {
        remove_marks(self.medium, self.path)
    }
}

/// The mark of the next attempt; `None` if there have been too many.
fn free_mark(medium: &dyn Medium, path: &Path) -> io::Result<Option<PathBuf>> {
    for attempt in 1..=ATTEMPTS {
        let mark = mark_path(path, attempt);
        if !medium.exists(&mark)? {
            return Ok(Some(mark));
        }
    }
    Ok(None)
}

fn remove_marks(medium: &dyn Medium, path: &Path) -> Result<()> {
    (1..=ATTEMPTS).try_for_each(|attempt| {
        let mark = mark_path(path, attempt);
        medium.remove(&mark).map_err(|error| Error::io("remove", &mark, error))
    })
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

fn mark_path(path: &Path, attempt: u32) -> PathBuf {
    // Before there were three the first had no number.
    with_suffix(path, &if attempt == 1 { ".loading".to_owned() } else { format!(".loading-{attempt}") })
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
    use crate::similarity::Similarity;
    let folder = std::env::temp_dir();
    let path = folder.join(format!("marcato-fuzz-{}", std::process::id()));
    let expected = Expected {
        collection: [1; 16],
        dimension: 4,
        similarity: Similarity::Cosine,
        engine: "an engine of no library",
    };
    let check = |bytes: &[u8]| {
        if std::fs::write(&path, bytes).is_err() {
            return;
        }
        let Ok(snapshot) = open(&FileSystem, &path, &expected) else { return };
        let header = snapshot.header.clone();
        let mut payload = Vec::new();
        let read =
            snapshot.read(|given| given.read_to_end(&mut payload).map_err(|error| Error::io("read", &path, error)));
        if read.is_ok() {
            let again = write(&FileSystem, &path, &header, &mut |out| out.write_all(&payload));
            assert!(again.is_ok() && std::fs::read(&path).is_ok_and(|again| again == bytes));
        }
    };
    check(bytes);
    // The same behind right checksums, which a fuzzer does not find by itself.
    if let Some((header, payload)) = bytes.split_at_checked(64 + expected.engine.len()) {
        let mut whole = header.to_vec();
        whole.extend(xxhash_rust::xxh3::xxh3_64(&whole).to_le_bytes());
        let mut writer = PayloadWriter::new(&mut whole);
        let written = writer.write_all(payload).and_then(|()| writer.finish());
        assert!(written.is_ok());
        check(&whole);
    }
}
