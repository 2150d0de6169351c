//! Tests of the store, and what they share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod batches;
mod check;
mod codec;
mod damage;
mod entry;
mod fields;
mod files;

use std::path::{Path, PathBuf};

use half::f16;
use tempfile::TempDir;

use super::codec::{LexicalSettings, Settings};
use super::{Batch, NewPassage, Store, Written, file_system};
use crate::error::{Error, Result};
use crate::passage::RowId;

const WIDTH: usize = 4;

fn settings() -> Settings {
    Settings {
        uuid: *b"0123456789abcdef",
        dimension: WIDTH as u32,
        similarity: "cosine".into(),
        fingerprint: "f00d".into(),
        encoder: "toy".into(),
        index: "auto".into(),
    }
}

/// A store in a directory of its own, and where it is.
fn made() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = create(&path).unwrap();
    (folder, path, store)
}

fn create(path: &Path) -> Result<Store> {
    Store::create(&file_system(), path, settings(), &LexicalSettings::default())
}

fn open(path: &Path) -> Result<Store> {
    Store::open(&file_system(), path, &mut |_| ())
}

/// Changes the file as redb lets anybody, behind the store's back.
fn tamper(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

/// The error of something that must not succeed, whose value cannot be shown.
fn refused<T>(outcome: Result<T>) -> Error {
    outcome.err().expect("it must be refused")
}

/// An embedding that tells which text it belongs to.
fn embedding(text: &str) -> [f16; WIDTH] {
    let mut values = [f16::ONE; WIDTH];
    for (place, byte) in text.bytes().enumerate() {
        values[place % WIDTH] += f16::from_f32(f32::from(byte) / 16.0);
    }
    values
}

/// Writes passages given as (id, text), no id being an empty one.
fn put(store: &Store, replace: bool, passages: &[(&str, &str)]) -> Result<Written> {
    let embeddings: Vec<_> = passages.iter().map(|(_, text)| embedding(text)).collect();
    let put = passages.iter().zip(&embeddings).map(|((id, text), embedding)| NewPassage {
        id: (!id.is_empty()).then_some(id),
        title: None,
        text,
        metadata: "{}".into(),
        embedding,
    });
    write(store, Batch { put: put.collect(), replace, ..Batch::default() })
}

fn write(store: &Store, batch: Batch<'_>) -> Result<Written> {
    store.write(&[batch])?.pop().unwrap()
}

fn add(store: &Store, passages: &[(&str, &str)]) -> Written {
    put(store, false, passages).unwrap()
}

fn delete(store: &Store, ids: &[&str]) -> Written {
    write(store, Batch { delete: ids, ..Batch::default() }).unwrap()
}

/// All that the store holds, (row, id, text) in the order of rows, each table compared with the others.
fn contents(store: &Store) -> Result<Vec<(u64, String, String)>> {
    let reader = store.reader()?;
    let mut all = Vec::new();
    for (passage, stored) in reader.passages()?.zip(reader.embeddings()?) {
        let (passage, (row, stored)) = (passage?, stored?);
        assert_eq!(reader.row(&passage.id)?, Some(row), "the id map leads to the row");
        assert_eq!(reader.passage(row)?.map(|found| found.text).as_deref(), Some(passage.text.as_str()));
        assert_eq!(stored, embedding(&passage.text), "text and embedding belong together");
        assert_eq!(reader.embedding(row)?.as_deref(), Some(stored.as_slice()));
        all.push((row.0, passage.id, passage.text));
    }
    assert_eq!(all.len() as u64, reader.state().passages);
    Ok(all)
}

fn ids(store: &Store) -> Vec<String> {
    contents(store).unwrap().into_iter().map(|(_, id, _)| id).collect()
}

fn row(store: &Store, id: &str) -> Option<RowId> {
    store.reader().unwrap().row(id).unwrap()
}
