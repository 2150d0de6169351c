//! Compacting: the space comes back, nothing else changes, and whoever reads goes on reading.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::{Collection, Index, all_ids, answers, bare, numbered, refused};
use crate::error::ErrorKind;

fn compact(collection: &Collection) {
    collection.compact(|_| ControlFlow::Continue(())).unwrap();
}

fn size(path: &Path) -> u64 {
    fs::metadata(path.join("store.redb")).unwrap().len()
}

#[test]
fn the_space_of_deleted_passages_comes_back() {
    for index in [Index::Exact, Index::Hnsw] {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("c"), folder.path().join("fresh"));
        let collection = bare(index).index_field("n").create(&path).unwrap();
        let long = |n: u64| {
            let mut passage = numbered(n).field("n", n % 10);
            passage.text.push_str(&" and more of it".repeat(40));
            passage
        };
        for round in 0..3 {
            collection.upsert((0..3000).map(|n| long(n + round))).unwrap();
        }
        collection.delete((1000..4000).map(|n| format!("id {n}"))).unwrap();
        collection.flush().unwrap();
        let (right, ids, before) = (answers(&collection, true), all_ids(&collection), collection.stats());
        compact(&collection);
        let after = collection.stats();
        assert_eq!((after.passages, after.seq), (before.passages, before.seq));
        assert_eq!((answers(&collection, true), all_ids(&collection)), (right.clone(), ids));

        let fresh = bare(index).index_field("n").create(&other).unwrap();
        fresh.add((0..1000).map(long)).unwrap();
        fresh.close().unwrap();
        assert!(size(&path) as f64 <= 1.2 * size(&other) as f64, "{} and {}", size(&path), size(&other));
        assert!(after.bytes * 2 < before.bytes, "{} of {}", after.bytes, before.bytes);

        // It goes on, and its views fit.
        collection.upsert((0..10).map(long)).unwrap();
        let right = answers(&collection, true);
        collection.close().unwrap();
        let again = bare(index).open(&path).unwrap();
        assert_eq!(again.open_report().rebuilt, None);
        assert_eq!(answers(&again, true), right);
        assert!(again.check(|_| ControlFlow::Continue(())).unwrap().is_sound());
    }
}

#[test]
fn who_reads_meanwhile_sees_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Exact).create(&path).unwrap();
    collection.add((0..200).map(numbered)).unwrap();
    let mut before = collection.iter().unwrap();
    let first = before.next().unwrap().unwrap();
    let reader = collection.reader();
    compact(&collection);
    collection.delete((0..200).map(|n| format!("id {n}"))).unwrap();
    compact(&collection);
    assert!(collection.is_empty());
    assert_eq!(first.id.unwrap().as_str(), "id 0");
    assert_eq!(before.filter(|passage| passage.is_ok()).count(), 199);
    assert_eq!(reader.passages().unwrap().filter(|passage| passage.is_ok()).count(), 200);
    drop(reader);
    collection.add([numbered(1)]).unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "the store and the lock");
}

/// The lock is on the file that has the name, whatever was opened before it was put there.
#[test]
fn nobody_comes_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Exact).create(&path).unwrap();
    collection.add((0..50).map(numbered)).unwrap();
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            for _ in 0..300 {
                assert_eq!(refused(bare(Index::Exact).open(&path)).kind(), ErrorKind::Locked);
                assert_eq!(refused(bare(Index::Exact).open_read_only(&path)).kind(), ErrorKind::Locked);
            }
        });
        while !others.is_finished() {
            compact(&collection);
        }
    });
    drop(collection);
    assert_eq!(bare(Index::Exact).open(&path).unwrap().len(), 50);
}

#[test]
fn what_cannot_be_compacted_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add((0..9).map(numbered)).unwrap();
    let reader = bare(Index::Exact).open_read_only(&path).unwrap();
    assert_eq!(refused(reader.compact(|_| ControlFlow::Continue(()))).kind(), ErrorKind::Misuse);
    let memory = bare(Index::Exact).in_memory().unwrap();
    memory.add((0..9).map(numbered)).unwrap();
    compact(&memory);
    assert_eq!(memory.len(), 9);
}
