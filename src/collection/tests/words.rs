//! The lexical view as part of a collection: built when asked for, in step with the rest, saved, mended, off.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::super::Mode;
use super::{
    Collection, CollectionOptions, Index, bare, copy, crash, embedding, ids, logged, names, numbered, refused,
};
use crate::error::ErrorKind;
use crate::language::Language;
use crate::passage::Passage;

/// More than it takes for the view to have a snapshot.
const ROWS: u64 = 1100;

fn options() -> CollectionOptions {
    bare(Index::Exact)
}

fn open(path: &Path) -> Collection {
    options().open(path).unwrap()
}

fn snapshot(path: &Path) -> PathBuf {
    path.join("views").join("words.bm25")
}

/// The ids of all passages that have a word, ascending.
fn having(collection: &Collection, word: &str) -> Vec<String> {
    let hits = collection.query(word).mode(Mode::Lexical).top(100_000).run().unwrap();
    let mut ids: Vec<String> = ids(&hits).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// A closed collection of [`ROWS`] passages with some history, and where it is. Every text has the word "text" in it.
fn sample() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = options().create(&path).unwrap();
    for batch in 0..12 {
        collection.add((batch * 100..(batch + 1) * 100).map(numbered)).unwrap();
    }
    collection.upsert((0..20).map(numbered)).unwrap();
    collection.delete((1100..1200).map(|n| format!("id {n}"))).unwrap();
    assert_eq!(collection.len(), ROWS);
    collection.flush().unwrap();
    (folder, path)
}

/// Every passage is found by its words, and nothing else is.
fn check(collection: &Collection) {
    let mut expected: Vec<String> =
        collection.iter().unwrap().map(|passage| passage.unwrap().id.unwrap().to_string()).collect();
    expected.sort();
    assert_eq!(having(collection, "text"), expected);
    for n in [0, 5, 599, 1099] {
        let best = collection.query(format!("\"text {n}\"")).mode(Mode::Lexical).top(2).run().unwrap();
        assert_eq!(ids(&best), [format!("id {n}")]);
        assert_eq!(best[0].text, format!("text {n}"));
    }
}

/// Opens the collection, whose snapshot must be of no use, and says why it is not.
fn rebuilt(path: &Path) -> String {
    let collection = open(path);
    assert_eq!(collection.len(), ROWS, "nothing makes opening fail");
    check(&collection);
    let why = collection.stats().words_rebuilt.expect("it must be rebuilt");
    collection.close().unwrap();
    let again = open(path);
    check(&again);
    assert_eq!(again.stats().words_rebuilt, None, "it was written anew");
    why
}

#[test]
fn a_small_collection_has_no_file_for_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = options().create(&path).unwrap();
    collection.add((0..50).map(numbered)).unwrap();
    assert_eq!(having(&collection, "text").len(), 50);
    collection.close().unwrap();
    assert!(!snapshot(&path).exists());
    let collection = open(&path);
    assert_eq!((having(&collection, "text").len(), collection.stats().words_rebuilt), (50, None));
}

#[test]
fn what_is_written_is_found_and_what_is_deleted_is_not() {
    let (_folder, path) = sample();
    let collection = open(&path);
    check(&collection);
    assert_eq!(collection.stats().words_rebuilt, None);
    collection.add([Passage::new("a fresh word").id("fresh").embedding(embedding(1))]).unwrap();
    assert_eq!(having(&collection, "fresh"), ["fresh"]);
    collection.upsert([Passage::new("a stale word").id("fresh").embedding(embedding(1))]).unwrap();
    assert_eq!((having(&collection, "fresh").len(), having(&collection, "stale")), (0, vec!["fresh".into()]));
    collection.delete(["fresh"]).unwrap();
    assert_eq!(having(&collection, "word").len(), 0);
    check(&collection);
}

#[test]
fn changes_since_the_snapshot_are_replayed() {
    let (folder, path) = sample();
    let collection = open(&path);
    collection.add((2000..2010).map(numbered)).unwrap();
    collection.upsert([numbered(2005), numbered(7)]).unwrap();
    collection.delete(["id 2001", "id 8"]).unwrap();
    let crashed = folder.path().join("crashed");
    crash(&path, &crashed);
    let before = fs::read(snapshot(&crashed)).unwrap();
    let again = open(&crashed);
    check(&again);
    assert_eq!(again.stats().words_rebuilt, None);
    assert_eq!((having(&again, "2005").len(), having(&again, "2001").len(), having(&again, "8").len()), (1, 0, 0));
    // So short a tail is not worth a snapshot; the log is kept for it.
    drop(again);
    assert_eq!(fs::read(snapshot(&crashed)).unwrap(), before);
    let again = open(&crashed);
    assert_eq!(logged(&again).first(), Some(&14));
    check(&again);
    assert_eq!(again.stats().words_rebuilt, None);
    again.flush().unwrap();
    assert_ne!(fs::read(snapshot(&crashed)).unwrap(), before, "it is written down for whoever says so");
}

#[test]
fn a_snapshot_that_is_deleted_cut_flipped_or_something_else_is_rebuilt() {
    let (_folder, path) = sample();
    let whole = fs::read(snapshot(&path)).unwrap();
    fs::remove_dir_all(path.join("views")).unwrap();
    names_all(&rebuilt(&path), &["there is no snapshot"]);
    for length in [0, 1, 11, 12, 95, 130, whole.len() / 3, whole.len() - 1] {
        fs::write(snapshot(&path), &whole[..length]).unwrap();
        names_all(&rebuilt(&path), &["damaged"]);
    }
    for n in 0..24 {
        let bit = if n % 2 == 0 { n * 97 % (96 * 8) } else { n * (whole.len() * 8 / 24) + n * 31 % 64 };
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(snapshot(&path), damaged).unwrap();
        names_all(&rebuilt(&path), &["snapshot of the view"]);
    }
    fs::remove_file(snapshot(&path)).unwrap();
    fs::create_dir(snapshot(&path)).unwrap();
    let collection = open(&path);
    check(&collection);
    names_all(&collection.stats().words_rebuilt.unwrap(), &["cannot be read"]);
    assert!(collection.close().is_err(), "and says that it cannot be written either");
}

fn names_all(text: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} is not in: {text}");
}

#[test]
fn a_foreign_an_older_and_a_newer_snapshot_are_rebuilt() {
    let (folder, path) = sample();
    let (_other_folder, other) = sample();
    let own = folder.path().join("own");
    copy(&snapshot(&path), &own);
    copy(&snapshot(&other), &snapshot(&path));
    names_all(&rebuilt(&path), &["another collection"]);

    // Older than the log reaches.
    let collection = open(&path);
    collection.upsert((0..50).map(numbered)).unwrap();
    collection.flush().unwrap();
    drop(collection);
    copy(&own, &snapshot(&path));
    names_all(&rebuilt(&path), &["another history"]);

    // Ahead of a store that went back to a backup, and then went another way to the same numbers.
    let (backup, ahead) = (folder.path().join("backup"), folder.path().join("ahead"));
    copy(&path.join("store.redb"), &backup);
    let go = |from: u64| {
        let collection = open(&path);
        collection.upsert((from..from + 10).map(numbered)).unwrap();
        collection.flush().unwrap();
    };
    go(0);
    copy(&snapshot(&path), &ahead);
    copy(&backup, &path.join("store.redb"));
    names_all(&rebuilt(&path), &["another history"]);
    copy(&backup, &path.join("store.redb"));
    go(200);
    copy(&ahead, &snapshot(&path));
    names_all(&rebuilt(&path), &["another history"]);
}

#[test]
fn readers_see_the_words_too_and_write_nothing() {
    let (_folder, path) = sample();
    open(&path).add([numbered(5000)]).unwrap();
    let before = fs::read(snapshot(&path)).unwrap();
    let reader = options().open_read_only(&path).unwrap();
    check(&reader);
    assert_eq!(having(&reader, "5000"), ["id 5000"]);
    reader.close().unwrap();
    assert_eq!(fs::read(snapshot(&path)).unwrap(), before);
    fs::remove_dir_all(path.join("views")).unwrap();
    let reader = options().open_read_only(&path).unwrap();
    check(&reader);
    reader.close().unwrap();
    assert!(!path.join("views").exists());
}

#[test]
fn a_growing_collection_keeps_its_view_and_its_log_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = options().create(&path).unwrap();
    for batch in 0..30u64 {
        collection.add((batch * 1000..(batch + 1) * 1000).map(numbered)).unwrap();
    }
    assert!(snapshot(&path).exists(), "written on the way");
    let crashed = folder.path().join("crashed");
    crash(&path, &crashed);
    let again = open(&crashed);
    assert_eq!(having(&again, "29999"), ["id 29999"]);
    assert_eq!(again.stats().words_rebuilt, None);
    collection.flush().unwrap();
    drop(collection);
    assert_eq!(logged(&open(&path)), [30]);
}

/// Each batch replaces the ten passages there are. Whoever searches sees one whole batch, by words and by meaning.
#[test]
fn words_and_meaning_are_of_the_same_moment() {
    let collection = options().in_memory().unwrap();
    let batch = |round: u64| {
        (0..10).map(move |n| {
            Passage::new(format!("all round{round}")).id(format!("{n}")).field("round", round).embedding(embedding(n))
        })
    };
    collection.add(batch(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for mode in [Mode::Lexical, Mode::Hybrid] {
            let (collection, done) = (&collection, &done);
            scope.spawn(move || {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) || seen == 0 {
                    let query = collection.ask_both("all", embedding(3));
                    let hits = query.mode(mode).top(30).run().unwrap();
                    let rounds: Vec<_> = hits.iter().map(|hit| hit.metadata["round"].as_u64().unwrap()).collect();
                    assert_eq!(rounds, [rounds[0]; 10]);
                    assert!(hits.iter().all(|hit| hit.scores.lexical.is_some()));
                    assert!(rounds[0] >= seen, "time goes forward");
                    seen = rounds[0];
                }
            });
        }
        for round in 1..150 {
            collection.upsert(batch(round)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_collection_can_do_without_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = options().without_words().create(&path).unwrap();
    for mode in [Mode::Lexical, Mode::Hybrid] {
        names(&refused(collection.query("text").mode(mode).run()), &["without", "dense"]);
    }
    collection.add((0..1200).map(numbered)).unwrap();
    let error = refused(collection.query("text").mode(Mode::Lexical).run());
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["without", "dense"]);
    assert_eq!(collection.stats().language, None);
    collection.close().unwrap();
    assert!(!snapshot(&path).exists());
    let again = options().language(Language::German).open(&path).unwrap();
    assert_eq!(again.stats().language, None, "an existing collection keeps what it was made with");
    refused(again.query("text").mode(Mode::Hybrid).run());
}

#[test]
fn a_collection_keeps_its_language() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = options().language(Language::German).create(&path).unwrap();
    collection.add([Passage::new("Die Häuser").id("a").embedding(embedding(1))]).unwrap();
    collection.close().unwrap();
    let again = open(&path);
    assert_eq!(again.stats().language, Some(Language::German));
    assert_eq!(having(&again, "haus"), ["a"]);
    assert_eq!(
        Collection::options().embeddings(2, crate::Similarity::Dot).in_memory().unwrap().stats().language,
        Some(Language::English)
    );
}
