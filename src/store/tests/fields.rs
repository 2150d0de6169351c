//! Field indexes: they follow the rows, and are built anew when they cannot have.

use std::ops::Bound;

use redb::{ReadableTable, ReadableTableMetadata};

use super::super::codec::{Kind, State, seal, unseal};
use super::super::schema::{FIELDS, PASSAGES, SETTINGS, STATE_KEY};
use super::super::{Batch, Entry, EntryKind, NewPassage, Store};
use super::write;
use super::{embedding, made, open, refused, tamper};
use crate::error::ErrorKind;
use crate::field::Field;

fn put(store: &Store, ids: &[&str], year: u32) {
    let embedding = embedding("x");
    let passage = |id| NewPassage {
        id: Some(id),
        title: None,
        text: "x",
        metadata: format!("{{\"year\": {year}}}"),
        embedding: &embedding,
    };
    write(store, Batch { put: ids.iter().copied().map(passage).collect(), replace: true, ..Batch::default() }).unwrap();
}

/// How many rows the index has under years before `end`; `None` if there is no index.
fn before(store: &Store, end: i64) -> Option<u64> {
    let end = Entry::Number(crate::atom::Number::of(&end.into()));
    let range = (Bound::Unbounded, Bound::Excluded(end));
    let rows = store.reader().unwrap().indexed_rows(&Field::from("year"), EntryKind::Number, range).unwrap();
    rows.map(|rows| rows.count(0))
}

fn sample() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path, store) = made();
    put(&store, &["a", "b", "c"], 2001);
    assert_eq!(before(&store, 3000), None);
    assert!(store.create_field_index(&Field::from("year")).unwrap());
    assert!(!store.create_field_index(&Field::from("year")).unwrap());
    put(&store, &["c", "d"], 2011);
    write(&store, Batch { delete: &["a"], ..Batch::default() }).unwrap();
    assert_eq!((before(&store, 2011), before(&store, 2012)), (Some(1), Some(3)));
    (folder, path)
}

#[test]
fn an_index_follows_its_rows_and_goes_without_a_trace() {
    let (_folder, path) = sample();
    let store = open(&path).unwrap();
    assert_eq!((before(&store, 2011), before(&store, 2012)), (Some(1), Some(3)));
    write(&store, Batch { delete: &["b", "c", "d"], ..Batch::default() }).unwrap();
    assert_eq!(before(&store, 3000), Some(0));
    put(&store, &["e"], 5);
    assert!(
        store.drop_field_index(&Field::from("year")).unwrap() && !store.drop_field_index(&Field::from("year")).unwrap()
    );
    assert_eq!(before(&store, 3000), None);
    drop(store);
    tamper(&path, |t| assert!(t.open_table(FIELDS).unwrap().is_empty().unwrap(), "nor are there empty entries"));
}

/// As a program that knows nothing of indexes leaves them: rows and state have moved on.
#[test]
fn an_index_that_was_left_behind_is_built_anew() {
    for lost in [false, true] {
        let (_folder, path) = sample();
        tamper(&path, |t| {
            if lost {
                assert!(t.delete_table(FIELDS).unwrap());
                return;
            }
            let mut passages = t.open_table(PASSAGES).unwrap();
            let row = passages.range(0..).unwrap().next().unwrap().unwrap().0.value();
            let mut record: super::super::codec::PassageRecord =
                unseal(Kind::Passage, row, passages.get(row).unwrap().unwrap().value()).unwrap();
            record.metadata = "{\"year\": 2999}".to_owned();
            passages.insert(row, seal(Kind::Passage, row, &record).unwrap().as_slice()).unwrap();
            let mut settings = t.open_table(SETTINGS).unwrap();
            let mut state: State =
                unseal(Kind::State, STATE_KEY, settings.get(STATE_KEY).unwrap().unwrap().value()).unwrap();
            state.nonce ^= 1;
            settings.insert(STATE_KEY, seal(Kind::State, STATE_KEY, &state).unwrap().as_slice()).unwrap();
        });
        assert_eq!(before(&Store::open_read_only(&path).unwrap(), 3000), None, "a reader passes it over");
        let expected = if lost { (Some(1), Some(3)) } else { (Some(0), Some(3)) };
        for _ in 0..2 {
            let store = open(&path).unwrap();
            assert_eq!((before(&store, 2011), before(&store, 3000)), expected);
        }
    }
}

/// A batch must not bring an index up to date that missed others: it would count as whole.
#[test]
fn an_index_that_was_left_behind_is_not_written_to() {
    let (_folder, path) = sample();
    let store = open(&path).unwrap();
    store
        .in_transaction(|transaction| {
            let mut settings = transaction.open_table(SETTINGS).unwrap();
            let mut state: State =
                unseal(Kind::State, STATE_KEY, settings.get(STATE_KEY).unwrap().unwrap().value()).unwrap();
            state.nonce ^= 1;
            settings.insert(STATE_KEY, seal(Kind::State, STATE_KEY, &state).unwrap().as_slice()).unwrap();
            Ok(())
        })
        .unwrap();
    put(&store, &["e"], 2005);
    assert_eq!(before(&store, 3000), None, "it is passed over");
    drop(store);
    assert_eq!(before(&open(&path).unwrap(), 3000), Some(4), "and built anew");
}

#[test]
fn a_damaged_entry_is_noticed_and_mended_by_a_new_index() {
    let (_folder, path) = sample();
    tamper(&path, |t| {
        let mut table = t.open_table(FIELDS).unwrap();
        let entries: Vec<(Vec<u8>, Vec<u8>)> = table
            .range::<&[u8]>(..)
            .unwrap()
            .map(|entry| entry.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap())
            .collect();
        for (key, mut value) in entries {
            let middle = value.len() / 2;
            value[middle] ^= 1;
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    });
    let store = open(&path).unwrap();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let year = Field::from("year");
    let error = refused(store.reader().unwrap().indexed_rows(&year, EntryKind::Number, everything));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("make it again"), "{error}");
    assert!(store.drop_field_index(&year).unwrap() && store.create_field_index(&year).unwrap());
    assert_eq!(before(&store, 2012), Some(3));
}
