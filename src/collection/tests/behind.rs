//! A large index that is lost is made anew while the collection is in use: answers are exact at once, and nothing that is
//! written meanwhile is missed.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::behind::BEHIND_ROWS;
use super::{Collection, Index, answers, bare, logged, numbered};
use crate::collection::Plan;

const ROWS: u64 = BEHIND_ROWS + 500;

/// A closed collection whose snapshot is gone.
fn lost() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    for start in (0..ROWS).step_by(2100) {
        collection.add((start..ROWS.min(start + 2100)).map(numbered)).unwrap();
    }
    collection.close().unwrap();
    fs::remove_file(path.join("views/embeddings.hnsw")).unwrap();
    (folder, path)
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
    assert!(!path.join("views/embeddings.hnsw").exists());
}
