//! Collections that earlier versions wrote, kept as they were: each later version opens them and finds the same.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Collection, Index, answers, bare, crash, embedding, numbered};
use crate::filter::Filter;

/// The directory of the collection that the format's version `version` is kept in.
fn kept(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/collection_v{version}"))
}

/// What is in all of them: titles, metadata of every type, an indexed field, replaced and deleted passages.
fn fill(collection: &Collection) {
    let metadata = json!({
        "year": 2011, "pi": 3.25, "big": 9_007_199_254_740_993_u64, "archived": false, "tags": ["a", "\u{e9}"], "none": null,
        "when": "2011-03-27T00:00:00Z",
    });
    collection.add((0..40).map(numbered)).unwrap();
    let described =
        |number: u64| numbered(number).title(format!("Title {number}")).metadata(metadata.as_object().unwrap().clone());
    collection.upsert((10..20).map(described)).unwrap();
    collection.delete(["id 0", "id 39", "id 15"]).unwrap();
}

/// Every passage with its embedding, in order, and the answers to questions.
fn content(collection: &Collection) -> impl PartialEq + std::fmt::Debug + use<> {
    let passages: Vec<_> = collection.iter().unwrap().map(Result::unwrap).collect();
    let embeddings: Vec<_> =
        passages.iter().map(|passage| collection.embedding(passage.id.as_ref().unwrap()).unwrap()).collect();
    (passages, embeddings, answers(collection, true))
}

/// Makes the fixture of the present version: `cargo test --lib makes_the_fixture -- --ignored`.
#[test]
#[ignore = "writes to the repository; only for a new version of the format"]
fn makes_the_fixture() {
    let collection = bare(Index::Hnsw).index_field("year").create(kept(1)).unwrap();
    fill(&collection);
    collection.close().unwrap();
}

#[test]
fn what_an_earlier_version_wrote_is_the_same_today() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    crash(&kept(1), &path);
    let fresh = bare(Index::Hnsw).index_field("year").in_memory().unwrap();
    fill(&fresh);
    let truth = content(&fresh);
    let collection = bare(Index::Hnsw).open(&path).unwrap();
    assert_eq!(content(&collection), truth);
    assert_eq!(collection.field_indexes(), fresh.field_indexes());
    let filter: Filter = "year = 2011 and when >= \"2011-03-27\"".parse().unwrap();
    let hits = collection.query_embedding(embedding(12)).top(40).filter(filter).run().unwrap();
    assert_eq!((hits.len(), hits[0].id.as_str()), (9, "id 12"));

    // And it can be gone on with. That the comparison notices a difference is seen at once.
    collection.add([numbered(99)]).unwrap();
    assert!(content(&collection) != truth);
    fresh.add([numbered(99)]).unwrap();
    collection.close().unwrap();
    assert_eq!(content(&bare(Index::Hnsw).open(&path).unwrap()), content(&fresh));
}
