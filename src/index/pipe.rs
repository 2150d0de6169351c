//! A path that is a pipe: what a library only writes to a file, or reads from one, goes through piece by piece, and
//! never lies in memory a second time.
//!
//! Either returns `None`, with nothing done, where a pipe has no path: on Windows, or where `/dev/fd` is not there.
//! Whoever reads a pipe reads to its end whatever happens: writing to one that is closed ends a process by a signal,
//! unless the process said otherwise, and that is not for us to say.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::thread;

/// What a pipe holds on most systems.
const CAPACITY: usize = 1 << 16;

/// Copies the `length` bytes that `save` writes to a path.
pub(super) fn copy_out(
    length: u64,
    out: &mut dyn Write,
    save: impl FnOnce(&str) -> io::Result<()> + Send,
) -> Option<io::Result<()>> {
    let (reader, writer) = io::pipe().ok()?;
    let path = path_of(&writer)?;
    thread::scope(|scope| {
        let save = move || {
            let saved = save(&path);
            drop(writer);
            saved
        };
        let saving = thread::Builder::new().spawn_scoped(scope, save).ok()?;
        // Not to the end of the file: that comes only when a process that was started meanwhile has ended too.
        let mut reader = BufReader::with_capacity(CAPACITY, reader.take(length));
        let copied = io::copy(&mut reader, out);
        let _ = io::copy(&mut reader, &mut io::sink());
        Some(match (joined(saving), copied) {
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(()), Ok(copied)) if copied == length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        })
    })
}

/// Copies all of `input` to a path that `load` reads.
pub(super) fn copy_in(
    input: &mut dyn Read,
    load: impl FnOnce(&str) -> io::Result<()> + Send,
) -> Option<io::Result<()>> {
    let (mut reader, mut writer) = io::pipe().ok()?;
    let path = path_of(&reader)?;
    thread::scope(|scope| {
        let load = move || {
            let loaded = load(&path);
            let _ = io::copy(&mut reader, &mut io::sink());
            loaded
        };
        let loading = thread::Builder::new().spawn_scoped(scope, load).ok()?;
        let copied = io::copy(&mut BufReader::with_capacity(CAPACITY, input), &mut writer);
        drop(writer);
        // A load that lacks what could not be copied fails too, for a lesser reason.
        Some(copied.and(joined(loading)))
    })
}

fn joined(thread: thread::ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

#[cfg(unix)]
fn path_of(end: &impl std::os::fd::AsRawFd) -> Option<String> {
    let path = format!("/dev/fd/{}", end.as_raw_fd());
    Path::new(&path).exists().then_some(path)
}

#[cfg(not(unix))]
fn path_of<End>(_end: &End) -> Option<String> {
    None
}
