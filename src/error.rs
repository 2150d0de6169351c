//! The one error type: what went wrong, to which thing, and what to do about it.
//!
//! [`ErrorKind`] names the culprit, so that a program can decide; the message names the thing (a path, an id, a
//! tensor) and ends with the remedy where there is one; [`source`](std::error::Error::source) keeps the cause.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// `Result` with Marcato's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, told so that it can be mended.
///
/// Displays one layer, in lower case and without a final full stop; walk [`source`](StdError::source) for the causes.
///
/// ```
/// use marcato::{Collection, ErrorKind};
/// let error = Collection::options().open("no/such/collection").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert!(error.to_string().contains("no/such/collection"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    path: Option<PathBuf>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's callback asked to stop. What had been committed before stays.
    Cancelled,
    /// One of our files is damaged.
    Corrupt,
    /// No room left on the device.
    Full,
    /// The files are sound, but of another format version or another model.
    Incompatible,
    /// The operating system refused.
    Io,
    /// Another handle or process holds the collection.
    Locked,
    /// The call, or the text, metadata or embedding handed to it, breaks a documented rule.
    Misuse,
    /// Model files that are malformed, or ask for something that is not implemented.
    Model,
    /// A file, collection or model is not there.
    NotFound,
    /// An earlier write failed midway; the handle refuses to go on until the collection is opened again.
    Poisoned,
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file or directory concerned, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// An error of your own, for example from an [`Encoder`](crate::Encoder) that you bring.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), path: None, source: None }))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with the file or directory that it is about.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misuse, message)
    }

    pub(crate) fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn model(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Model, message)
    }

    /// An operating system's error on `path`; `doing` completes "cannot ...".
    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let (kind, remedy) = match source.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, ""),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (ErrorKind::Full, ": free some space and open it again")
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                (ErrorKind::Io, ": check its permissions")
            }
            _ => (ErrorKind::Io, ""),
        };
        Self::new(kind, format!("cannot {doing} {}{remedy}", path.display())).with_source(source).with_path(path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("path", &self.0.path)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
