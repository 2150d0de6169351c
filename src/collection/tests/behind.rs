//! A large index is loaded while the collection is in use, and made anew if it is lost: answers are exact at once, and nothing
//! that is written meanwhile is missed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::behind::BEHIND_ROWS;
use super::super::lifecycle::open_store;
use super::super::recover::recover;
use super::{Collection, Index, answers, bare, logged, numbered};
use crate::collection::Plan;

const ROWS: u64 = BEHIND_ROWS + 500;

/// A closed collection.
fn closed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    for start in (0..ROWS).step_by(2100) {
        collection.add((start..ROWS.min(start + 2100)).map(numbered)).unwrap();
    }
    collection.close().unwrap();
    (folder, path)
}

/// The same, and its snapshot is gone.
fn lost() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = closed();
    fs::remove_file(snapshot(&path)).unwrap();
    (folder, path)
}

fn snapshot(path: &Path) -> PathBuf {
    path.join("views/embeddings.hnsw")
}

/// What lies beside the snapshot.
fn beside(path: &Path) -> Vec<std::ffi::OsString> {
    let names = fs::read_dir(path.join("views")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != "embeddings.hnsw" && name != "words.bm25").collect()
}

fn open(path: &Path) -> Collection {
    bare(Index::Hnsw).open(path).unwrap()
}

fn plan(collection: &Collection) -> Plan {
    collection.query_embedding(super::embedding(1)).top(10).explain().unwrap().plan
}

#[test]
fn answers_are_exact_until_it_is_there() {
    let (_folder, path) = lost();
    let collection = open(&path);
    assert!(collection.open_report().rebuilt.is_some());
    {
        // Held off, the thread cannot put the graph in its place.
        let _writing = collection.0.writing.lock();
        assert_eq!(plan(&collection), Plan::ScanStore);
        assert_eq!(answers(&collection, false), answers(&collection, true));
    }
    collection.upsert((0..300).map(|n| numbered(n + 1_000_000).id(format!("id {n}")))).unwrap();
    collection.delete((300..400).map(|n| format!("id {n}"))).unwrap();
    let right = answers(&collection, true);
    collection.flush().unwrap();
    assert_eq!((plan(&collection), collection.len()), (Plan::Graph, ROWS - 100));
    assert_eq!(answers(&collection, true), right);
    assert_eq!(logged(&collection), [collection.stats().seq], "its snapshot is written, and the log forgotten");
    let report = collection.check(|_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
    drop(collection);
    assert_eq!(open(&path).open_report().rebuilt, None);
}

#[test]
fn the_last_handle_lets_go_at_any_time() {
    let (_folder, path) = lost();
    for wait in 0..20 {
        let collection = open(&path);
        collection.upsert([numbered(wait)]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
    }
    let collection = open(&path);
    assert!(collection.open_report().rebuilt.is_some());
    collection.close().unwrap();
    assert_eq!(open(&path).open_report().rebuilt, None);
}

#[test]
fn readers_make_one_for_themselves() {
    let (_folder, path) = lost();
    let reader = bare(Index::Hnsw).open_read_only(&path).unwrap();
    reader.0.wait_for_index();
    assert_eq!(plan(&reader), Plan::Graph);
    assert!(!snapshot(&path).exists());
}

#[test]
fn opening_does_not_load_it() {
    let (_folder, path) = closed();
    let mut options = bare(Index::Hnsw);
    let store = open_store(&mut options, &path, false).unwrap();
    let recovered = recover(&mut options, &store, Some(&path)).unwrap();
    assert!(recovered.live.view.is_absent() && recovered.file.is_some());
    options.behind_from = ROWS + 1;
    let recovered = recover(&mut options, &store, Some(&path)).unwrap();
    assert!(!recovered.live.view.is_absent() && recovered.file.is_none(), "a small one is loaded at once");
}

#[test]
fn a_query_waits_for_a_graph_that_is_being_loaded_and_nobody_else() {
    let (_folder, path) = closed();
    let collection = open(&path);
    let asked = std::thread::scope(|scope| {
        // Held off, the thread cannot put the graph in its place.
        let writing = collection.0.writing.lock();
        let asking = scope.spawn(|| plan(&collection));
        let exact = collection.query_embedding(super::embedding(1)).top(10).exact(true).explain().unwrap();
        assert_eq!(exact.plan, Plan::ScanStore);
        assert_eq!(exact.hits.len(), 10);
        assert_eq!(collection.get("id 7").unwrap().unwrap().text, "text 7");
        assert_eq!(collection.len(), ROWS);
        drop(writing);
        asking.join().unwrap()
    });
    assert_eq!(asked, Plan::Graph);
    assert_eq!((collection.open_report().rebuilt, collection.open_report().replayed), (None, 0));
    assert!(beside(&path).is_empty(), "{:?}", beside(&path));
}

#[test]
fn what_is_written_while_the_graph_is_loaded_is_in_it() {
    let (_folder, path) = closed();
    let collection = open(&path);
    collection.upsert((0..300).map(|n| numbered(n + 1_000_000).id(format!("id {n}")))).unwrap();
    collection.delete((300..400).map(|n| format!("id {n}"))).unwrap();
    let right = answers(&collection, true);
    collection.0.wait_for_index();
    assert_eq!((plan(&collection), collection.len()), (Plan::Graph, ROWS - 100));
    assert_eq!(answers(&collection, true), right);
    assert_eq!(collection.open_report().rebuilt, None);
    let report = collection.check(|_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn the_last_handle_lets_go_while_the_graph_is_loaded() {
    let (_folder, path) = closed();
    let written = fs::metadata(snapshot(&path)).unwrap().modified().unwrap();
    for wait in 0..20 {
        let collection = open(&path);
        collection.upsert([numbered(wait)]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        if wait % 2 == 0 {
            drop(collection)
        } else {
            collection.close().unwrap()
        }
        assert!(beside(&path).is_empty(), "{:?}", beside(&path));
    }
    let collection = open(&path);
    collection.0.wait_for_index();
    assert_eq!(collection.open_report().rebuilt, None);
    assert_eq!(collection.open_report().replayed, 20);
    assert_eq!(fs::metadata(snapshot(&path)).unwrap().modified().unwrap(), written, "so little was not worth writing");
}

/// Whoever opens the collection next finds it released.
#[test]
fn the_last_handle_waits_for_the_thread_to_let_go() {
    let (_folder, path) = closed();
    let collection = open(&path);
    let inner = Arc::clone(&collection.0);
    let held = std::thread::scope(|scope| {
        // Held off, the thread cannot put the graph in its place, and waits with the collection in its hands.
        let writing = inner.writing.lock();
        // Should it have been faster, there is nothing left to wait for.
        while Arc::strong_count(&inner) < 3 && inner.live.read().view.is_absent() {
            std::thread::yield_now();
        }
        let dropping = scope.spawn(|| {
            drop(collection);
            Arc::strong_count(&inner)
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(writing);
        dropping.join().unwrap()
    });
    assert_eq!(held, 1, "only the test has it");
}

/// Whoever never waits for the graph does not leave ever more to replay.
#[test]
fn short_visits_that_write_renew_the_snapshot_now_and_then() {
    let (_folder, path) = closed();
    let visits = 60;
    for visit in 0..visits {
        let collection = open(&path);
        // Mostly gone again before the thread is done; what counts holds either way.
        collection.upsert([numbered(visit)]).unwrap();
    }
    let collection = open(&path);
    collection.0.wait_for_index();
    let report = collection.open_report();
    assert_eq!(report.rebuilt, None);
    // A replacement is two rows, and one in 256 may be left.
    assert!(report.replayed <= ROWS / 512, "{report:?}");
    assert_eq!(collection.len(), ROWS);
}

#[test]
fn a_snapshot_that_turns_out_to_be_damaged_is_made_anew() {
    let (_folder, path) = closed();
    let mut bytes = fs::read(snapshot(&path)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(snapshot(&path), bytes).unwrap();
    let collection = open(&path);
    assert_eq!(answers(&collection, false).len(), 20);
    let report = collection.open_report();
    assert!(report.rebuilt.as_ref().is_some_and(|why| why.contains("damaged")), "{report:?}");
    collection.flush().unwrap();
    assert_eq!(plan(&collection), Plan::Graph);
    drop(collection);
    let collection = open(&path);
    collection.0.wait_for_index();
    assert_eq!(collection.open_report().rebuilt, None);
}

#[test]
fn readers_load_it_for_themselves_and_leave_no_mark() {
    let (_folder, path) = closed();
    let readers = [(); 3].map(|()| bare(Index::Hnsw).open_read_only(&path).unwrap());
    for reader in &readers {
        assert_eq!(plan(reader), Plan::Graph);
    }
    assert!(beside(&path).is_empty(), "{:?}", beside(&path));
}
