//! Whatever is changed behind the store's back is found by reading everything, and a sound store passes.

use std::ops::ControlFlow;
use std::path::Path;

use half::f16;
use redb::{ReadableTable, WriteTransaction};

use super::super::codec::{Change, Kind, State, seal, seal_embedding, unseal};
use super::super::schema::{CHANGES, EMBEDDINGS, FIELDS, IDS, PASSAGES, SETTINGS, STATE_KEY};
use super::super::{Batch, NewPassage, Store};
use super::write;
use super::{WIDTH, made, open, tamper};
use crate::error::{Error, ErrorKind};
use crate::field::Field;
use crate::similarity::Similarity;

/// Rows 0 to 5 but for 1, in three changes, with unit embeddings and an index of the field "n".
fn sample() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path, store) = made();
    let mut unit = [f16::ZERO; WIDTH];
    unit[0] = f16::ONE;
    let put = |ids: &[&str]| {
        let passage = |id| NewPassage {
            id: Some(id),
            title: None,
            text: id,
            metadata: format!("{{\"n\": [{}, \"{id}\"]}}", id.len()),
            embedding: &unit,
        };
        let put = ids.iter().copied().map(passage).collect();
        write(&store, Batch { put, replace: true, ..Batch::default() }).unwrap();
    };
    store.create_field_index(&Field::from("n")).unwrap();
    put(&["a", "b", "c"]);
    put(&["dd", "b"]);
    put(&["eee"]);
    (folder, path)
}

/// What a check of the store at `path` finds.
fn flaws(path: &Path) -> Vec<String> {
    let store = Store::open_read_only(path).unwrap();
    let mut found = Vec::new();
    let check = store.reader().unwrap().check(Similarity::Cosine, &mut |_| ControlFlow::Continue(()), &mut |flaw| {
        found.push(flaw.into_error());
        Ok(())
    });
    check.unwrap();
    assert!(found.iter().all(|error| error.kind() == ErrorKind::Corrupt));
    found.iter().map(Error::to_string).collect()
}

#[test]
fn a_sound_store_has_no_flaw() {
    let (_folder, path) = sample();
    assert_eq!(flaws(&path), Vec::<String>::new());
    let store = open(&path).unwrap();
    store.prune(2).unwrap();
    drop(store);
    assert_eq!(flaws(&path), Vec::<String>::new());
    let (_folder, path, store) = made();
    drop(store);
    assert_eq!(flaws(&path), Vec::<String>::new());
}

#[test]
fn each_flaw_is_found_and_named() {
    type Tamper = fn(&WriteTransaction);
    let garble: Tamper = |t| drop(t.open_table(PASSAGES).unwrap().insert(0, b"garbled".as_slice()).unwrap());
    let cases: [(Tamper, &[&str]); 14] = [
        (garble, &["Passage record 0"]),
        (|t| drop(t.open_table(EMBEDDINGS).unwrap().insert(2, b"x".as_slice()).unwrap()), &["Embedding record 2"]),
        (|t| put_embedding(t, [f16::NAN; WIDTH]), &["row 2", "not finite"]),
        (|t| put_embedding(t, [f16::ZERO; WIDTH]), &["row 2", "unit length"]),
        (
            |t| {
                let mut ids = t.open_table(IDS).unwrap();
                let sealed = seal(Kind::Id, "c", &0_u64).unwrap();
                drop(ids.insert("c", sealed.as_slice()).unwrap());
            },
            &["\"c\"", "not found by its id"],
        ),
        (|t| drop(t.open_table(IDS).unwrap().insert("c", b"x".as_slice()).unwrap()), &["Id record \"c\""]),
        (
            |t| {
                let mut table = t.open_table(EMBEDDINGS).unwrap();
                let moved = table.remove(2).unwrap().unwrap().value().to_vec();
                table.insert(77, moved.as_slice()).unwrap();
            },
            &["\"c\"", "no embedding"],
        ),
        (|t| change_state(t, |state| state.next_row = 5), &["has not been given out"]),
        (|t| change_state(t, |state| state.nonce ^= 1), &["ends elsewhere"]),
        (|t| drop(t.open_table(CHANGES).unwrap().remove(3).unwrap().unwrap()), &["lacks the last change, number 3"]),
        (|t| drop(t.open_table(CHANGES).unwrap().remove(2).unwrap().unwrap()), &["has a gap"]),
        (|t| drop(t.open_table(CHANGES).unwrap().insert(3, b"x".as_slice()).unwrap()), &["lacks the last change"]),
        (
            |t| {
                let mut changes = t.open_table(CHANGES).unwrap();
                let mut change: Change = unseal(Kind::Change, 3, changes.get(3).unwrap().unwrap().value()).unwrap();
                change.added_from = 1;
                changes.insert(3, seal(Kind::Change, 3, &change).unwrap().as_slice()).unwrap();
            },
            &["out of order"],
        ),
        (
            |t| {
                let mut fields = t.open_table(FIELDS).unwrap();
                let key = fields.first().unwrap().unwrap().0.value().to_vec();
                drop(fields.remove(key.as_slice()).unwrap());
            },
            &["index of the field n", "drop the index"],
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let (_folder, path) = sample();
        tamper(&path, change);
        let found = flaws(&path);
        let told = found.iter().any(|flaw| expected.iter().all(|part| flaw.contains(part)));
        assert!(told, "{number}: {expected:?} is not in {found:?}");
    }
}

fn put_embedding(transaction: &WriteTransaction, values: [f16; WIDTH]) {
    let sealed = seal_embedding(2, &values).unwrap();
    drop(transaction.open_table(EMBEDDINGS).unwrap().insert(2, sealed.as_slice()).unwrap());
}

fn change_state(transaction: &WriteTransaction, change: impl FnOnce(&mut State)) {
    let mut settings = transaction.open_table(SETTINGS).unwrap();
    let mut state: State = unseal(Kind::State, STATE_KEY, settings.get(STATE_KEY).unwrap().unwrap().value()).unwrap();
    change(&mut state);
    let sealed = seal(Kind::State, STATE_KEY, &state).unwrap();
    drop(settings.insert(STATE_KEY, sealed.as_slice()).unwrap());
}
