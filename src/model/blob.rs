//! Bytes that are referred to, not copied: part of the program, or of a file read once.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// The most bytes that any file of a model may have.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// A cheap-to-clone range of bytes.
#[derive(Clone)]
pub(crate) struct Blob {
    whole: Whole,
    range: Range<usize>,
}

#[derive(Clone)]
enum Whole {
    Static(&'static [u8]),
    Shared(Arc<Vec<u8>>),
}

impl Blob {
    pub(crate) fn from_static(bytes: &'static [u8]) -> Self {
        Self { whole: Whole::Static(bytes), range: 0..bytes.len() }
    }

    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { whole: Whole::Shared(Arc::new(bytes)), range }
    }

    /// A whole regular file. Not mapped: a file that another process shortens would kill this one.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::read_within(path, MAX_FILE_BYTES)
    }

    /// The same of a file of at most `limit` bytes; a larger one is refused before it is read.
    pub(crate) fn read_within(path: &Path, limit: u64) -> Result<Self> {
        let failed = |source| Error::io("read", path, source);
        // Asked before it is opened: opening a pipe waits for a writer.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::model(format!("{} is not a regular file", path.display())).with_path(path));
        }
        if metadata.len() > limit {
            return Err(Error::model(format!(
                "{} has {} bytes; a file of its kind may have {limit}",
                path.display(),
                metadata.len()
            ))
            .with_path(path));
        }
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(size).map_err(|source| {
            Error::new(ErrorKind::Io, format!("no memory for {} ({size} bytes)", path.display())).with_source(source)
        })?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Self::from_vec(bytes))
    }

    /// The bytes in `range` of this blob; `None` beyond its end.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Self> {
        self.as_slice().get(range.clone())?;
        let start = self.range.start;
        Some(Self { whole: self.whole.clone(), range: start + range.start..start + range.end })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        let whole = match &self.whole {
            Whole::Static(bytes) => bytes,
            Whole::Shared(bytes) => bytes.as_slice(),
        };
        whole.get(self.range.clone()).unwrap_or_default()
    }
}
