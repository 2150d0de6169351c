//! From snapshot and log back to the view: nothing is missing, nothing is rebuilt without need, and the log is kept
//! for as long as a snapshot needs it.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use half::f16;
use tempfile::TempDir;

use super::{Collection, Index, answers, bare, copy, crash, embedding, logged, numbered, refused};
use crate::error::ErrorKind;
use crate::index::{HnswIndex, VectorIndex};
use crate::medium::FileSystem;
use crate::passage::RowId;
use crate::progress::Stage;
use crate::snapshot::{self, Expected};

pub(super) const ROWS: u64 = 600;

pub(super) fn open(path: &Path) -> Collection {
    bare(Index::Hnsw).open(path).unwrap()
}

pub(super) fn snapshot(path: &Path) -> PathBuf {
    path.join("views").join("embeddings.hnsw")
}

/// A closed collection of [`ROWS`] passages with some history, and where it is.
pub(super) fn sample() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    for batch in 0..7 {
        collection.add((batch * 90..(batch + 1) * 90).map(numbered)).unwrap();
    }
    collection.upsert((0..20).map(numbered)).unwrap();
    collection.delete((600..630).map(|n| format!("id {n}"))).unwrap();
    assert_eq!((collection.len(), collection.stats().index), (ROWS, Index::Hnsw));
    collection.close().unwrap();
    (folder, path)
}

/// Right scores, in the right order, and nearly all that a scan finds; nothing that is not there.
pub(super) fn check_answers(collection: &Collection) {
    let (found, truth) = (answers(collection, false), answers(collection, true));
    let mut hit = 0;
    for (found, truth) in found.iter().zip(&truth) {
        assert_eq!(found.len(), truth.len());
        hit += found.iter().filter(|answer| truth.contains(answer)).count();
        let scores: Vec<f32> = found.iter().map(|(_, bits)| f32::from_bits(*bits)).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b));
    }
    let wanted: usize = truth.iter().map(Vec::len).sum();
    assert!(hit * 100 >= wanted * 98, "{hit} of {wanted}");
    for n in [0, 5, 599] {
        let best = collection.query_embedding(embedding(n)).top(1).run().unwrap().remove(0);
        assert_eq!((best.id.to_string(), best.text), (format!("id {n}"), format!("text {n}")));
        assert!(best.score > 0.999);
    }
}

#[test]
fn a_closed_collection_answers_the_same_from_its_snapshot() {
    let (_folder, path) = sample();
    let collection = open(&path);
    assert_eq!((collection.open_report().replayed, &collection.open_report().rebuilt), (0, &None));
    assert_eq!(collection.open_report().passages, ROWS);
    check_answers(&collection);
    let before = answers(&collection, false);
    drop(collection);
    for _ in 0..3 {
        let collection = open(&path);
        assert_eq!(collection.open_report().rebuilt, None);
        assert_eq!(answers(&collection, false), before);
    }
}

#[test]
fn changes_since_the_snapshot_are_replayed() {
    let (folder, path) = sample();
    let collection = open(&path);
    collection.add((1000..1010).map(numbered)).unwrap();
    collection.upsert([numbered(1005), numbered(7)]).unwrap();
    collection.delete(["id 1001", "id 8"]).unwrap();
    // A row that comes and goes between two snapshots.
    collection.add([numbered(2000)]).unwrap();
    collection.delete(["id 2000"]).unwrap();
    let crashed = folder.path().join("crashed");
    crash(&path, &crashed);

    let again = open(&crashed);
    assert_eq!((again.open_report().replayed, &again.open_report().rebuilt), (5, &None));
    assert_eq!(again.len(), collection.len());
    assert_eq!(answers(&again, true), answers(&collection, true));
    check_answers(&again);
    for n in [1000, 1005, 7] {
        let best = again.query_embedding(embedding(n)).top(1).run().unwrap();
        assert_eq!(best[0].id.as_str(), format!("id {n}"));
    }
    for n in [1001, 8, 2000] {
        let best = again.query_embedding(embedding(n)).top(1).run().unwrap();
        assert_ne!(best[0].id.as_str(), format!("id {n}"));
    }
    again.close().unwrap();
    assert_eq!(open(&crashed).open_report().replayed, 0, "closing has written it down");
}

/// A short tail costs less to replay than a snapshot costs to write, so closing leaves it; a longer one is written.
#[test]
fn a_short_tail_is_replayed_time_and_again() {
    let (_folder, path) = sample();
    open(&path).add([numbered(1000)]).unwrap();
    let written = fs::read(snapshot(&path)).unwrap();
    for _ in 0..2 {
        let collection = open(&path);
        assert_eq!((collection.open_report().replayed, &collection.open_report().rebuilt), (1, &None));
        assert_eq!(collection.query_embedding(embedding(1000)).top(1).run().unwrap()[0].id.as_str(), "id 1000");
        assert_eq!(logged(&collection), [9, 10]);
    }
    assert_eq!(fs::read(snapshot(&path)).unwrap(), written);
    let collection = open(&path);
    collection.add([numbered(1001), numbered(1002)]).unwrap();
    drop(collection);
    let collection = open(&path);
    assert_eq!((collection.open_report().replayed, logged(&collection)), (0, vec![11]));
}

/// Removed rows make a tail longer too, also those of an earlier session; and a snapshot leaves none.
#[test]
fn a_tail_is_of_added_and_removed_rows_since_the_snapshot() {
    let (_folder, path) = sample();
    open(&path).delete(["id 100", "id 101"]).unwrap();
    let collection = open(&path);
    assert_eq!(collection.open_report().replayed, 1);
    collection.delete(["id 102"]).unwrap();
    drop(collection);
    let collection = open(&path);
    assert_eq!(collection.open_report().replayed, 0, "three rows are worth a snapshot");
    collection.delete(["id 103", "id 104"]).unwrap();
    collection.flush().unwrap();
    collection.add([numbered(1000)]).unwrap();
    drop(collection);
    assert_eq!(open(&path).open_report().replayed, 1, "those before the snapshot no longer count");
}

/// Checksums tell what was written, not that it was right.
#[test]
fn a_snapshot_that_lacks_rows_is_not_believed() {
    let (_folder, path) = sample();
    let collection = open(&path);
    let (settings, similarity, engine) = (collection.0.store.settings(), collection.0.similarity, HnswIndex::engine());
    let expected = Expected { collection: settings.uuid, dimension: settings.dimension, similarity, engine: &engine };
    let mut header = snapshot::open(&FileSystem, &snapshot(&path), &expected).unwrap().header;
    let mut index = HnswIndex::new(settings.dimension as usize, similarity).unwrap();
    let stored: Vec<f16> = embedding(1).iter().copied().map(f16::from_f32).collect();
    (0..10).for_each(|row| index.insert(RowId(row), &stored).unwrap());
    drop(collection);
    header.count = 10;
    snapshot::write(&FileSystem, &snapshot(&path), &header, &mut |out| index.write_to(out)).unwrap();
    let collection = open(&path);
    let why = collection.open_report().rebuilt.clone().unwrap();
    assert_eq!(why, format!("the index has 10 rows, the store {ROWS}"));
    check_answers(&collection);
}

#[test]
fn the_log_reaches_down_to_the_snapshot_and_no_further() {
    let (_folder, path) = sample();
    let collection = open(&path);
    assert_eq!(logged(&collection), [9]);
    collection.add([numbered(1000)]).unwrap();
    collection.delete(["id 1000"]).unwrap();
    assert_eq!(logged(&collection), [9, 10, 11], "what the snapshot lacks is in the log");
    collection.flush().unwrap();
    assert_eq!(logged(&collection), [11]);
    let written = fs::read(snapshot(&path)).unwrap();
    collection.flush().unwrap();
    assert_eq!(fs::read(snapshot(&path)).unwrap(), written, "nothing new, nothing written");

    // Where no snapshot can be written, nothing may be forgotten.
    let views = path.join("views");
    fs::remove_dir_all(&views).unwrap();
    fs::write(&views, "in the way").unwrap();
    collection.add([numbered(1001)]).unwrap();
    collection.add([numbered(1002)]).unwrap();
    refused(collection.flush());
    assert_eq!(logged(&collection), [11, 12, 13]);
    drop(collection);
    let collection = open(&path);
    assert!(collection.open_report().rebuilt.is_some());
    assert_eq!(logged(&collection), [11, 12, 13]);
    assert_eq!(collection.len(), ROWS + 2);
    check_answers(&collection);
    fs::remove_file(&views).unwrap();
    collection.flush().unwrap();
    drop(collection);
    assert_eq!(open(&path).open_report().rebuilt, None);
}

#[test]
fn the_views_may_be_deleted() {
    let (_folder, path) = sample();
    let before = answers(&open(&path), true);
    fs::remove_dir_all(path.join("views")).unwrap();
    let collection = open(&path);
    let report = collection.open_report();
    assert_eq!(report.passages, ROWS);
    assert!(report.rebuilt.as_ref().unwrap().contains("there is no snapshot"), "{report:?}");
    assert_eq!(answers(&collection, true), before);
    check_answers(&collection);
    drop(collection);
    assert_eq!(open(&path).open_report().rebuilt, None, "it was written anew");
}

#[test]
fn readers_recover_too_and_write_nothing() {
    let (folder, path) = sample();
    open(&path).add([numbered(1000)]).unwrap();
    let files = |path: &Path| {
        let mut files = vec![("store.redb".into(), fs::read(path.join("store.redb")).unwrap())];
        for entry in fs::read_dir(path.join("views")).into_iter().flatten() {
            let entry = entry.unwrap();
            files.push((entry.file_name(), fs::read(entry.path()).unwrap()));
        }
        files
    };
    let before = files(&path);
    let reader = bare(Index::Hnsw).open_read_only(&path).unwrap();
    assert_eq!((reader.open_report().replayed, &reader.open_report().rebuilt), (1, &None));
    check_answers(&reader);
    drop(reader);
    assert!(files(&path) == before);

    let bare_copy = folder.path().join("copy");
    fs::create_dir(&bare_copy).unwrap();
    copy(&path.join("store.redb"), &bare_copy.join("store.redb"));
    for _ in 0..2 {
        let reader = bare(Index::Hnsw).open_read_only(&bare_copy).unwrap();
        assert!(reader.open_report().rebuilt.is_some());
        check_answers(&reader);
    }
    assert!(!bare_copy.join("views").exists());
}

#[test]
fn a_rebuild_tells_how_far_it_is_and_can_be_stopped() {
    let (_folder, path) = sample();
    let rebuild = |stop: bool| {
        fs::remove_dir_all(path.join("views")).unwrap();
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = std::sync::Arc::clone(&told);
        let opened = bare(Index::Hnsw)
            .on_progress(move |progress| {
                log.lock().unwrap().push((progress.stage, progress.done, progress.total));
                if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .open(&path);
        let told = told.lock().unwrap().clone();
        (opened, told)
    };
    let (opened, told) = rebuild(false);
    drop(opened.unwrap());
    assert_eq!(told.first(), Some(&(Stage::Index, 0, ROWS)));
    let (opened, _) = rebuild(true);
    assert_eq!(refused(opened).kind(), ErrorKind::Cancelled);
    fs::create_dir(path.join("views")).unwrap();
    let (opened, _) = rebuild(false);
    check_answers(&opened.unwrap());
}

#[test]
fn a_collection_that_was_emptied_begins_again() {
    let (_folder, path) = sample();
    let collection = open(&path);
    collection.delete((0..600).map(|n| format!("id {n}"))).unwrap();
    assert!(collection.is_empty());
    collection.close().unwrap();
    let collection = open(&path);
    assert!(collection.query_embedding(embedding(1)).run().unwrap().is_empty());
    collection.add((0..5).map(numbered)).unwrap();
    assert_eq!(collection.query_embedding(embedding(1)).run().unwrap().len(), 5);
    collection.close().unwrap();
    let collection = open(&path);
    assert_eq!(collection.open_report().rebuilt, None);
    assert_eq!(collection.query_embedding(embedding(1)).run().unwrap().len(), 5);
}

/// Every passage replaced several times over: the graph must not fill up with the dead.
#[test]
fn a_collection_that_is_replaced_again_and_again_stays_right() {
    let (_folder, path) = sample();
    for round in 0..4 {
        let collection = open(&path);
        assert_eq!(collection.open_report().rebuilt, None, "round {round}");
        collection.upsert((0..600).map(numbered)).unwrap();
        collection.add((700..1000).map(numbered)).unwrap();
        collection.delete((700..1000).map(|n| format!("id {n}"))).unwrap();
        assert_eq!(collection.len(), ROWS);
        check_answers(&collection);
    }
    check_answers(&open(&path));
}
