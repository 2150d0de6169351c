//! Damage: a typed error or the right answer, never a wrong one, a panic or a hang.

use std::fs;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use redb::ReadableTable;

use super::super::codec::{Kind, State, seal};
use super::super::schema::{CHANGES, EMBEDDINGS, IDS, PASSAGES, SETTINGS, SETTINGS_KEY, STATE_KEY};
use super::{RowId, Store, add, contents, delete, embedding, made, open, refused, tamper};
use crate::error::{Error, ErrorKind, Result};

/// Bits to flip, one at a time.
const FLIPS: usize = 1000;

/// A closed store with some history, in a directory of its own.
fn sample() -> (tempfile::TempDir, PathBuf, Vec<(u64, String, String)>) {
    let (folder, path, store) = made();
    for batch in 0..12 {
        let passages: Vec<(String, String)> =
            (0..5).map(|n| (format!("id {batch} {n}"), format!("text {n} ").repeat(batch + 1))).collect();
        let passages: Vec<(&str, &str)> = passages.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        add(&store, &passages);
    }
    delete(&store, &["id 3 3", "id 4 4"]);
    let all = contents(&store).unwrap();
    (folder, path, all)
}

fn refused_as_corrupt(path: &Path) -> Error {
    let error = refused(open(path));
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(refused(Store::open_read_only(path)).kind(), ErrorKind::Corrupt);
    error
}

#[test]
fn tables_that_disagree_are_noticed_on_opening() {
    type Tamper = fn(&redb::WriteTransaction);
    let tampers: [Tamper; 6] = [
        |t| drop(t.open_table(PASSAGES).unwrap().remove(0).unwrap().unwrap()),
        |t| drop(t.open_table(EMBEDDINGS).unwrap().remove(0).unwrap().unwrap()),
        |t| drop(t.open_table(IDS).unwrap().remove("id 0 0").unwrap().unwrap()),
        |t| drop(t.open_table(PASSAGES).unwrap().insert(999, b"".as_slice()).unwrap()),
        |t| {
            let state = State { seq: 13, nonce: 1, next_row: 60, passages: 57 };
            let sealed = seal(Kind::State, STATE_KEY, &state).unwrap();
            t.open_table(SETTINGS).unwrap().insert(STATE_KEY, sealed.as_slice()).unwrap();
        },
        |t| {
            t.delete_table(PASSAGES).unwrap();
            t.delete_table(EMBEDDINGS).unwrap();
            t.delete_table(IDS).unwrap();
            t.open_table(PASSAGES).unwrap();
            t.open_table(EMBEDDINGS).unwrap();
            t.open_table(IDS).unwrap();
        },
    ];
    for (number, change) in tampers.into_iter().enumerate() {
        let (_folder, path, _) = sample();
        tamper(&path, change);
        let error = refused_as_corrupt(&path);
        assert!(error.to_string().contains("restore the collection from a copy"), "{number}: {error}");
    }
}

#[test]
fn a_lost_table_or_record_is_noticed_on_opening() {
    type Tamper = fn(&redb::WriteTransaction);
    let tampers: [Tamper; 9] = [
        |t| assert!(t.delete_table(SETTINGS).unwrap()),
        |t| assert!(t.delete_table(PASSAGES).unwrap()),
        |t| assert!(t.delete_table(EMBEDDINGS).unwrap()),
        |t| assert!(t.delete_table(IDS).unwrap()),
        |t| assert!(t.delete_table(CHANGES).unwrap()),
        |t| drop(t.open_table(SETTINGS).unwrap().remove(SETTINGS_KEY).unwrap().unwrap()),
        |t| drop(t.open_table(SETTINGS).unwrap().remove(STATE_KEY).unwrap().unwrap()),
        |t| drop(t.open_table(SETTINGS).unwrap().insert(STATE_KEY, b"".as_slice()).unwrap()),
        |t| {
            t.delete_table(IDS).unwrap();
            t.open_table(redb::TableDefinition::<u64, u64>::new("ids")).unwrap();
        },
    ];
    for change in tampers {
        let (_folder, path, _) = sample();
        tamper(&path, change);
        refused_as_corrupt(&path);
    }
}

/// Rows that change places have right counts and right checksums of their own; the keys in the checksums tell.
#[test]
fn rows_that_changed_places_are_noticed_on_reading() {
    let (_folder, path, _) = sample();
    tamper(&path, |t| {
        for table in [PASSAGES, EMBEDDINGS] {
            let mut table = t.open_table(table).unwrap();
            let first = table.get(1).unwrap().unwrap().value().to_vec();
            let second = table.insert(2, first.as_slice()).unwrap().unwrap().value().to_vec();
            table.insert(1, second.as_slice()).unwrap();
        }
        let mut ids = t.open_table(IDS).unwrap();
        let other = ids.get("id 0 1").unwrap().unwrap().value().to_vec();
        ids.insert("id 0 2", other.as_slice()).unwrap();
    });
    let store = open(&path).unwrap();
    let reader = store.reader().unwrap();
    for error in [
        refused(reader.passage(RowId(1))),
        refused(reader.passage(RowId(2))),
        refused(reader.embedding(RowId(1))),
        refused(reader.row("id 0 2")),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    assert_eq!(reader.passage(RowId(3)).unwrap().unwrap().id, "id 0 3", "the others are as they were");
    assert_eq!(reader.passages().unwrap().filter(Result::is_err).count(), 2);
}

#[test]
fn a_file_that_is_no_store_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let text = "this is my diary\n".repeat(10_000);
    let zeros = vec![0; 1 << 20];
    for bytes in [b"".as_slice(), b"x", text.as_bytes(), &zeros, &zeros[..4096]] {
        fs::write(&path, bytes).unwrap();
        refused_as_corrupt(&path);
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is not ours to write to");
    }
}

/// Reads all that a damaged file gives. Whatever comes must be right; whether everything came is the answer.
///
/// A store that is open for writing is not closed again: redb writes when it closes, and on one damaged file in some
/// thousands that panics twice over, which ends the process.
fn survives(opened: Result<Store>, right: &[(u64, String, String)], what: &str) -> bool {
    let typed = |error: &Error| {
        let kinds = [ErrorKind::Corrupt, ErrorKind::Incompatible, ErrorKind::Io, ErrorKind::Misuse];
        assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
    };
    let store = match opened {
        Ok(store) => ManuallyDrop::new(store),
        Err(error) => {
            typed(&error);
            return false;
        }
    };
    let read = || -> Result<bool> {
        let reader = store.reader()?;
        let mut whole = true;
        for (row, id, text) in right {
            match reader.row(id)? {
                Some(found) => assert_eq!(found, RowId(*row), "{what}"),
                // A flipped bit in one of redb's keys misleads its search; no checksum of ours is on the way.
                None => whole = false,
            }
            if let Some(found) = reader.passage(RowId(*row))? {
                assert_eq!((&found.id, &found.text), (id, text), "{what}");
            }
            if let Some(found) = reader.embedding(RowId(*row))? {
                assert_eq!(found, embedding(text), "{what}");
            }
        }
        for (passage, (row, id, text)) in reader.passages()?.zip(right) {
            let passage = passage?;
            assert_eq!((&passage.id, &passage.text), (id, text), "{what}, row {row}");
        }
        for (entry, (row, _, text)) in reader.embeddings()?.zip(right) {
            assert_eq!(entry?, (RowId(*row), embedding(text).to_vec()), "{what}");
        }
        reader.changes_after(0)?.try_for_each(|change| change.map(drop))?;
        Ok(whole)
    };
    let outcome = read();
    if store.is_read_only() {
        drop(ManuallyDrop::into_inner(store));
    }
    outcome.inspect_err(typed).unwrap_or(false)
}

#[test]
fn a_file_cut_anywhere_is_never_misread() {
    let (folder, path, right) = sample();
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(4096).chain([1, 63, 320, whole.len() - 1]) {
        let cut = folder.path().join(format!("cut-{length}.redb"));
        fs::write(&cut, &whole[..length]).unwrap();
        let what = format!("cut to {length} of {}", whole.len());
        survives(Store::open_read_only(&cut), &right, &what);
        survives(open(&cut), &right, &what);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_never_misread() {
    let (folder, path, right) = sample();
    let whole = fs::read(&path).unwrap();
    let bits = whole.len() * 8;
    assert!(survives(open(&path), &right, "undamaged"));
    let mut survived = 0;
    for n in 0..FLIPS {
        // Ascending places, so that each part of the file is hit, at changing bits.
        let bit = n * (bits / FLIPS) + n * 31 % (bits / FLIPS);
        let flipped = folder.path().join(format!("flipped-{bit}.redb"));
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&flipped, &damaged).unwrap();
        let what = format!("bit {bit} of {bits}");
        survived += usize::from(survives(Store::open_read_only(&flipped), &right, &what));
        survives(open(&flipped), &right, &what);
        fs::remove_file(&flipped).unwrap();
    }
    assert!((FLIPS / 2..FLIPS).contains(&survived), "{survived} of {FLIPS}: some bits matter, free pages do not");
}

/// After an error of redb's own, a listing ends; it does not go on for ever.
#[test]
fn a_listing_ends_at_an_error_of_the_file() {
    let (_folder, path, right) = sample();
    let store = open(&path).unwrap();
    let reader = store.reader().unwrap();
    let (passages, embeddings) = (reader.passages().unwrap(), reader.embeddings().unwrap());
    let changes = reader.changes_after(0).unwrap();
    drop(store);
    assert!(passages.take(1000).count() <= right.len() + 1);
    assert!(embeddings.take(1000).count() <= right.len() + 1);
    assert!(changes.take(1000).count() <= 14);
}
