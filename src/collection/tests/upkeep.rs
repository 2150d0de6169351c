//! When a graph is fitted to its data again, made anew, given up and tried again.

use std::ops::ControlFlow;
use std::path::PathBuf;

use tempfile::TempDir;

use super::recovery::{open, snapshot};
use super::{Collection, Index, bare, numbered};
use crate::collection::view::{View, matrix_of};
use crate::index::VectorIndex;

/// From how many rows on a graph is fitted to its data.
const FITTED: u64 = 512;

/// An empty collection with a graph, and where it is.
fn made() -> (TempDir, PathBuf, Collection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    (folder, path, collection)
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("id {number}")).collect()
}

/// How many rows there were when the graph was last fitted to them.
fn fitted(collection: &Collection) -> u64 {
    collection.0.writing.lock().tuned
}

/// How many rows there were when a graph was given up.
fn declined(collection: &Collection) -> Option<u64> {
    collection.0.writing.lock().declined
}

fn is_exact(collection: &Collection) -> bool {
    collection.0.live.read().view.is_exact()
}

fn dead_fraction(collection: &Collection) -> f32 {
    collection.0.live.read().view.dead_fraction()
}

/// Gives the graph of `collection` up, as is done where it would find too little.
fn decline(collection: &Collection) {
    let mut tail = collection.0.writing.lock();
    let mut live = collection.0.live.write();
    live.view = View::Exact(matrix_of(&live.reader, collection.0.similarity).unwrap());
    tail.declined = Some(live.view.len() as u64);
}

#[test]
fn a_graph_is_fitted_again_after_a_quarter_more_rows() {
    let (_folder, path, collection) = made();
    collection.add((0..FITTED).map(numbered)).unwrap();
    assert_eq!(fitted(&collection), FITTED);
    collection.add((FITTED..640).map(numbered)).unwrap();
    assert_eq!(fitted(&collection), FITTED, "a quarter more, and no row beyond");
    collection.add([numbered(640)]).unwrap();
    assert_eq!(fitted(&collection), 641);
    // Fewer rows are no reason.
    collection.delete(ids(0..41)).unwrap();
    assert_eq!((collection.len(), fitted(&collection)), (600, 641));
    collection.add((641..700).map(numbered)).unwrap();
    assert_eq!((collection.len(), fitted(&collection)), (659, 641));
    collection.close().unwrap();

    // The snapshot knows it in hundredths, of which 2.8 are taken for 3; without growth it stays so.
    for _ in 0..3 {
        let collection = open(&path);
        assert_eq!((collection.len(), fitted(&collection)), (659, 640));
        collection.upsert([numbered(650)]).unwrap();
        collection.close().unwrap();
    }
    let collection = open(&path);
    collection.add((700..841).map(numbered)).unwrap();
    assert_eq!((collection.len(), fitted(&collection)), (800, 640));
    collection.add([numbered(841)]).unwrap();
    assert_eq!(fitted(&collection), 801);
}

#[test]
fn a_graph_of_many_removed_rows_is_made_anew() {
    let (_folder, _, collection) = made();
    collection.add((0..1000).map(numbered)).unwrap();
    collection.delete(ids(0..290)).unwrap();
    let dead = dead_fraction(&collection);
    assert!((0.28..=0.3).contains(&dead), "{dead}");
    collection.delete(ids(290..310)).unwrap();
    assert_eq!((dead_fraction(&collection), fitted(&collection)), (0.0, 690));
    assert!(!is_exact(&collection));
}

#[test]
fn a_graph_made_anew_on_request_has_no_removed_rows_and_its_snapshot() {
    let (_folder, path, collection) = made();
    collection.add((0..600).map(numbered)).unwrap();
    collection.delete(ids(0..100)).unwrap();
    assert!(dead_fraction(&collection) > 0.0 && !snapshot(&path).exists());
    collection.rebuild_indexes(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(dead_fraction(&collection), 0.0);
    let tail = collection.0.writing.lock();
    assert_eq!((tail.rows, tail.tuned, tail.declined), (0, 500, None));
    assert!(snapshot(&path).exists());
}

#[test]
fn a_graph_that_was_given_up_is_tried_again_at_twice_as_many_rows() {
    let (_folder, path, collection) = made();
    collection.add((0..600).map(numbered)).unwrap();
    decline(&collection);
    collection.add((600..900).map(numbered)).unwrap();
    assert!(is_exact(&collection));
    collection.close().unwrap();

    // Opening does not try either: the snapshot, which has no graph, says so.
    let collection = open(&path);
    assert_eq!(collection.open_report().rebuilt, None);
    assert!(is_exact(&collection) && declined(&collection) == Some(600));
    collection.add((900..1199).map(numbered)).unwrap();
    assert!(is_exact(&collection));
    collection.add([numbered(1199)]).unwrap();
    assert!(!is_exact(&collection));
    assert_eq!((declined(&collection), fitted(&collection)), (None, 1200));
}
