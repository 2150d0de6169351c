//! Who has a collection open for writing, so that whoever is turned away is told.
//!
//! The store's own lock decides; this file only names its holder. The holder keeps it locked, so a number that a crash
//! left behind is not taken for anybody.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind};

pub(super) const FILE: &str = "lock";

/// The mark of this process, for as long as it lives.
pub(super) struct Holder {
    _locked: Option<File>,
}

impl Holder {
    /// For whoever has the store's lock. What goes wrong here only leaves the holder without a name.
    pub(super) fn claim(directory: &Path) -> Self {
        let claimed = || {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(directory.join(FILE))
                .ok()?;
            file.try_lock().ok()?;
            file.set_len(0).ok()?;
            file.seek(SeekFrom::Start(0)).ok()?;
            write!(file, "{}", std::process::id()).ok()?;
            Some(file)
        };
        Self { _locked: claimed() }
    }
}

/// `error`, with the holder's name in it if that is what it is about and it is known.
pub(super) fn named(error: Error, directory: &Path) -> Error {
    if error.kind() != ErrorKind::Locked {
        return error;
    }
    let place = directory.display();
    let message = match holder(directory) {
        Some(id) if id == std::process::id() => {
            format!("{place} is open in another handle of this process; close that one first, or clone it")
        }
        Some(id) => format!("{place} is open in another process (pid {id}); close that one first"),
        None => return error,
    };
    Error::new(ErrorKind::Locked, message).with_path(directory).with_source(error)
}

fn holder(directory: &Path) -> Option<u32> {
    let file = File::open(directory.join(FILE)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // Nobody's, or nothing is known of it.
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let mut content = String::new();
    // A process id has ten digits at most.
    file.take(16).read_to_string(&mut content).ok()?;
    content.parse().ok()
}
