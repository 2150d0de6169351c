//! One file from the hub to a place on disk: goes on where it broke off, and is done only when its content is proved.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;
use ureq::Body;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use ureq::http::{Response, StatusCode};

use super::client::{Client, is_page};
use super::digest::{Summing, Sums};
use super::failure::{Failure, Patience};
use super::select::Wanted;

const AT_ONCE: usize = 1 << 16;
/// So much more in one attempt is progress: failures before it are forgotten. A server cannot dribble for ever.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A file that is being loaded. What is there of it is always a beginning of what was sent.
struct Partial<'a> {
    wanted: &'a Wanted,
    path: &'a Path,
    file: File,
    summing: Summing,
    held: u64,
    bar: &'a ProgressBar,
}

/// Loads `wanted` from the address `from` into `path`, in which an earlier attempt may have left a beginning.
pub(super) fn download(
    client: &Client,
    from: &str,
    wanted: &Wanted,
    path: &Path,
    bar: &ProgressBar,
) -> Result<Sums, Failure> {
    let mut partial = Partial::open(wanted, path, bar).map_err(Failure::fatal)?;
    // A beginning from another time may be damaged: then the file gets one fresh start.
    let mut found = partial.held > 0;
    let mut patience = Patience::default();
    loop {
        let before = partial.held;
        if partial.held < wanted.bytes
            && let Err(failure) = partial.load(client, from)
        {
            if partial.held >= before + PROGRESS_BYTES {
                patience.renew();
            }
            patience.wait(failure)?;
            continue;
        }
        match partial.finish().map_err(Failure::fatal)? {
            Some(sums) => return Ok(sums),
            None if found => found = false,
            None => {
                let _ = fs::remove_file(path);
                return Err(Failure::fatal(anyhow!(
                    "{}: what was sent is not what the hub lists (its sha256 or sha1 differs); it was deleted",
                    wanted.name
                )));
            }
        }
    }
}

impl<'a> Partial<'a> {
    fn open(wanted: &'a Wanted, path: &'a Path, bar: &'a ProgressBar) -> anyhow::Result<Self> {
        let open = || -> io::Result<(File, Summing, u64)> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            let mut summing = Summing::new(wanted.bytes);
            let mut held = summing.take(&mut file)?;
            if held > wanted.bytes {
                (summing, held) = (Summing::new(wanted.bytes), restart(&mut file)?);
            }
            Ok((file, summing, held))
        };
        let (file, summing, held) = open().with_context(|| format!("cannot write {}", path.display()))?;
        bar.inc(held);
        Ok(Self { wanted, path, file, summing, held, bar })
    }

    /// Asks for the rest and takes what comes.
    fn load(&mut self, client: &Client, from: &str) -> Result<(), Failure> {
        let name = &self.wanted.name;
        let response = client.get(from, self.held).map_err(|failure| failure.context(name))?;
        if is_page(&response) {
            return Err(Failure::fatal(anyhow!(
                "{name}: a page for people came in its place; is there a proxy to log in to?"
            )));
        }
        let from = match response.status() {
            StatusCode::PARTIAL_CONTENT => first_byte(&response),
            _ => Some(0),
        };
        if from != Some(self.held) {
            // The server sends the whole, or something else than was asked for.
            self.restart().map_err(Failure::fatal)?;
            if from != Some(0) {
                return Err(Failure::passing(anyhow!("{name}: the server sent another part than was asked for"), None));
            }
        }
        let (held, bytes) = (self.held, self.wanted.bytes);
        if length(&response).is_some_and(|length| length != bytes - held) {
            return Err(Failure::fatal(anyhow!(
                "{name}: the server announces {} bytes, the hub lists {bytes}",
                held.saturating_add(length(&response).unwrap_or_default())
            )));
        }
        self.take(&mut response.into_body().into_reader())
    }

    fn take(&mut self, body: &mut impl Read) -> Result<(), Failure> {
        let (name, bytes) = (&self.wanted.name, self.wanted.bytes);
        let mut buffer = vec![0; AT_ONCE];
        loop {
            let read = body.read(&mut buffer).with_context(|| format!("{name}: the connection broke"));
            let read = read.map_err(|error| Failure::passing(error, None))?;
            if read == 0 && self.held < bytes {
                let error = anyhow!("{name}: only {} of {bytes} bytes came", self.held);
                return Err(Failure::passing(error, None));
            }
            if read == 0 {
                return Ok(());
            }
            if self.held + read as u64 > bytes {
                return Err(Failure::fatal(anyhow!(
                    "{name}: the server sends more than the {bytes} bytes that the hub lists"
                )));
            }
            let part = buffer.get(..read).unwrap_or_default();
            let written = self.file.write_all(part).with_context(|| format!("cannot write {}", self.path.display()));
            written.map_err(Failure::fatal)?;
            self.summing.update(part);
            self.held += read as u64;
            self.bar.inc(read as u64);
        }
    }

    /// The sums of the whole file, which is on the disk then; `None` if they are wrong, and the file is empty again.
    fn finish(&mut self) -> anyhow::Result<Option<Sums>> {
        let sums = std::mem::replace(&mut self.summing, Summing::new(self.wanted.bytes)).finish();
        if self.wanted.content.matches(&sums) {
            self.file.sync_all().with_context(|| format!("cannot write {}", self.path.display()))?;
            return Ok(Some(sums));
        }
        self.restart()?;
        Ok(None)
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.bar.set_position(self.bar.position().saturating_sub(self.held));
        self.summing = Summing::new(self.wanted.bytes);
        self.held = restart(&mut self.file).with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }
}

fn restart(file: &mut File) -> io::Result<u64> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))
}

fn length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Of `bytes 100-199/200`, 100.
fn first_byte(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}
