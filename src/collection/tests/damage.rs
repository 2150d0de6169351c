//! Snapshots that are damaged, foreign or out of date: each is noticed, said, and made good from the store.

use std::fs;
use std::path::Path;

use super::recovery::{ROWS, check_answers, open, sample, snapshot};
use super::{Index, answers, bare, copy, crash, numbered};

/// Opens the collection, whose snapshot must be of no use, and says why it is not.
fn rebuilt(path: &Path) -> String {
    let collection = open(path);
    let why = collection.open_report().rebuilt.clone().expect("it must be rebuilt");
    assert_eq!((collection.open_report().passages, collection.len()), (ROWS, ROWS));
    check_answers(&collection);
    why
}

#[test]
fn a_snapshot_cut_anywhere_is_rebuilt() {
    let (_folder, path) = sample();
    let whole = fs::read(snapshot(&path)).unwrap();
    let lengths = (0..24).map(|n| n * whole.len() / 24).chain([1, 11, 12, 95, 96, 104, whole.len() - 1]);
    for length in lengths {
        fs::write(snapshot(&path), &whole[..length]).unwrap();
        let why = rebuilt(&path);
        assert!(why.contains("damaged"), "cut to {length}: {why}");
        assert_eq!(open(&path).open_report().rebuilt, None, "and written anew");
    }
    fs::write(snapshot(&path), [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(rebuilt(&path).contains("damaged"));
}

#[test]
fn a_snapshot_with_a_flipped_bit_is_rebuilt() {
    let (_folder, path) = sample();
    let whole = fs::read(snapshot(&path)).unwrap();
    let bits = whole.len() * 8;
    for n in 0..60 {
        // The header is small and every bit of it counts, so half of them go there.
        let bit = if n % 2 == 0 { n * 977 % (140 * 8) } else { n * (bits / 60) + n * 31 % 64 };
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(snapshot(&path), damaged).unwrap();
        let why = rebuilt(&path);
        assert!(why.contains("snapshot of the view"), "bit {bit}: {why}");
    }
}

#[test]
fn a_snapshot_that_is_something_else_is_rebuilt() {
    let (_folder, path) = sample();
    let whole = fs::read(snapshot(&path)).unwrap();
    let zeros = vec![0; whole.len()];
    for bytes in [b"".as_slice(), b"MARCVIEW", b"a letter to a friend", &zeros] {
        fs::write(snapshot(&path), bytes).unwrap();
        assert!(rebuilt(&path).contains("damaged"));
    }
    fs::remove_file(snapshot(&path)).unwrap();
    fs::create_dir(snapshot(&path)).unwrap();
    assert!(rebuilt(&path).contains("cannot be read"));
}

#[test]
fn another_collections_snapshot_is_rebuilt() {
    let (_folder, path) = sample();
    let (_other_folder, other) = sample();
    copy(&snapshot(&other), &snapshot(&path));
    let why = rebuilt(&path);
    assert!(why.contains("another collection"), "{why}");
    assert_eq!(open(&path).open_report().rebuilt, None);
}

/// The log no longer reaches down to it, so there is nothing to replay from.
#[test]
fn an_older_snapshot_put_back_is_rebuilt() {
    let (folder, path) = sample();
    let older = folder.path().join("older");
    copy(&snapshot(&path), &older);
    let collection = open(&path);
    collection.upsert((0..50).map(numbered)).unwrap();
    collection.delete(["id 0"]).unwrap();
    collection.add([numbered(0)]).unwrap();
    collection.close().unwrap();
    copy(&older, &snapshot(&path));
    let why = rebuilt(&path);
    assert!(why.contains("another history"), "{why}");
}

/// An older snapshot that the log does reach down to: the crash came after the batches and before the snapshot.
#[test]
fn an_older_snapshot_within_the_log_is_replayed() {
    let (folder, path) = sample();
    let older = folder.path().join("older");
    copy(&snapshot(&path), &older);
    let collection = open(&path);
    collection.upsert((0..50).map(numbered)).unwrap();
    collection.delete(["id 0"]).unwrap();
    collection.add([numbered(0)]).unwrap();
    let crashed = folder.path().join("crashed");
    crash(&path, &crashed);
    collection.flush().unwrap();
    copy(&older, &snapshot(&crashed));
    let again = open(&crashed);
    assert_eq!((again.open_report().replayed, &again.open_report().rebuilt), (3, &None));
    assert_eq!(answers(&again, true), answers(&collection, true));
    check_answers(&again);
}

/// The store goes back to a backup, the snapshot does not: it holds rows that the store has not given out yet.
#[test]
fn a_snapshot_ahead_of_a_restored_store_is_rebuilt() {
    let (folder, path) = sample();
    let backup = folder.path().join("backup");
    copy(&path.join("store.redb"), &backup);
    let collection = open(&path);
    collection.delete((0..300).map(|n| format!("id {n}"))).unwrap();
    collection.add((1000..1300).map(numbered)).unwrap();
    collection.close().unwrap();
    copy(&backup, &path.join("store.redb"));
    let why = rebuilt(&path);
    assert!(why.contains("another history"), "{why}");
}

/// The same, and then the restored store goes its own way to the same sequence number and the same number of rows:
/// only the lineage tells the two apart.
#[test]
fn a_snapshot_of_another_history_with_the_same_numbers_is_rebuilt() {
    let (folder, path) = sample();
    let (backup, ahead) = (folder.path().join("backup"), folder.path().join("ahead"));
    copy(&path.join("store.redb"), &backup);
    let go = |from: u64| {
        let collection = open(&path);
        collection.delete((from..from + 100).map(|n| format!("id {n}"))).unwrap();
        collection.add((from..from + 100).map(numbered)).unwrap();
        let stats = collection.stats();
        collection.close().unwrap();
        (stats.seq, stats.passages)
    };
    let there = go(0);
    copy(&snapshot(&path), &ahead);
    copy(&backup, &path.join("store.redb"));
    assert_eq!(go(200), there);
    copy(&ahead, &snapshot(&path));
    let why = rebuilt(&path);
    assert!(why.contains("another history"), "{why}");
}

#[test]
fn a_snapshot_whose_loading_never_ended_is_tried_three_times() {
    let (_folder, path) = sample();
    let marks = ["embeddings.hnsw.loading", "embeddings.hnsw.loading-2", "embeddings.hnsw.loading-3"];
    let marks = marks.map(|name| path.join("views").join(name));
    marks[..2].iter().for_each(|mark| fs::write(mark, "").unwrap());
    assert_eq!(open(&path).open_report().rebuilt, None);
    assert!(!marks[0].exists() && !marks[1].exists(), "it was loaded");
    marks.iter().for_each(|mark| fs::write(mark, "").unwrap());
    // A reader may not take the marks away.
    let reader = bare(Index::Hnsw).open_read_only(&path).unwrap();
    assert!(reader.open_report().rebuilt.is_some());
    drop(reader);
    assert!(marks.iter().all(|mark| mark.exists()));
    let why = rebuilt(&path);
    assert!(why.contains("while it loaded"), "{why}");
    assert!(marks.iter().all(|mark| !mark.exists()), "the new snapshot has a clean slate");
    assert_eq!(open(&path).open_report().rebuilt, None);
}

#[test]
fn what_crashed_writers_left_is_swept_and_nothing_else() {
    let (_folder, path) = sample();
    let views = path.join("views");
    for name in ["embeddings.hnsw.tmp-1-0", "embeddings.hnsw.tmp-99999-12", "notes.txt", "embeddings.hnsw.tmp-mine"] {
        fs::write(views.join(name), "left").unwrap();
    }
    assert_eq!(open(&path).open_report().rebuilt, None);
    let mut left: Vec<_> = fs::read_dir(&views).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["embeddings.hnsw", "embeddings.hnsw.tmp-mine", "notes.txt"]);
}
