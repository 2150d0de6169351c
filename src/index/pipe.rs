//! A path that is a pipe: what a library only writes to a file, or reads from one, goes through piece by piece, and
//! never lies in memory a second time.
//!
//! Either returns `None`, with nothing done, where a pipe has no path: on Windows, or where `/dev/fd` is not there.
//! Whoever reads a pipe reads to its end whatever happens: writing to one that is closed ends a process by a signal,
//! unless the process said otherwise, and that is not for us to say.

use std::io::{self, BufReader, PipeWriter, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What a pipe holds on most systems.
const CAPACITY: usize = 1 << 16;

/// What a pipe may hold on Linux: a reader takes about a millisecond for it.
#[cfg(target_os = "linux")]
const WIDE: usize = 1 << 20;

const PAUSE: Duration = Duration::from_micros(100);

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
    let (mut reader, writer) = io::pipe().ok()?;
    let path = path_of(&reader)?;
    let mut writer = Patient::new(writer);
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

/// Sleeps while the pipe is full. Whoever waits in a write is woken for each 4 KiB that a reader takes, which takes the reader
/// more time than reading them.
struct Patient(PipeWriter);

impl Patient {
    fn new(writer: PipeWriter) -> Self {
        #[cfg(target_os = "linux")]
        {
            // Either is of no use without the other, and neither is needed.
            let wide = rustix::pipe::fcntl_setpipe_size(&writer, WIDE);
            if wide.is_ok() {
                let _ = rustix::io::ioctl_fionbio(&writer, true);
            }
        }
        Self(writer)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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
