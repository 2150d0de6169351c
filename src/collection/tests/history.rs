//! What was done to a disk, in what order and how much of it was synced: so that the disk can be seen as any loss of power
//! could leave it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::Dice;
use super::disk::Disk;
use crate::medium::directory_of;

/// What a device writes as one.
const SECTOR: usize = 512;

/// Names and contents. A name without a number is a directory.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) names: BTreeMap<PathBuf, Option<u64>>,
    pub(super) files: BTreeMap<u64, Vec<u8>>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
pub(super) enum Naming {
    Link(PathBuf, Option<u64>),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

pub(super) enum Operation {
    Change(u64, Change),
    Sync(u64),
    FailedSync(u64),
    Name(Naming),
    SyncDirectory(PathBuf),
    /// The program was told that all before is durable.
    Acknowledged,
}

impl Image {
    pub(super) fn name(&mut self, naming: &Naming) {
        match naming {
            Naming::Link(path, node) => {
                self.names.insert(path.clone(), *node);
            }
            Naming::Unlink(path) => {
                self.names.remove(path);
            }
            Naming::Rename(from, to) => {
                if let Some(node) = self.names.remove(from) {
                    self.names.insert(to.clone(), node);
                }
            }
        }
    }
}

pub(super) fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if file.len() < end {
                file.resize(end, 0);
            }
            file[*offset..end].copy_from_slice(bytes);
        }
        Change::Length(length) => file.resize(*length, 0),
    }
}

/// How much of what was not synced reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Everything does.
    Nothing,
    /// Nothing does.
    Everything,
    /// What was done first does.
    Tail,
    /// Some of it does, in no order.
    Some,
    /// Some sectors of it do, in no order.
    Sectors,
}

impl Loss {
    pub(super) const ALL: [Self; 5] = [Self::Nothing, Self::Everything, Self::Tail, Self::Some, Self::Sectors];
}

/// What was done to a disk, step by step.
#[derive(Default)]
pub(super) struct History {
    log: VecDeque<Operation>,
    durable: Image,
    changes: BTreeMap<u64, Vec<Change>>,
    names: Vec<Naming>,
    /// Whether the disk takes nothing down that it is told to sync.
    pub(super) lies: bool,
    /// Acknowledged before the present step.
    pub(super) acknowledged: usize,
}

impl History {
    pub(super) fn new(durable: Image, log: Vec<Operation>) -> Self {
        Self { log: log.into(), durable, ..Self::default() }
    }

    /// Goes one operation further; false at the end.
    pub(super) fn step(&mut self) -> bool {
        let Some(operation) = self.log.pop_front() else { return false };
        match operation {
            Operation::Change(file, change) => self.changes.entry(file).or_default().push(change),
            Operation::Sync(_) | Operation::SyncDirectory(_) if self.lies => {}
            Operation::Sync(file) => {
                let content = self.durable.files.entry(file).or_default();
                self.changes.remove(&file).unwrap_or_default().iter().for_each(|change| apply(content, change));
            }
            // The kernel takes the pages for written, and never tries again.
            Operation::FailedSync(file) => drop(self.changes.remove(&file)),
            Operation::Name(naming) => self.names.push(naming),
            Operation::SyncDirectory(directory) => {
                let inside = |naming: &Naming| match naming {
                    Naming::Link(path, _) | Naming::Unlink(path) | Naming::Rename(path, _) => {
                        directory_of(path) == directory
                    }
                };
                let (synced, rest) = std::mem::take(&mut self.names).into_iter().partition(inside);
                self.names = rest;
                let synced: Vec<Naming> = synced;
                synced.iter().for_each(|naming| self.durable.name(naming));
            }
            Operation::Acknowledged => self.acknowledged += 1,
        }
        true
    }

    /// Whether anything is there to be lost.
    pub(super) fn is_at_risk(&self) -> bool {
        !self.names.is_empty() || self.changes.values().any(|changes| !changes.is_empty())
    }

    /// The disk after a loss of power at the present step.
    pub(super) fn crash(&self, loss: Loss, dice: &mut Dice) -> Disk {
        let mut image = self.durable.clone();
        for naming in survivors(&self.names, loss, dice) {
            image.name(naming);
        }
        for (file, changes) in &self.changes {
            let content = image.files.entry(*file).or_default();
            for change in survivors(changes, loss, dice) {
                match change {
                    Change::Write { offset, bytes } if loss == Loss::Sectors => {
                        for (offset, sector) in sectors(*offset, bytes) {
                            if dice.bits().is_multiple_of(2) {
                                apply(content, &Change::Write { offset, bytes: sector.to_vec() });
                            }
                        }
                    }
                    change => apply(content, change),
                }
            }
        }
        // What is in a directory that was lost is lost with it.
        let directories: BTreeSet<PathBuf> = image.names.iter().filter(|(_, node)| node.is_none()).map(at).collect();
        let reachable = |path: &Path| {
            let above = path.ancestors().skip(1).filter(|above| *above != Path::new("/"));
            above.into_iter().all(|above| directories.contains(above))
        };
        image.names.retain(|path, _| reachable(path));
        for file in image.names.values().flatten() {
            image.files.entry(*file).or_default();
        }
        Disk::of(image)
    }
}

fn at((path, _): (&PathBuf, &Option<u64>)) -> PathBuf {
    path.clone()
}

fn survivors<'t, T>(pending: &'t [T], loss: Loss, dice: &mut Dice) -> Vec<&'t T> {
    match loss {
        Loss::Nothing => pending.iter().collect(),
        Loss::Everything => Vec::new(),
        Loss::Tail => {
            let kept = dice.bits() as usize % (pending.len() + 1);
            pending.iter().take(kept).collect()
        }
        Loss::Some | Loss::Sectors => pending.iter().filter(|_| dice.bits().is_multiple_of(2)).collect(),
    }
}

/// The pieces of a write that are durable or not each by itself.
fn sectors(offset: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let (sector, behind) = rest.split_at((SECTOR - at % SECTOR).min(rest.len()));
        pieces.push((at, sector));
        (at, rest) = (at + sector.len(), behind);
    }
    pieces
}
