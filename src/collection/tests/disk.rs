//! A disk in memory that can fail at any operation, and writes down what is done to it.

use std::ffi::OsString;
use std::io::{self, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::history::{Change, History, Image, Naming, Operation, apply};
use crate::medium::{Content, Medium, Source, StoreFile, directory_of};

#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// As the running program sees it.
    now: Image,
    /// When recording began.
    before: Image,
    log: Vec<Operation>,
    records: bool,
    /// What each operation since `fail` asked for.
    demands: Vec<Demand>,
    fault: Option<Fault>,
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// The operation, counted from 0.
    pub(super) at: usize,
    pub(super) kind: FaultKind,
    /// Whether it goes on failing.
    pub(super) sticky: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Any operation fails, and does nothing.
    Error,
    /// Whatever takes space fails.
    Full,
    /// A write fails midway.
    Short,
    /// A sync fails; what it was to make durable never will be.
    Sync,
}

/// What an operation asks of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    Read,
    Space,
    Write,
    Sync,
    Other,
}

impl FaultKind {
    pub(super) fn strikes(self, demand: Demand) -> bool {
        match self {
            Self::Error => true,
            Self::Full => matches!(demand, Demand::Space | Demand::Write),
            Self::Short => demand == Demand::Write,
            Self::Sync => demand == Demand::Sync,
        }
    }
}

impl Disk {
    /// From here on what is done is written down; all that was done before is durable.
    pub(super) fn record(&self) {
        let mut state = self.state();
        (state.before, state.records) = (state.now.clone(), true);
        state.log.clear();
    }

    pub(super) fn medium(&self) -> Arc<dyn Medium> {
        Arc::new(self.clone())
    }

    pub(super) fn fail(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.fault = fault;
        state.demands.clear();
    }

    /// What each operation since then asked for.
    pub(super) fn demands(&self) -> Vec<Demand> {
        self.state().demands.clone()
    }

    /// Writes down that the program was told of success.
    pub(super) fn acknowledge(&self) {
        self.state().record(Operation::Acknowledged);
    }

    /// Another disk with the same content.
    pub(super) fn copy(&self) -> Self {
        Self::of(self.state().now.clone())
    }

    /// What is in the file of that name.
    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.now.files[&state.file(path).unwrap()].clone()
    }

    /// Another disk with the same content, but for that file.
    pub(super) fn with(&self, path: &Path, bytes: Vec<u8>) -> Self {
        let disk = self.copy();
        let mut state = disk.state();
        let file = state.file(path).unwrap();
        state.now.files.insert(file, bytes);
        drop(state);
        disk
    }

    /// What was done since it began to record.
    pub(super) fn history(&self) -> History {
        let mut state = self.state();
        let durable = std::mem::take(&mut state.before);
        state.records = false;
        History::new(durable, std::mem::take(&mut state.log))
    }

    pub(super) fn of(now: Image) -> Self {
        Self(Arc::new(Mutex::new(State { now, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts an operation, and fails if it is its turn.
    fn begin(&self, demand: Demand) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.demands.push(demand);
        match state.struck() {
            None | Some(FaultKind::Short) => Ok(state),
            Some(FaultKind::Full) => Err(io::Error::new(io::ErrorKind::StorageFull, "simulated full disk")),
            Some(kind) => Err(io::Error::other(format!("simulated {kind:?}"))),
        }
    }

    fn missing() -> io::Error {
        io::Error::from(io::ErrorKind::NotFound)
    }
}

impl State {
    fn record(&mut self, operation: Operation) {
        if self.records {
            self.log.push(operation);
        }
    }

    fn change(&mut self, file: u64, change: Change) {
        apply(self.now.files.entry(file).or_default(), &change);
        self.record(Operation::Change(file, change));
    }

    /// What is wrong with the present operation.
    fn struck(&self) -> Option<FaultKind> {
        let (number, demand) = (self.demands.len() - 1, *self.demands.last()?);
        let due = |fault: &Fault| number == fault.at || fault.sticky && number > fault.at;
        self.fault.filter(due).map(|fault| fault.kind).filter(|kind| kind.strikes(demand))
    }

    /// A write that may be cut short by the fault.
    fn write(&mut self, file: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let cut = self.struck() == Some(FaultKind::Short);
        let written = if cut { bytes.get(..bytes.len() / 2).unwrap_or_default() } else { bytes };
        self.change(file, Change::Write { offset, bytes: written.to_vec() });
        if cut { Err(io::Error::other("simulated short write")) } else { Ok(()) }
    }

    fn name(&mut self, naming: Naming) {
        self.now.name(&naming);
        self.record(Operation::Name(naming));
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.now.names.get(path) {
            Some(Some(file)) => Ok(*file),
            Some(None) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(Disk::missing()),
        }
    }

    /// The file of that name, made if it is not there.
    fn make(&mut self, path: &Path) -> io::Result<u64> {
        if let Ok(file) = self.file(path) {
            return Ok(file);
        }
        let folder = directory_of(path);
        if folder != Path::new("/") && self.now.names.get(folder) != Some(&None) {
            return Err(Disk::missing());
        }
        let file = self.now.files.keys().next_back().map_or(0, |last| last + 1);
        self.now.files.insert(file, Vec::new());
        self.name(Naming::Link(path.to_owned(), Some(file)));
        Ok(file)
    }
}

impl Medium for Disk {
    fn read(&self, path: &Path) -> io::Result<(Box<dyn Source>, u64)> {
        let state = self.begin(Demand::Read)?;
        let content = state.now.files[&state.file(path)?].clone();
        let length = content.len() as u64;
        Ok((Box::new(Cursor::new(content)), length))
    }

    fn write(&self, path: &Path, content: Content<'_>) -> io::Result<()> {
        let file = {
            let mut state = self.begin(Demand::Space)?;
            let file = state.make(path)?;
            state.change(file, Change::Length(0));
            file
        };
        content(&mut Growing { disk: self, file, length: 0 })?;
        self.sync(file)
    }

    fn mark(&self, path: &Path) -> io::Result<()> {
        self.begin(Demand::Space)?.make(path).map(drop)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(path == Path::new("/") || self.begin(Demand::Read)?.now.names.contains_key(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Demand::Other)?;
        state.file(from)?;
        state.name(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Demand::Other)?;
        if state.file(path).is_ok() {
            state.name(Naming::Unlink(path.to_owned()));
        }
        Ok(())
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let state = self.begin(Demand::Read)?;
        if state.now.names.get(directory) != Some(&None) {
            return Err(Self::missing());
        }
        let inside = state.now.names.iter().filter(|(path, _)| path.parent() == Some(directory));
        Ok(inside.map(|(path, node)| (path.file_name().unwrap().to_owned(), node.is_some())).collect())
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Demand::Space)?;
        match state.now.names.get(path) {
            Some(None) => {}
            Some(Some(_)) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            None => state.name(Naming::Link(path.to_owned(), None)),
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.begin(Demand::Sync)?.record(Operation::SyncDirectory(path.to_owned()));
        Ok(())
    }

    fn store_file(&self, path: &Path, create: bool) -> Option<io::Result<Box<dyn StoreFile>>> {
        let open = || {
            let mut state = self.begin(Demand::Space)?;
            let file = if create { state.make(path)? } else { state.file(path)? };
            drop(state);
            Ok(Box::new(Opened { disk: self.clone(), file }) as Box<dyn StoreFile>)
        };
        Some(open())
    }
}

impl Disk {
    fn sync(&self, file: u64) -> io::Result<()> {
        match self.begin(Demand::Sync) {
            Ok(mut state) => {
                state.record(Operation::Sync(file));
                Ok(())
            }
            Err(error) => {
                self.state().record(Operation::FailedSync(file));
                Err(error)
            }
        }
    }
}

/// A file that is written from its beginning on.
struct Growing<'d> {
    disk: &'d Disk,
    file: u64,
    length: usize,
}

impl Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.begin(Demand::Write)?.write(self.file, self.length, bytes)?;
        self.length += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Opened {
    disk: Disk,
    file: u64,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "file {}", self.file)
    }
}

impl StoreFile for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.begin(Demand::Read)?.now.files[&self.file].len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.begin(Demand::Space)?.change(self.file, Change::Length(length as usize));
        Ok(())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.begin(Demand::Read)?;
        let file = &state.now.files[&self.file];
        let bytes = file.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.begin(Demand::Write)?.write(self.file, offset as usize, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync(self.file)
    }
}
