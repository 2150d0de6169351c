//! The file: made whole or not at all, held by one, and never taken for what it is not.

use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTable};
use tempfile::TempDir;

use super::super::backend;
use super::super::codec::{LexicalSettings, Settings};
use super::super::schema::EMBEDDINGS;
use super::{Batch, Store, add, contents, create, file_system, ids, made, open, refused, settings, tamper};
use crate::error::ErrorKind;

#[test]
fn a_second_opener_is_refused_at_once() {
    let (_folder, path, store) = made();
    let start = Instant::now();
    for second in [open(&path), Store::open_read_only(&path)] {
        let error = refused(second);
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().contains("close that one first"), "the remedy: {error}");
        assert!(error.to_string().contains("store.redb"), "which one: {error}");
        assert_eq!(error.path(), Some(path.as_path()));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "it must not wait");
    drop(store);
    open(&path).unwrap();
}

#[test]
fn readers_stand_side_by_side_and_cannot_write() {
    let (_folder, path, store) = made();
    add(&store, &[("a", "1")]);
    assert!(!store.is_read_only());
    drop(store);
    let one = Store::open_read_only(&path).unwrap();
    let two = Store::open_read_only(&path).unwrap();
    assert!(one.is_read_only());
    assert_eq!((ids(&one), ids(&two)), (vec!["a".into()], vec!["a".into()]));
    for error in [refused(one.write(&[Batch { delete: &["a"], ..Batch::default() }])), refused(one.prune(1))] {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    assert_eq!(refused(open(&path)).kind(), ErrorKind::Locked);
    drop((one, two));
    assert_eq!(ids(&open(&path).unwrap()), ["a"]);
}

#[test]
fn a_missing_file_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    for error in [refused(open(&path)), refused(Store::open_read_only(&path))] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("store.redb"), "{error}");
    }
    assert!(!path.exists(), "opening makes nothing");
}

/// Creation, or a copy, stopped before the rename: with nothing, half a file, or a sound file of a store.
#[test]
fn what_an_interrupted_creation_left_is_overcome() {
    let (_elsewhere, path, store) = made();
    drop(store);
    let sound = fs::read(&path).unwrap();
    add(&open(&path).unwrap(), &[("left", "by a copy")]);
    let copied = fs::read(&path).unwrap();
    for left in [b"".as_slice(), b"garbage", &sound[..4096], &sound[..sound.len() / 2], &sound, &copied] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        fs::write(folder.path().join("store.new"), left).unwrap();
        let store = create(&path).unwrap();
        assert_eq!(contents(&store).unwrap(), [], "{} bytes left", left.len());
        add(&store, &[("a", "1")]);
        drop(store);
        assert_eq!(ids(&open(&path).unwrap()), ["a"]);
        assert!(!folder.path().join("store.new").exists());
    }
}

#[test]
fn opening_for_writing_removes_what_an_interrupted_copy_left() {
    let (folder, path, store) = made();
    let left = folder.path().join("store.new");
    fs::write(&left, "half a copy").unwrap();
    drop(store);
    drop(Store::open_read_only(&path).unwrap());
    assert!(left.exists(), "a reader has no lock on it");
    drop(open(&path).unwrap());
    assert!(!left.exists());
}

/// Whoever had the lock before may have put another file in the place of the one that waits for it.
#[test]
#[cfg(unix)]
fn a_file_that_was_replaced_while_it_was_opened_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("store.redb"), folder.path().join("other"));
    fs::write(&path, "old").unwrap();
    fs::write(&other, "new").unwrap();
    let opened = backend::unreplaced(&path, || {
        let content = fs::read_to_string(&path).unwrap();
        let _ = fs::rename(&other, &path);
        Ok(content)
    });
    assert_eq!(opened.unwrap(), "new");
}

/// A store whose embeddings, which are of any length, are sound; only such a one is copied.
fn sound() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let settings = Settings { similarity: "dot".into(), ..settings() };
    let store = Store::create(&file_system(), &path, settings, &LexicalSettings::default()).unwrap();
    (folder, path, store)
}

#[test]
fn a_compacted_store_keeps_the_old_file_only_for_its_readers() {
    let (_folder, path, store) = sound();
    add(&store, &[("a", "1")]);
    let reader = store.reader().unwrap();
    store.compact(&path).unwrap();
    add(&store, &[("b", "2")]);
    store.close_unread();
    assert_eq!(store.handles.read().len(), 2);
    assert_eq!(reader.passages().unwrap().count(), 1, "it sees what it saw");
    drop(reader);
    drop(store.reader().unwrap());
    assert_eq!(store.handles.read().len(), 1, "the next one closes it");
    assert_eq!(ids(&store), ["a", "b"]);
}

#[test]
fn a_damaged_store_is_not_copied() {
    let (folder, path, store) = sound();
    add(&store, &[("a", "1"), ("b", "2")]);
    store.copy(&folder.path().join("sound.redb")).unwrap();
    drop(store);
    tamper(&path, |transaction| {
        let mut embeddings = transaction.open_table(EMBEDDINGS).unwrap();
        let (row, mut bytes) = {
            let (row, bytes) = embeddings.last().unwrap().unwrap();
            (row.value(), bytes.value().to_vec())
        };
        bytes[9] ^= 1;
        embeddings.insert(row, bytes.as_slice()).unwrap();
    });
    let store = open(&path).unwrap();
    let copy = folder.path().join("copy.redb");
    for error in [refused(store.copy(&copy)), refused(store.compact(&path))] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    assert!(!copy.exists() && !folder.path().join("copy.new").exists() && !folder.path().join("store.new").exists());
    assert_eq!(store.reader().unwrap().passages().unwrap().count(), 2, "and what can be read still is");
}

#[test]
fn creating_never_takes_the_place_of_a_store() {
    let (_folder, path, store) = made();
    add(&store, &[("a", "1")]);
    refused(create(&path));
    add(&store, &[("b", "2")]);
    drop(store);
    assert_eq!(refused(create(&path)).kind(), ErrorKind::Misuse);
    assert_eq!(ids(&open(&path).unwrap()), ["a", "b"]);
}

/// However creators meet, nobody's acknowledged batch is lost.
#[test]
fn creators_that_race_lose_nothing() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let (barrier, won) = (Barrier::new(4), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    if let Ok(store) = create(&path) {
                        add(&store, &[("", "mine")]);
                        won.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        match open(&path) {
            Ok(store) => assert_eq!(ids(&store).len(), won.load(Ordering::SeqCst)),
            Err(error) => {
                assert_eq!((error.kind(), won.load(Ordering::SeqCst)), (ErrorKind::NotFound, 0), "{error}");
            }
        }
    }
}

/// The state that a crash leaves: the file as it is while somebody has it open.
#[test]
fn a_store_that_was_not_closed_is_mended() {
    let (folder, path, store) = made();
    for batch in 0..20 {
        add(&store, &[("", "text"), (format!("id {batch}").as_str(), "other")]);
    }
    let crashed = folder.path().join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    let error = refused(Store::open_read_only(&crashed));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("open the collection for writing once"), "{error}");

    let mut percents = Vec::new();
    let mended = Store::open(&file_system(), &crashed, &mut |percent| percents.push(percent)).unwrap();
    assert_eq!(contents(&mended).unwrap(), contents(&store).unwrap());
    assert!(percents.iter().all(|percent| *percent <= 100), "{percents:?}");
    add(&mended, &[("after", "the crash")]);
    drop(mended);
    assert_eq!(Store::open_read_only(&crashed).map(|store| ids(&store).len()).unwrap(), 41);
}

#[test]
fn a_redb_file_of_somebody_else_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    drop(Database::create(&path).unwrap());
    for error in [refused(open(&path)), refused(Store::open_read_only(&path))] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("not Marcato's"), "{error}");
    }
    let database = Database::open(&path).unwrap();
    assert_eq!(database.begin_read().unwrap().list_tables().unwrap().count(), 0, "and nothing was added to it");
}

#[test]
fn a_directory_in_the_files_place_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    fs::create_dir(&path).unwrap();
    refused(open(&path));
    refused(Store::open_read_only(&path));
    refused(create(&path));
}

#[test]
fn a_reader_that_outlives_its_store_ends_in_order() {
    let (_folder, path, store) = made();
    add(&store, &[("a", "1"), ("b", "2")]);
    let reader = store.reader().unwrap();
    let passages = reader.passages().unwrap();
    drop(store);
    // The store is free again whoever still reads.
    let again = open(&path).unwrap();
    add(&again, &[("c", "3")]);
    for passage in passages {
        match passage {
            Ok(passage) => assert!(["a", "b"].contains(&passage.id.as_str())),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
        }
    }
    assert_eq!(ids(&again), ["a", "b", "c"]);
}
