//! Batches: what they do, that they do it whole or not at all, and what stays true over many of them.

use half::f16;

use super::write;
use super::{Batch, NewPassage, RowId, Store, add, contents, delete, embedding, ids, made, open, put, refused, row};
use crate::error::ErrorKind;

#[test]
fn what_was_written_is_there_after_reopening() {
    let (_folder, path, store) = made();
    let written = add(&store, &[("a", "one"), ("", "two"), ("c", "three")]);
    assert_eq!((written.ids, written.first_row), (vec!["a".into(), "row-1".into(), "c".into()], 0));
    let before = contents(&store).unwrap();
    let state = *store.reader().unwrap().state();
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(contents(&store).unwrap(), before);
    assert_eq!(*store.reader().unwrap().state(), state);
    assert_eq!((state.seq, state.next_row, state.passages), (1, 3, 3));
}

#[test]
fn a_passage_comes_back_whole() {
    let (_folder, path, store) = made();
    let embedding = [f16::MAX, f16::MIN, f16::from_bits(1), f16::NEG_ZERO];
    let text = "line\n\0\u{feff}e\u{301} 🦀";
    let put = vec![NewPassage {
        id: Some("ключ\n"),
        title: Some(""),
        text,
        metadata: r#"{"b":[1,null,-2.5],"a":{"x":18446744073709551615}}"#.into(),
        embedding: &embedding,
    }];
    write(&store, Batch { put, ..Batch::default() }).unwrap();
    drop(store);
    let store = open(&path).unwrap();
    let reader = store.reader().unwrap();
    let row = reader.row("ключ\n").unwrap().unwrap();
    let stored = reader.passage(row).unwrap().unwrap();
    assert_eq!((stored.id.as_str(), stored.title.as_deref(), stored.text.as_str()), ("ключ\n", Some(""), text));
    let json = serde_json::to_string(&stored.metadata).unwrap();
    assert_eq!(json, r#"{"b":[1,null,-2.5],"a":{"x":18446744073709551615}}"#, "in the caller's order");
    let bits = |values: &[f16]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&reader.embedding(row).unwrap().unwrap()), bits(&embedding), "to the bit, minus zero too");
}

#[test]
fn rows_ascend_and_are_never_given_twice() {
    let (_folder, path, mut store) = made();
    let mut given: Vec<u64> = Vec::new();
    let mut take = |written: &super::Written| {
        let rows = written.first_row..written.first_row + written.ids.len() as u64;
        assert!(given.iter().all(|old| rows.clone().all(|row| row > *old)), "{rows:?} after {given:?}");
        given.extend(rows);
    };
    take(&add(&store, &[("a", "1"), ("b", "2"), ("c", "3")]));
    // The last row of all goes away, and the whole collection does: neither gives a row back.
    delete(&store, &["c"]);
    take(&add(&store, &[("c", "4")]));
    take(&put(&store, true, &[("a", "5"), ("d", "6")]).unwrap());
    delete(&store, &["a", "b", "c", "d"]);
    assert!(contents(&store).unwrap().is_empty());
    drop(store);
    store = open(&path).unwrap();
    take(&add(&store, &[("a", "7")]));
    assert!(put(&store, false, &[("x", "8"), ("a", "taken")]).is_err());
    take(&add(&store, &[("x", "9")]));
    assert_eq!(given.len(), 8);
}

#[test]
fn an_upsert_takes_a_new_row_and_says_which_one_went() {
    let (_folder, _path, store) = made();
    add(&store, &[("a", "old"), ("b", "stays")]);
    let written = put(&store, true, &[("a", "new"), ("c", "fresh")]).unwrap();
    assert_eq!((written.first_row, written.replaced, written.deleted), (2, 1, 0));
    assert_eq!(written.removed, [RowId(0)]);
    assert_eq!(row(&store, "a"), Some(RowId(2)));
    let expected = [(1, "b", "stays"), (2, "a", "new"), (3, "c", "fresh")];
    let expected = expected.map(|(row, id, text)| (row, id.to_owned(), text.to_owned()));
    assert_eq!(contents(&store).unwrap(), expected);
}

#[test]
fn deleting_counts_what_was_there() {
    let (_folder, _path, store) = made();
    add(&store, &[("a", "1"), ("b", "2"), ("c", "3")]);
    let written = delete(&store, &["b", "nobody", "b", "", "a"]);
    assert_eq!((written.deleted, written.removed), (2, vec![RowId(1), RowId(0)]));
    assert_eq!(ids(&store), ["c"]);
    assert_eq!(store.reader().unwrap().state().seq, 2);
    delete(&store, &["nobody"]);
    assert_eq!(store.reader().unwrap().state().seq, 2, "nothing changed, so nothing is logged");
}

#[test]
fn deletions_of_a_batch_come_before_its_passages() {
    let (_folder, _path, store) = made();
    add(&store, &[("a", "old")]);
    let embedding = embedding("new");
    let put =
        vec![NewPassage { id: Some("a"), title: None, text: "new", metadata: "{}".into(), embedding: &embedding }];
    let written = write(&store, Batch { delete: &["a"], put, replace: false }).unwrap();
    assert_eq!((written.deleted, written.replaced), (1, 0));
    assert_eq!(contents(&store).unwrap(), [(1, "a".to_owned(), "new".to_owned())]);
}

/// A batch that fails at its last passage leaves nothing, in no table and at no time.
#[test]
fn a_refused_batch_leaves_nothing() {
    let (_folder, path, store) = made();
    add(&store, &[("a", "1"), ("b", "2")]);
    let before = (contents(&store).unwrap(), *store.reader().unwrap().state());
    let error = refused(put(&store, false, &[("x", "3"), ("", "4"), ("b", "5")]));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("\"b\"") && error.to_string().contains("upsert"), "{error}");

    let narrow = embedding("n");
    let passages = vec![
        NewPassage { id: Some("y"), title: None, text: "6", metadata: "{}".into(), embedding: &narrow },
        NewPassage { id: Some("z"), title: None, text: "7", metadata: "{}".into(), embedding: &narrow[..3] },
    ];
    let batch = Batch { delete: &["a"], put: passages, replace: true };
    assert_eq!(refused(write(&store, batch)).kind(), ErrorKind::Misuse);

    assert_eq!((contents(&store).unwrap(), *store.reader().unwrap().state()), before);
    assert!(store.reader().unwrap().change(2).unwrap().is_none());
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!((contents(&store).unwrap(), *store.reader().unwrap().state()), before);
    add(&store, &[("x", "the store goes on")]);
}

#[test]
fn made_up_ids_step_aside_for_taken_ones() {
    let (_folder, _path, store) = made();
    add(&store, &[("row-2", "1"), ("row-4", "2")]);
    assert_eq!(add(&store, &[("", "3")]).ids, ["row-2-2"]);
    add(&store, &[("row-5-2", "4")]);
    assert_eq!(add(&store, &[("", "5")]).ids, ["row-4-2"]);
    add(&store, &[("row-6", "taken by itself")]);
    assert_eq!(add(&store, &[("", "6")]).ids, ["row-6-2"]);
    add(&store, &[("row-8", "7"), ("row-8-2", "8")]);
    let written = put(&store, true, &[("", "9")]).unwrap();
    assert_eq!((written.ids, written.replaced), (vec!["row-9".into()], 0));
    assert_eq!(store.reader().unwrap().state().passages, 10);
}

/// Ids that the same batch brings are taken too, or a passage would replace another that was never seen.
#[test]
fn made_up_ids_step_aside_for_ids_of_their_batch() {
    for replace in [false, true] {
        let (_folder, _path, store) = made();
        let written = put(&store, replace, &[("", "1"), ("row-0", "2"), ("", "3"), ("row-2-2", "4"), ("row-2", "5")]);
        let written = written.unwrap();
        assert_eq!(written.ids, ["row-0-2", "row-0", "row-2-3", "row-2-2", "row-2"]);
        assert_eq!((written.replaced, written.removed.len()), (0, 0));
        assert_eq!(contents(&store).unwrap().len(), 5);
    }
}

#[test]
fn the_log_tells_every_batch() {
    let (_folder, path, store) = made();
    add(&store, &[("a", "1"), ("b", "2")]);
    put(&store, true, &[("a", "3")]).unwrap();
    delete(&store, &["b"]);
    drop(store);
    let store = open(&path).unwrap();
    let reader = store.reader().unwrap();
    let log: Vec<_> = reader.changes_after(0).unwrap().map(Result::unwrap).collect();
    let told: Vec<_> = log.iter().map(|c| (c.added_from, c.added_to, c.removed.as_slice())).collect();
    assert_eq!(told, [(0, 2, [].as_slice()), (2, 3, &[0]), (3, 3, &[1])]);
    assert_eq!(log.last().unwrap().nonce, reader.state().nonce);
    assert!(log.iter().enumerate().all(|(at, one)| log.iter().skip(at + 1).all(|other| one.nonce != other.nonce)));
    assert_eq!(reader.changes_after(2).unwrap().count(), 1);
    assert_eq!(reader.changes_after(3).unwrap().count(), 0);
    assert_eq!(reader.changes_after(u64::MAX).unwrap().count(), 0);
}

#[test]
fn pruning_keeps_the_entry_that_a_snapshot_is_known_by() {
    let (_folder, path, store) = made();
    for id in ["a", "b", "c", "d", "e"] {
        add(&store, &[(id, id)]);
    }
    store.prune(3).unwrap();
    let kept = |store: &Store| {
        let reader = store.reader().unwrap();
        (1..=6).filter(|seq| reader.change(*seq).unwrap().is_some()).collect::<Vec<u64>>()
    };
    assert_eq!(kept(&store), [3, 4, 5]);
    store.prune(2).unwrap();
    store.prune(0).unwrap();
    assert_eq!(kept(&store), [3, 4, 5]);
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(kept(&store), [3, 4, 5]);
    store.prune(99).unwrap();
    assert!(kept(&store).is_empty());
    assert_eq!(ids(&store).len(), 5, "the passages are no part of the log");
    add(&store, &[("f", "f")]);
    assert_eq!(kept(&store), [6]);
}

#[test]
fn a_reader_sees_the_store_as_it_was() {
    let (_folder, _path, store) = made();
    add(&store, &[("a", "old"), ("b", "2")]);
    let reader = store.reader().unwrap();
    let passages = reader.passages().unwrap();
    put(&store, true, &[("a", "new")]).unwrap();
    delete(&store, &["b"]);
    store.prune(3).unwrap();
    let texts: Vec<String> = passages.map(|passage| passage.unwrap().text).collect();
    assert_eq!(texts, ["old", "2"]);
    assert_eq!((reader.state().seq, reader.row("b").unwrap()), (1, Some(RowId(1))));
    assert!(reader.change(1).unwrap().is_some());
    assert_eq!(store.reader().unwrap().state().seq, 3);
}

#[test]
fn a_store_in_memory_does_the_same() {
    let store = Store::in_memory(&super::settings(), &super::LexicalSettings::default()).unwrap();
    add(&store, &[("a", "1"), ("", "2")]);
    delete(&store, &["a"]);
    assert_eq!(contents(&store).unwrap(), [(1, "row-1".to_owned(), "2".to_owned())]);
}
