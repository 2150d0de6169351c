//! Any operation on the disk fails, once or from then on: the caller is told, what was acknowledged stays, the collection
//! can be read meanwhile, and written again once the disk is sound.

use super::disk::{Disk, Fault, FaultKind};
use super::history::Loss;
use super::workload::{Contents, Run, Step, carry_on, check, open, passages};
use super::{Dice, Index};
use crate::collection::Collection;
use crate::error::{Error, ErrorKind};

/// Three short lives of a collection.
const WORKLOADS: u64 = 3;
const STEPS: usize = 8;

fn index_of(workload: u64) -> Index {
    if workload == 0 { Index::Exact } else { Index::Hnsw }
}

fn steps(workload: u64) -> Vec<Step> {
    let first = [Step::Upsert((0..12).map(|n| (n, n)).collect()), Step::Flush, Step::Compact];
    first.into_iter().chain(Step::some(STEPS, &mut Dice(workload))).collect()
}

/// An error that the caller can act on: what happened, and that it was the disk.
fn is_told(error: &Error) {
    let kinds = [ErrorKind::Io, ErrorKind::Full, ErrorKind::Poisoned, ErrorKind::Corrupt];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(!error.to_string().is_empty());
}

/// What can be there after `step` of `run` failed.
fn outcomes(run: &Run<'_>, step: &Step) -> Vec<Contents> {
    vec![run.states.last().unwrap().clone(), run.after(step)]
}

/// A sound disk is put in the place of the faulty one, with the same content.
fn heal(disk: &Disk, index: Index, allowed: &[Contents], dice: &mut Dice) {
    let collection = open(disk, index).unwrap();
    let contents = check(&collection, &allowed.iter().collect::<Vec<_>>(), dice);
    carry_on(collection, disk, index, contents, dice);
}

/// The disk works again under a collection that met an error: it can be read, and written or it says what to do.
fn goes_on(collection: &Collection, mut allowed: Vec<Contents>, dice: &mut Dice) -> Vec<Contents> {
    let there = check(collection, &allowed.iter().collect::<Vec<_>>(), dice);
    let batch = [(7, 2001)];
    let mut after = there;
    after.upsert(&batch);
    match collection.upsert(passages(&batch)) {
        Ok(_) => vec![check(collection, &[&after], dice)],
        Err(error) => {
            is_told(&error);
            assert!(error.to_string().contains("open the collection again"), "{error}");
            allowed.push(after);
            allowed
        }
    }
}

fn fail(workload: u64, fault: Fault) {
    let (mut dice, index) = (Dice(workload), index_of(workload));
    let disk = Disk::default();
    disk.record();
    disk.fail(Some(fault));
    let mut run = match Run::create(&disk, index) {
        Ok(run) => run,
        Err(error) => {
            is_told(&error);
            disk.fail(None);
            if open(&disk, index).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                drop(Run::create(&disk, index).unwrap());
            }
            return heal(&disk, index, &[Contents::default()], &mut dice);
        }
    };
    let mut allowed = None;
    for step in &steps(workload) {
        if let Err(error) = run.perform(step) {
            is_told(&error);
            let outcomes = outcomes(&run, step);
            disk.fail(None);
            allowed = Some(match run.collection() {
                Some(collection) => goes_on(collection, outcomes, &mut dice),
                None => outcomes,
            });
            break;
        }
    }
    let last = run.states.last().unwrap().clone();
    run.close();
    disk.fail(None);
    let allowed = allowed.unwrap_or_else(|| vec![last]);
    let mut history = disk.history();
    if fault.kind == FaultKind::Sync {
        // The machine goes down too: what could not be synced was not acknowledged.
        while history.step() {}
        heal(&history.crash(Loss::Everything, &mut dice), index, &allowed, &mut dice);
    }
    heal(&disk, index, &allowed, &mut dice);
}

fn fail_at_every_operation(kind: FaultKind) {
    for workload in 0..WORKLOADS {
        if cfg!(not(feature = "usearch")) && index_of(workload) == Index::Hnsw {
            continue;
        }
        let disk = Disk::default();
        disk.fail(None);
        let mut run = Run::create(&disk, index_of(workload)).unwrap();
        steps(workload).iter().for_each(|step| run.perform(step).unwrap());
        run.close();
        let demands = disk.demands();
        assert!(demands.len() > 100);
        for (at, demand) in demands.into_iter().enumerate() {
            if kind.strikes(demand) {
                for sticky in [false, true] {
                    fail(workload, Fault { at, kind, sticky });
                }
            }
        }
    }
}

#[test]
fn every_operation_may_fail() {
    fail_at_every_operation(FaultKind::Error);
}

#[test]
fn the_disk_may_be_full_at_any_time() {
    fail_at_every_operation(FaultKind::Full);
}

#[test]
fn every_write_may_be_cut_short() {
    fail_at_every_operation(FaultKind::Short);
}

#[test]
fn every_sync_may_fail() {
    fail_at_every_operation(FaultKind::Sync);
}
