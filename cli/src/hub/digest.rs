//! The two names that the hub has for a file's content, computed while the bytes go by.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

const AT_ONCE: usize = 1 << 16;

/// What a file's content must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Of large files, which are in LFS or Xet.
    Sha256(String),
    /// Of files in the Git repository itself: the sha1 of `blob <size>\0` and the content.
    GitBlob(String),
}

impl Expected {
    /// By the length of a name in hexadecimal, as the hub's entity tags and the blobs in a cache are told apart.
    pub(crate) fn from_hex(name: &str) -> Option<Self> {
        let is_hex = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match name.len() {
            64 if is_hex => Some(Self::Sha256(name.to_owned())),
            40 if is_hex => Some(Self::GitBlob(name.to_owned())),
            _ => None,
        }
    }

    pub(crate) fn matches(&self, sums: &Sums) -> bool {
        match self {
            Self::Sha256(sum) => *sum == sums.sha256,
            Self::GitBlob(sum) => *sum == sums.git_blob,
        }
    }
}

/// Both names of a content.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) sha256: String,
    pub(crate) git_blob: String,
}

impl Sums {
    /// Of a file on disk.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut summing = Summing::new(file.metadata()?.len());
        summing.take(&mut file)?;
        Ok(summing.finish())
    }
}

pub(crate) struct Summing {
    sha256: Sha256,
    git_blob: Sha1,
}

impl Summing {
    /// For a content of `bytes` bytes: Git hashes that first.
    pub(crate) fn new(bytes: u64) -> Self {
        let mut git_blob = Sha1::new();
        git_blob.update(format!("blob {bytes}\0"));
        Self { sha256: Sha256::new(), git_blob }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.git_blob.update(bytes);
    }

    /// Everything that is left in `reader`; how much that was.
    pub(crate) fn take(&mut self, reader: &mut impl Read) -> io::Result<u64> {
        let (mut buffer, mut taken) = (vec![0; AT_ONCE], 0);
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(taken),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.update(buffer.get(..read).unwrap_or_default());
            taken += read as u64;
        }
    }

    pub(crate) fn finish(self) -> Sums {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Sums { sha256: hex(&self.sha256.finalize()), git_blob: hex(&self.git_blob.finalize()) }
    }
}
