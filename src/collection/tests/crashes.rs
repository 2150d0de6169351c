//! Power is lost at any operation, and any part of what was not synced with it: what was acknowledged is there, what was
//! not is there whole or not at all, and the collection goes on.

use super::disk::Disk;
use super::history::{History, Loss};
use super::workload::{Contents, Run, Step, carry_on, check, open};
use super::{Dice, Index};
use crate::error::ErrorKind;

/// Crashes of each kind of index: `MARCATO_CRASHES` if it is set.
fn crashes() -> u64 {
    std::env::var("MARCATO_CRASHES").map_or(5000, |count| count.parse().expect("MARCATO_CRASHES is a number"))
}

/// Opens what a crash left, and holds it against what was acknowledged and what was under way.
fn verify(disk: &Disk, index: Index, states: &[Contents], acknowledged: usize, dice: &mut Dice) {
    let collection = match open(disk, index) {
        Err(error) if acknowledged == 0 && error.kind() == ErrorKind::NotFound => {
            // Made half, which must not be in the way of making it.
            drop(Run::create(disk, index).unwrap());
            return;
        }
        opened => opened.unwrap(),
    };
    let allowed: Vec<&Contents> = states.iter().skip(acknowledged.saturating_sub(1)).take(2).collect();
    let contents = check(&collection, &allowed, dice);
    if dice.bits().is_multiple_of(8) {
        carry_on(collection, disk, index, contents, dice);
    }
}

/// A history, and what must be there after each acknowledged batch of it.
fn lived(index: Index, dice: &mut Dice) -> (History, Vec<Contents>) {
    let disk = Disk::default();
    disk.record();
    let mut run = Run::create(&disk, index).unwrap();
    Step::some(20, dice).iter().for_each(|step| run.perform(step).unwrap());
    let states = run.close();
    (disk.history(), states)
}

/// One with so many passages that its words have a snapshot.
fn lived_long(dice: &mut Dice) -> (History, Vec<Contents>) {
    let disk = Disk::default();
    let mut run = Run::create(&disk, Index::Exact).unwrap();
    let many: Vec<(u64, u64)> = (0..1030).map(|n| (1000 + n, 10_000 + n)).collect();
    let replaced: Vec<(u64, u64)> = (0..300).map(|n| (1000 + n, 20_000 + n)).collect();
    run.perform(&Step::Upsert(many)).unwrap();
    run.perform(&Step::Words).unwrap();
    run.states.drain(..1);
    disk.record();
    disk.acknowledge();
    let first =
        [Step::Flush, Step::Upsert(replaced), Step::Words, Step::Flush, Step::Compact, Step::Reopen, Step::Words];
    first.into_iter().chain(Step::some(6, dice)).for_each(|step| run.perform(&step).unwrap());
    let states = run.close();
    (disk.history(), states)
}

/// Crashes in it, `limit` at most, and says how many.
fn crash((mut history, states): (History, Vec<Contents>), index: Index, dice: &mut Dice, limit: u64) -> u64 {
    let (states, mut count) = (&states[..], 0);
    while history.step() && count < limit {
        let losses = if history.is_at_risk() { &Loss::ALL[..] } else { &[Loss::Everything] };
        let loss = losses[dice.bits() as usize % losses.len()];
        let crashed = history.crash(loss, dice);
        let acknowledged = history.acknowledged;
        if dice.bits().is_multiple_of(16) {
            // Power is lost once more while the first loss is mended.
            let again = crashed.copy();
            again.record();
            drop(open(&again, index));
            let mut mending = again.history();
            for _ in 0..dice.bits() % 40 {
                mending.step();
            }
            verify(&mending.crash(loss, dice), index, states, acknowledged, dice);
            count += 1;
        }
        verify(&crashed, index, states, acknowledged, dice);
        count += 1;
    }
    count
}

fn crash_often(index: Index) {
    let mut left = crashes();
    for seed in 0.. {
        let mut dice = Dice(seed);
        left = left.saturating_sub(crash(lived(index, &mut dice), index, &mut dice, left));
        if left == 0 {
            break;
        }
    }
}

#[test]
fn an_exact_collection_survives_the_loss_of_power() {
    crash_often(Index::Exact);
}

#[cfg(feature = "usearch")]
#[test]
fn an_approximate_collection_survives_the_loss_of_power() {
    crash_often(Index::Hnsw);
}

#[cfg(feature = "lexical")]
#[test]
fn an_index_of_words_survives_the_loss_of_power() {
    let mut left = crashes() / 20;
    for seed in 0.. {
        let mut dice = Dice(seed);
        left = left.saturating_sub(crash(lived_long(&mut dice), Index::Exact, &mut dice, left));
        if left == 0 {
            break;
        }
    }
}

/// The control: on a disk that takes nothing down when it is told to, acknowledged batches are lost, and that is seen.
#[test]
fn a_disk_that_lies_is_found_out() {
    let mut dice = Dice(0);
    let (mut history, states) = lived(Index::Exact, &mut dice);
    history.lies = true;
    while history.acknowledged < 3 {
        history.step();
    }
    let lost = history.crash(Loss::Everything, &mut dice);
    assert_eq!(open(&lost, Index::Exact).err().unwrap().kind(), ErrorKind::NotFound);
    let torn = (0..50).map(|_| history.crash(Loss::Some, &mut dice));
    let found_out = torn.filter(|disk| {
        let mut dice = Dice(1);
        let checked = || verify(disk, Index::Exact, &states, 3, &mut dice);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(checked)).is_err()
    });
    assert!(found_out.count() > 25);
}
