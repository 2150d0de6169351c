//! Many who write at once: one transaction for all, and each is told of its own batch.

use std::thread;

use super::disk::{Demand, Disk, Fault, FaultKind};
use super::workload::{PATH, open, options};
use super::{Collection, Index, all_ids, answers, bare, numbered, refused};
use crate::error::ErrorKind;

/// Holds writers off until `writers` wait, each with its part of `work`, and says what each was told.
fn together<T: Send>(collection: &Collection, writers: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let writing = collection.0.writing.lock();
        let spawned: Vec<_> = (0..writers)
            .map(|writer| {
                let started = scope.spawn({
                    let work = &work;
                    move || work(writer)
                });
                // In their order.
                while collection.0.queue.len() as u64 <= writer {
                    thread::yield_now();
                }
                started
            })
            .collect();
        drop(writing);
        spawned.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

#[test]
fn batches_that_come_at_once_share_a_transaction() {
    let disk = Disk::default();
    let collection = options(&disk, Index::Hnsw).create(PATH).unwrap();
    let syncs = || disk.demands().iter().filter(|demand| **demand == Demand::Sync).count();
    let before = syncs();
    collection.add([numbered(1000)]).unwrap();
    let of_one = syncs() - before;
    let seq = collection.stats().seq;
    let written =
        together(&collection, 20, |writer| collection.add([numbered(writer), numbered(writer + 100)]).unwrap());
    assert!(syncs() - before <= 2 * of_one, "{} for one and for twenty, {of_one} for one", syncs() - before);
    assert_eq!((collection.len(), collection.stats().seq), (41, seq + 20));
    for (writer, written) in (0..).zip(&written) {
        let ids: Vec<&str> = written.ids.iter().map(|id| id.as_str()).collect();
        assert_eq!((ids, written.added), (vec![format!("id {writer}").as_str(), &format!("id {}", writer + 100)], 2));
    }
    let right = answers(&collection, true);
    drop(collection);
    let again = open(&disk, Index::Hnsw).unwrap();
    assert_eq!((answers(&again, true), again.len()), (right, 41));
}

#[test]
fn each_fails_by_itself() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add([numbered(5)]).unwrap();
    let told = together(&collection, 10, |writer| collection.add([numbered(writer), numbered(writer + 100)]));
    for (writer, told) in told.into_iter().enumerate() {
        match told {
            Ok(written) => assert_eq!(written.added, 2),
            Err(error) => {
                assert_eq!((writer, error.kind()), (5, ErrorKind::Misuse));
                assert!(error.to_string().contains("\"id 5\""), "{error}");
            }
        }
    }
    assert_eq!(collection.len(), 19);
    assert!(!collection.contains("id 105").unwrap(), "nothing of the batch that was refused");
    // When all of them are refused, nothing is written.
    let seq = collection.stats().seq;
    let told = together(&collection, 3, |_| collection.add([numbered(1)]));
    assert!(told.into_iter().all(|told| refused(told).kind() == ErrorKind::Misuse));
    assert_eq!(collection.stats().seq, seq);
}

/// They are written in the order in which they came, so a later one sees what an earlier one did.
#[test]
fn they_take_their_turns() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        collection.add((0..5).map(numbered)).unwrap();
        together(&collection, 4, |writer| match writer {
            0 => drop(collection.upsert((0..5).map(|n| numbered(n + 50).id(format!("id {n}")))).unwrap()),
            1 => assert_eq!(collection.delete(["id 0", "id 1", "id 9"]).unwrap(), 2),
            2 => drop(collection.add([numbered(0)]).unwrap()),
            _ => assert_eq!(collection.upsert([numbered(0), numbered(9)]).unwrap().updated, 1),
        });
        assert_eq!(all_ids(&collection), ["id 2", "id 3", "id 4", "id 0", "id 9"]);
        assert_eq!(answers(&collection, false), answers(&collection, true));
    }
}

#[test]
fn all_are_told_of_a_failure() {
    let disk = Disk::default();
    let collection = options(&disk, Index::Exact).create(PATH).unwrap();
    collection.add([numbered(1000)]).unwrap();
    disk.fail(Some(Fault { at: 0, kind: FaultKind::Sync, sticky: true }));
    let told = together(&collection, 5, |writer| collection.add([numbered(writer)]));
    assert!(told.into_iter().all(|told| refused(told).to_string().contains("open the collection again")));
    assert_eq!(refused(collection.add([numbered(7)])).kind(), ErrorKind::Poisoned);
    drop(collection);
    disk.fail(None);
    let count = open(&disk, Index::Exact).unwrap().len();
    assert!(count == 1 || count == 6, "all of the transaction or nothing: {count}");
}

/// Whoever wrote for others and did not come to the end of it, by a panic, leaves nobody waiting for ever.
#[test]
fn a_batch_that_was_taken_and_lost_is_told() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    thread::scope(|scope| {
        let writing = collection.0.writing.lock();
        let waiting = scope.spawn(|| refused(collection.add([numbered(1)])));
        while collection.0.queue.len() == 0 {
            thread::yield_now();
        }
        drop(collection.0.queue.take());
        drop(writing);
        let error = waiting.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("open the collection again"), "{error}");
    });
    collection.add([numbered(2)]).unwrap();
    assert_eq!(collection.len(), 1);
}
