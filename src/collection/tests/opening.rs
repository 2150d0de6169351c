//! Create, open, close: which collection it is, who holds it, and what is said to those who cannot have it.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use super::super::view::{EXACT_ROWS, View};
use super::{Collection, Index, TOY, Toy, WIDTH, all_ids, bare, embedding, names, numbered, refused, with_toy};
use crate::error::ErrorKind;
use crate::passage::Passage;
use crate::similarity::Similarity;

#[test]
fn a_collection_is_what_it_was_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c");
    let collection = with_toy().create(&path).unwrap();
    assert_eq!(collection.path(), Some(path.as_path()));
    collection.add([Passage::new("one").id("a"), Passage::new("two").id("b")]).unwrap();
    let (stats, hits) = (collection.stats(), collection.query("one").run().unwrap());
    collection.close().unwrap();

    let collection = with_toy().open(&path).unwrap();
    assert_eq!(collection.open_report().passages, 2);
    assert_eq!(collection.open_report().rebuilt, None);
    let again = collection.stats();
    assert_eq!(crate::CollectionStats { bytes: stats.bytes, ..again.clone() }, stats);
    assert!(again.bytes > 0);
    assert_eq!((again.encoder.as_str(), again.fingerprint.as_str()), ("toy", "toy-fingerprint-1"));
    assert_eq!(collection.query("one").run().unwrap(), hits);
}

/// A file may be longer than what of it was written, as the store's is after it has doubled.
#[cfg(unix)]
#[test]
fn its_size_is_what_its_files_take() {
    let folder = tempfile::tempdir().unwrap();
    let collection = bare(Index::Exact).create(folder.path().join("c")).unwrap();
    let before = collection.stats().bytes;
    let views = folder.path().join("c/views");
    fs::create_dir_all(&views).unwrap();
    let file = fs::File::create(views.join("sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    assert!((before..before + (1 << 20)).contains(&collection.stats().bytes));
    // The negative control.
    let mut file = fs::File::create(views.join("dense")).unwrap();
    file.write_all(&vec![1; 4 << 20]).and_then(|()| file.sync_all()).unwrap();
    assert!(collection.stats().bytes >= before + (4 << 20));
}

#[test]
fn a_missing_collection_is_not_found_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere");
    for error in
        [refused(Collection::open(&path)), refused(with_toy().open(&path)), refused(with_toy().open_read_only(&path))]
    {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        names(&error, &["nowhere", "create one"]);
        assert_eq!(error.path(), Some(path.as_path()));
    }
    assert!(!path.exists(), "opening makes nothing");
    fs::create_dir(&path).unwrap();
    assert_eq!(refused(with_toy().open(&path)).kind(), ErrorKind::NotFound, "an empty directory is none");
}

#[test]
fn creating_never_touches_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add([numbered(1)]).unwrap();
    let error = refused(bare(Index::Exact).create(&path));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["is a collection already", "open it"]);

    let diary = folder.path().join("diary");
    fs::create_dir(&diary).unwrap();
    fs::write(diary.join("monday.txt"), "rain").unwrap();
    let error = refused(with_toy().open_or_create(&diary));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["monday.txt", "a directory of its own"]);
    assert_eq!(fs::read_dir(&diary).unwrap().count(), 1);

    let file = diary.join("monday.txt");
    for path in [file.clone(), file.join("below")] {
        let error = refused(with_toy().open_or_create(&path));
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["monday.txt", "is a file"]);
        assert_eq!(refused(with_toy().open(&path)).kind(), ErrorKind::NotFound);
    }
    assert_eq!(fs::read(&file).unwrap(), b"rain");

    let collection = bare(Index::Exact).open_or_create(&path).unwrap();
    assert_eq!(all_ids(&collection), ["id 1"]);
}

#[test]
fn an_empty_directory_or_an_interrupted_creation_is_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    fs::create_dir_all(path.join("views")).unwrap();
    fs::write(path.join("store.new"), "half").unwrap();
    let collection = with_toy().create(&path).unwrap();
    collection.add(["one"]).unwrap();
    collection.close().unwrap();
    assert_eq!(with_toy().open(&path).unwrap().len(), 1);
}

#[test]
fn another_encoder_is_refused_with_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    with_toy().create(&path).unwrap().add(["one"]).unwrap();
    let other = Toy { fingerprint: "other-fingerprint-2", name: "other" };
    for error in [
        refused(Collection::options().encoder(other.clone()).open(&path)),
        refused(Collection::options().encoder(other).open_read_only(&path)),
    ] {
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        names(&error, &["\"toy\"", "toy-fingerp", "other-finger", "open it with that encoder", "reembed"]);
        assert_eq!(error.path(), Some(path.as_path()));
    }
    // A refusal holds nothing, and the same model under another name is the same model.
    let renamed = Toy { name: "renamed", ..TOY };
    let collection = Collection::options().encoder(renamed).open(&path).unwrap();
    assert_eq!(collection.query("one").run().unwrap().len(), 1);
}

#[test]
fn other_embeddings_are_refused_with_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add([numbered(1)]).unwrap();
    for (width, similarity, parts) in [
        (8, Similarity::Cosine, ["of 16 numbers", "not 8 by cosine"]),
        (WIDTH, Similarity::Dot, ["compared by cosine", "not 16 by dot"]),
    ] {
        let error = refused(Collection::options().embeddings(width, similarity).open(&path));
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        names(&error, &parts);
    }
    let error = refused(with_toy().open(&path));
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    names(&error, &["embeddings of the caller's own", "open it without an encoder"]);
    bare(Index::Exact).open(&path).unwrap();

    let encoded = folder.path().join("encoded");
    with_toy().create(&encoded).unwrap().add(["one"]).unwrap();
    let error = refused(bare(Index::Exact).open(&encoded));
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    names(&error, &["the embeddings of an encoder"]);
}

#[test]
fn a_collection_of_own_embeddings_opens_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add([numbered(1)]).unwrap();
    let collection = Collection::open(&path).unwrap();
    assert_eq!(collection.query_embedding(embedding(1)).run().unwrap().len(), 1);
    assert_eq!(refused(collection.query("text").run()).kind(), ErrorKind::Misuse);
    drop(collection);
    Collection::open_or_create(&path).unwrap();
    Collection::options().without_encoder().open(&path).unwrap();
}

#[test]
fn one_handle_at_a_time_and_its_clones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Exact).create(&path).unwrap();
    let clone = collection.clone();
    for release in [collection, clone] {
        let start = Instant::now();
        let error = refused(bare(Index::Exact).open(&path));
        assert_eq!(error.kind(), ErrorKind::Locked);
        names(&error, &["another handle of this process", "close that one first"]);
        assert_eq!(refused(bare(Index::Exact).open_read_only(&path)).kind(), ErrorKind::Locked);
        assert!(start.elapsed() < Duration::from_secs(1));
        release.add([Passage::new("x").embedding(embedding(1))]).unwrap();
        release.close().unwrap();
    }
    assert_eq!(bare(Index::Exact).open(&path).unwrap().len(), 2, "the last one let go");
}

#[test]
fn readers_share_and_cannot_write() {
    for index in [Index::Exact, Index::Hnsw] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        bare(index).create(&path).unwrap().add((0..40).map(numbered)).unwrap();
        let one = bare(index).open_read_only(&path).unwrap();
        let two = Collection::options().open_read_only(&path).unwrap();
        for reader in [&one, &two] {
            assert_eq!(reader.query_embedding(embedding(7)).top(1).run().unwrap()[0].id.as_str(), "id 7");
            for error in [refused(reader.add([numbered(99)])), refused(reader.delete(["id 1"]))] {
                assert_eq!(error.kind(), ErrorKind::Misuse);
                names(&error, &["read-only", "open it for writing"]);
            }
            reader.flush().unwrap();
        }
        assert_eq!(refused(bare(index).open(&path)).kind(), ErrorKind::Locked);
        two.close().unwrap();
        drop(one);
        assert_eq!(bare(index).open(&path).unwrap().len(), 40);
    }
}

#[test]
fn the_index_of_a_collection_is_chosen_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add((0..5).map(numbered)).unwrap();
    let collection = bare(Index::Hnsw).open(&path).unwrap();
    assert_eq!(collection.stats().index, Index::Exact);
}

#[test]
fn auto_changes_its_view_with_the_size() {
    assert_eq!(View::kind(Index::Auto, 0), Index::Exact);
    assert_eq!(View::kind(Index::Auto, EXACT_ROWS), Index::Exact);
    let large = if cfg!(feature = "usearch") { Index::Hnsw } else { Index::Exact };
    assert_eq!(View::kind(Index::Auto, EXACT_ROWS + 1), large);
    assert_eq!(View::kind(Index::Auto, u64::MAX), large);
    assert_eq!(View::kind(Index::Hnsw, 0), large);
    assert_eq!(View::kind(Index::Exact, u64::MAX), Index::Exact);
}

#[test]
fn a_damaged_store_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    bare(Index::Exact).create(&path).unwrap().add((0..100).map(numbered)).unwrap();
    let store = path.join("store.redb");
    let whole = fs::read(&store).unwrap();
    for bytes in [b"".as_slice(), b"not a store", &whole[..whole.len() / 2], &vec![0; whole.len()]] {
        fs::write(&store, bytes).unwrap();
        let error = refused(bare(Index::Exact).open(&path));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        names(&error, &["restore the collection from a copy"]);
        // A reader takes half a file for one that was not closed, and sends its user to open it for writing.
        let error = refused(Collection::options().open_read_only(&path));
        assert!([ErrorKind::Corrupt, ErrorKind::Misuse].contains(&error.kind()), "{error}");
        assert_eq!(refused(bare(Index::Exact).create(&path)).kind(), ErrorKind::Misuse, "it is not overwritten");
    }
    fs::write(&store, &whole).unwrap();
    assert_eq!(bare(Index::Exact).open(&path).unwrap().len(), 100);
}

#[test]
fn an_exact_collection_forgets_its_log_when_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Exact).create(&path).unwrap();
    for n in 0..6 {
        collection.add([numbered(n)]).unwrap();
    }
    assert_eq!(super::logged(&collection), [1, 2, 3, 4, 5, 6]);
    collection.flush().unwrap();
    assert_eq!(super::logged(&collection), [6]);
    drop(collection);
    let collection = bare(Index::Exact).open(&path).unwrap();
    assert_eq!(all_ids(&collection).len(), 6);
    assert!(!path.join("views").exists(), "an exact view needs no file");
}
