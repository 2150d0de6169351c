//! Copies: of one state while others write, verified, and of no harm to what is newer.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "usearch")]
use super::ids;
use super::{Collection, Index, all_ids, bare, embedding, names, numbered, refused};
use crate::error::ErrorKind;

#[test]
fn a_copy_is_the_collection() {
    let folder = tempfile::tempdir().unwrap();
    let collection = bare(Index::Exact).index_field("n").create(folder.path().join("c")).unwrap();
    collection.add((0..40).map(|n| numbered(n).title("title").field("n", n % 3))).unwrap();
    collection.upsert((10..20).map(numbered)).unwrap();
    collection.delete((30..35).map(|n| format!("id {n}"))).unwrap();
    collection.backup(folder.path().join("b")).unwrap();
    Collection::restore(folder.path().join("b"), folder.path().join("r")).unwrap();
    for copy in ["b", "r"] {
        let copy = bare(Index::Exact).open(folder.path().join(copy)).unwrap();
        let all = |collection: &Collection| collection.iter().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(all(&copy), all(&collection));
        assert_eq!(copy.field_indexes(), collection.field_indexes());
        assert_eq!(copy.stats().seq, collection.stats().seq);
        let ask = |collection: &Collection| {
            let query = collection.query_embedding(embedding(7)).top(50);
            (query.clone().run().unwrap(), query.filter("n = 1".parse().unwrap()).run().unwrap())
        };
        assert_eq!(ask(&copy), ask(&collection));
        // It goes its own way.
        copy.add([numbered(1000)]).unwrap();
        assert!(!collection.contains("id 1000").unwrap());
    }
    // Also one that has no directory, and one with nothing in it.
    let memory = bare(Index::Exact).in_memory().unwrap();
    memory.backup(folder.path().join("empty")).unwrap();
    assert!(bare(Index::Exact).open(folder.path().join("empty")).unwrap().is_empty());
    memory.add((0..3).map(numbered)).unwrap();
    memory.backup(folder.path().join("m")).unwrap();
    assert_eq!(all_ids(&bare(Index::Exact).open(folder.path().join("m")).unwrap()), all_ids(&memory));
}

/// Batches of seven, whole or not at all, in each of the copies that are made while they are written.
#[test]
fn a_copy_is_of_one_state_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let collection = bare(Index::Exact).create(folder.path().join("c")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..60 {
                collection.add((batch * 7..batch * 7 + 7).map(numbered)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut copies = 0;
        while !done.load(Ordering::Acquire) || copies < 2 {
            let path = folder.path().join(format!("b{copies}"));
            collection.backup(&path).unwrap();
            let copy = bare(Index::Exact).open(&path).unwrap();
            assert_eq!(copy.len() % 7, 0);
            assert_eq!(all_ids(&copy), (0..copy.len()).map(|n| format!("id {n}")).collect::<Vec<_>>());
            copies += 1;
        }
    });
}

/// The views of a later state know rows that the copy does not, and lack what comes after it.
#[cfg(feature = "usearch")]
#[test]
fn views_that_are_newer_than_the_copy_are_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("c"), folder.path().join("b"));
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    collection.add((0..60).map(numbered)).unwrap();
    collection.flush().unwrap();
    collection.backup(&copy).unwrap();
    collection.add((100..140).map(numbered)).unwrap();
    collection.delete((0..20).map(|n| format!("id {n}"))).unwrap();
    collection.close().unwrap();
    fs::remove_file(path.join("store.redb")).unwrap();
    Collection::restore(&copy, &path).unwrap();

    let check = |rebuilt: bool, numbers: &[u64]| {
        let collection = bare(Index::Hnsw).open(&path).unwrap();
        assert_eq!(collection.open_report().rebuilt.is_some(), rebuilt);
        assert_eq!(collection.len() as usize, numbers.len());
        for n in numbers {
            assert_eq!(ids(&collection.query_embedding(embedding(*n)).top(1).run().unwrap()), [format!("id {n}")]);
        }
        collection
    };
    let first: Vec<u64> = (0..60).collect();
    // Written past the number up to which the newer view went, in another history.
    let collection = check(true, &first);
    for n in 200..206 {
        collection.add([numbered(n)]).unwrap();
    }
    collection.close().unwrap();
    check(false, &first.into_iter().chain(200..206).collect::<Vec<_>>());
}

#[test]
fn what_is_there_already_stays() {
    let folder = tempfile::tempdir().unwrap();
    let collection = bare(Index::Exact).create(folder.path().join("c")).unwrap();
    collection.add([numbered(1)]).unwrap();
    let other = bare(Index::Exact).create(folder.path().join("d")).unwrap();
    other.add([numbered(2)]).unwrap();
    drop(other);
    let error = refused(collection.backup(folder.path().join("d")));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert_eq!(all_ids(&bare(Index::Exact).open(folder.path().join("d")).unwrap()), ["id 2"]);
    fs::create_dir(folder.path().join("e")).unwrap();
    fs::write(folder.path().join("e/letter.txt"), "dear").unwrap();
    names(&refused(collection.backup(folder.path().join("e"))), &["letter.txt", "of its own"]);
    assert_eq!(refused(collection.backup(folder.path().join("c"))).kind(), ErrorKind::Misuse);
    assert_eq!(refused(collection.backup(folder.path().join("e/letter.txt/x"))).kind(), ErrorKind::Misuse);
    let error = refused(Collection::restore(folder.path().join("nowhere"), folder.path().join("f")));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = refused(Collection::restore(folder.path().join("c"), folder.path().join("f")));
    assert_eq!(error.kind(), ErrorKind::Locked);
    names(&error, &["another handle of this process"]);
    assert!(!folder.path().join("f").exists());
}

/// A copy of a damaged record would pass for a good one.
#[test]
fn a_damaged_collection_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("c"), folder.path().join("b"));
    let collection = bare(Index::Exact).create(&path).unwrap();
    collection.add((0..20).map(numbered)).unwrap();
    collection.close().unwrap();
    let store = path.join("store.redb");
    let sound = fs::read(&store).unwrap();
    let mut damaged = 0;
    for at in (0..sound.len() - 6).filter(|at| sound[*at..].starts_with(b"text 7")) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&store, &bytes).unwrap();
        // Where it is a page that is no longer used, the copy is as good as any.
        match Collection::restore(&path, &copy) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(!copy.join("store.redb").exists() && !copy.join("store.new").exists());
                damaged += 1;
            }
            Ok(()) => {
                assert!(bare(Index::Exact).open(&copy).unwrap().get("id 7").unwrap().unwrap().text == "text 7");
                fs::remove_dir_all(&copy).unwrap();
            }
        }
    }
    assert!(damaged > 0);
    fs::write(&store, &sound).unwrap();
    Collection::restore(&path, &copy).unwrap();
    assert_eq!(bare(Index::Exact).open(&copy).unwrap().len(), 20);
}
