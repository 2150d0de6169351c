//! What the files of a collection lie on. Every operation that its durability rests on goes through here, so that tests
//! can put a medium beneath it that loses power, fills up or fails.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Writes what is to be in a file.
pub(crate) type Content<'c> = &'c mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// The operations, as small as durability needs them. An implementation leaves the order of those that are not synced
/// to chance, as file systems do.
pub(crate) trait Medium: Send + Sync {
    /// The file at `path`, from its beginning, and its length.
    fn read(&self, path: &Path) -> io::Result<(Box<dyn Source>, u64)>;

    /// Makes a file of what `content` writes, or replaces what is in it. When it returns, the content is durable; the name
    /// is not.
    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()>;

    /// Makes an empty file. Not durable: it has to outlive the process, not the machine.
    fn mark(&self, path: &Path) -> io::Result<()>;

    /// Whether there is a file or a directory.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Gives a file another name, in the place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, and which of them are regular files.
    fn names(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>>;

    /// Makes a directory in one that is there; one that is there already is no error.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// The file at `path` for the store; with `create` it is made if it is not there. `None`: the store opens and locks
    /// it by itself.
    fn store_file(&self, path: &Path, create: bool) -> Option<io::Result<Box<dyn StoreFile>>>;
}

/// A file that is read from anywhere on, on any thread.
pub(crate) trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A file that is read and written anywhere.
pub(crate) trait StoreFile: fmt::Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, length: u64) -> io::Result<()>;
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

/// The file system.
pub(crate) struct FileSystem;

impl Medium for FileSystem {
    fn read(&self, path: &Path) -> io::Result<(Box<dyn Source>, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((Box::new(file), length))
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        let mut file = File::create(path)?;
        content(&mut file)?;
        file.sync_all()
    }

    fn mark(&self, path: &Path) -> io::Result<()> {
        File::create(path).map(drop)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let name = |entry: fs::DirEntry| (entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_file()));
        fs::read_dir(directory)?.map(|entry| entry.map(name)).collect()
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    /// Elsewhere than on Unix a directory cannot be opened for that, and the file system does it by itself.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn store_file(&self, _path: &Path, _create: bool) -> Option<io::Result<Box<dyn StoreFile>>> {
        None
    }
}

/// Makes the directories on the way to `path` that are not there, durably: what is put into them must not be lost with
/// them.
pub(crate) fn make_directories(medium: &dyn Medium, path: &Path) -> io::Result<()> {
    let ancestors: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty()).collect();
    let mut missing = Vec::new();
    for ancestor in ancestors {
        if medium.exists(ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    // Also where it is there already: it may be a file.
    medium.make_directory(missing.pop().unwrap_or(path))?;
    missing.iter().rev().try_for_each(|directory| medium.make_directory(directory))?;
    let made = path.ancestors().take(missing.len() + 1);
    for parent in made.map(directory_of) {
        match medium.sync_directory(parent) {
            // One that may be written and not read, as the folders of some systems' applications: it cannot be synced.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// The directory that the name of `path` is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
