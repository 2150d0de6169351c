//! What a collection takes and what it refuses, to the byte; and that nothing refused leaves a trace.

use serde_json::{Value, json};

use super::{Collection, Index, WIDTH, bare, embedding, ids, names, numbered, refused, with_toy};
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind};
use crate::passage::{MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_METADATA_DEPTH, MAX_TEXT_BYTES, Metadata, Passage};
use crate::similarity::Similarity;

fn dotted() -> Collection {
    Collection::options().embeddings(2, Similarity::Dot).in_memory().unwrap()
}

fn at(x: f32, y: f32) -> Embedding {
    Embedding::new([x, y]).unwrap()
}

/// Refuses a batch of a good passage and this one, as the caller's mistake, and has added neither.
fn misuse(collection: &Collection, passage: Passage) -> Error {
    let good = || {
        let good = Passage::new("good");
        match passage.embedding.as_ref().map(|embedding| embedding.len()) {
            Some(width) => good.embedding(Embedding::new(vec![1.0; width.min(2)]).unwrap()),
            None => good,
        }
    };
    let before = collection.stats();
    let error = refused(collection.add([good(), passage.clone()]));
    assert_eq!(refused(collection.upsert([passage.clone(), good()])).kind(), ErrorKind::Misuse);
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
    assert_eq!(collection.stats(), before);
    error
}

#[test]
fn numbers_that_are_no_numbers_never_become_an_embedding() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = refused(Embedding::new([0.0, bad, 1.0]));
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["component 1", &bad.to_string()]);
    }
    assert_eq!(refused(Embedding::new([])).kind(), ErrorKind::Misuse);
    assert_eq!(refused(Embedding::try_from(vec![f32::NAN])).kind(), ErrorKind::Misuse);
}

#[test]
fn what_f16_cannot_hold_is_named() {
    let collection = dotted();
    let error = misuse(&collection, Passage::new("far").id("out there").embedding(at(1.0, 70_000.0)));
    names(&error, &["\"out there\"", "component 1", "65504"]);
    misuse(&collection, Passage::new("").embedding(at(f32::MAX, 0.0)));
    misuse(&collection, Passage::new("").embedding(at(0.0, -65_520.0)));
    collection.add([Passage::new("edge").embedding(at(65_504.0, -65_504.0))]).unwrap();
    collection.add([Passage::new("zero").embedding(at(0.0, 0.0))]).unwrap();
    let hits = collection.query_embedding(at(f32::MAX, f32::MIN)).run().unwrap();
    assert!(hits.iter().all(|hit| hit.score.is_finite()), "{hits:?}");
    assert_eq!(hits[0].text, "edge");

    // A cosine needs directions only.
    let collection = Collection::options().embeddings(2, Similarity::Cosine).in_memory().unwrap();
    let far = |text: &str, x, y| Passage::new(text).embedding(at(x, y));
    collection.add([far("x", f32::MAX, 0.0), far("y", 0.0, f32::MIN_POSITIVE), far("z", 1e-45, 0.0)]).unwrap();
    let hits = collection.query_embedding(at(1e-45, 0.0)).run().unwrap();
    assert_eq!(
        hits.iter().map(|hit| (hit.text.as_str(), hit.score)).collect::<Vec<_>>(),
        [("x", 1.0), ("z", 1.0), ("y", 0.0)]
    );
}

#[test]
fn a_zero_embedding_has_no_cosine() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let zero = Passage::new("nothing").id("zero").embedding(Embedding::new(vec![0.0; WIDTH]).unwrap());
    let error = refused(collection.add([numbered(1), zero]));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["\"zero\"", "cosine"]);
    assert!(collection.is_empty());
}

#[test]
fn an_embedding_of_another_width_is_refused_by_name() {
    let collection = dotted();
    let three = Embedding::new([1.0, 2.0, 3.0]).unwrap();
    let error = misuse(&collection, Passage::new("wide").id("w").embedding(three.clone()));
    names(&error, &["\"w\"", "3 numbers", "have 2"]);
    for collection in [collection, dotted()] {
        let error = refused(collection.query_embedding(three.clone()).run());
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["3 numbers", "have 2"]);
        collection.add([Passage::new("").embedding(at(1.0, 1.0))]).unwrap();
    }
}

#[test]
fn ids_have_one_byte_at_least_and_a_limit() {
    let collection = with_toy().in_memory().unwrap();
    let error = misuse(&collection, Passage::new("x").id(""));
    names(&error, &["empty id", "leave it out"]);
    let error = misuse(&collection, Passage::new("x").id("é".repeat(MAX_ID_BYTES / 2) + "x"));
    names(&error, &[&MAX_ID_BYTES.to_string(), &(MAX_ID_BYTES + 1).to_string()]);
    assert!(error.to_string().len() < 500, "not the whole id");

    let odd = ["é".repeat(MAX_ID_BYTES / 2), "\0".into(), " ".into(), "a/../b\n".into(), "\u{202e}rtl".into()];
    for id in &odd {
        collection.add([Passage::new("x").id(id.as_str())]).unwrap();
        assert!(collection.contains(id).unwrap());
        assert_eq!(collection.get(id).unwrap().unwrap().id.unwrap().as_str(), id);
    }
    assert!(!collection.contains("").unwrap());
    assert!(collection.get("x".repeat(1 << 20)).unwrap().is_none(), "an id that cannot be is not there");
    assert_eq!(collection.delete(&odd).unwrap(), odd.len() as u64);
}

#[test]
fn texts_have_a_limit() {
    let collection = dotted();
    let long = |bytes: usize| Passage::new("x".repeat(bytes)).embedding(at(1.0, 0.0));
    let error = misuse(&collection, long(MAX_TEXT_BYTES + 1).id("long"));
    names(&error, &["\"long\"", &MAX_TEXT_BYTES.to_string(), "split"]);
    let error = misuse(&collection, long(MAX_TEXT_BYTES).title("t"));
    names(&error, &["passage 1 of the batch", "title"]);
    collection.add([long(MAX_TEXT_BYTES).id("all")]).unwrap();
    assert_eq!(collection.get("all").unwrap().unwrap().text.len(), MAX_TEXT_BYTES);
    collection.add([long(0).id("none")]).unwrap();
    assert_eq!(collection.get("none").unwrap().unwrap().text, "");
}

fn nested(depth: usize) -> Metadata {
    let object = |inner| Metadata::from_iter([("k".to_owned(), inner)]);
    let around = |inner, level| if level % 2 == 0 { Value::Array(vec![inner]) } else { Value::Object(object(inner)) };
    object((1..depth).fold(Value::Null, around))
}

#[test]
fn metadata_has_a_depth() {
    let collection = with_toy().in_memory().unwrap();
    let deep = |depth| Passage::new("x").id("deep").metadata(nested(depth));
    let refusals = [
        misuse(&collection, deep(MAX_METADATA_DEPTH + 1)),
        misuse(&collection, deep(200)),
        // Not by `misuse`, which copies it: that alone would exhaust a test's stack, as nothing of ours may.
        refused(collection.add([deep(100_000)])),
        refused(collection.upsert([deep(100_000)])),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["\"deep\"", "32 deep"]);
    }
    collection.add([deep(MAX_METADATA_DEPTH)]).unwrap();
    assert_eq!(collection.get("deep").unwrap().unwrap().metadata, nested(MAX_METADATA_DEPTH));
}

#[test]
fn metadata_has_a_size() {
    let collection = with_toy().in_memory().unwrap();
    // {"k":"..."} around the text.
    let sized = |bytes: usize| Passage::new("x").id("m").field("k", "y".repeat(bytes - 8));
    let error = misuse(&collection, sized(MAX_METADATA_BYTES + 1));
    names(&error, &[&MAX_METADATA_BYTES.to_string(), &(MAX_METADATA_BYTES + 1).to_string()]);
    collection.add([sized(MAX_METADATA_BYTES)]).unwrap();
    assert_eq!(collection.get("m").unwrap().unwrap().metadata["k"].as_str().unwrap().len(), MAX_METADATA_BYTES - 8);
}

#[test]
fn metadata_comes_back_field_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let collection = with_toy().create(folder.path().join("c")).unwrap();
    let metadata = json!({
        "z": 1, "a": [null, true, {"": []}], "u": u64::MAX, "i": i64::MIN, "f": -0.5, "text": "\u{0} \"\\ 🦀\u{2028}",
        "not utf-8 safe": "\u{10ffff}", "m": {},
    });
    let Value::Object(metadata) = metadata else { panic!("it is an object") };
    collection.add([Passage::new("x").id("x").title("t").metadata(metadata.clone())]).unwrap();
    collection.close().unwrap();
    let collection = with_toy().open(folder.path().join("c")).unwrap();
    let found = collection.get("x").unwrap().unwrap();
    assert_eq!(Value::Object(found.metadata.clone()).to_string(), Value::Object(metadata).to_string(), "in order");
    assert_eq!(collection.query("x").run().unwrap()[0].metadata, found.metadata);
    assert_eq!(found.title.as_deref(), Some("t"));
}

/// Without its feature `float_roundtrip`, serde_json reads some numbers one bit off.
#[test]
fn metadata_keeps_every_bit_of_a_number() {
    let collection = with_toy().in_memory().unwrap();
    let mut dice = super::Dice(1);
    let numbers: Vec<f64> =
        (0..2000).map(|_| f64::from_bits(dice.bits())).filter(|number| number.is_finite()).collect();
    collection.add([Passage::new("x").id("x").field("numbers", numbers.clone())]).unwrap();
    let found = collection.get("x").unwrap().unwrap();
    let found: Vec<f64> = found.metadata["numbers"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
    let changed = found.iter().zip(&numbers).filter(|(found, number)| found.to_bits() != number.to_bits()).count();
    assert_eq!(changed, 0, "of {} numbers", numbers.len());
}

#[test]
fn a_query_finds_at_least_one_and_at_most_all() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        let ask = |top| collection.query_embedding(embedding(3)).top(top).run();
        for top in [1, usize::MAX] {
            assert!(ask(top).unwrap().is_empty(), "nothing is found in nothing");
        }
        collection.add((0..50).map(numbered)).unwrap();
        let error = refused(ask(0));
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["at least 1"]);
        for (top, expected) in [(1, 1), (49, 49), (50, 50), (51, 50), (usize::MAX / 2, 50), (usize::MAX, 50)] {
            let hits = ask(top).unwrap();
            assert_eq!(hits.len(), expected);
            assert_eq!(hits[0].id.as_str(), "id 3");
            assert_eq!(ids(&collection.query_embedding(embedding(3)).top(top).exact(true).run().unwrap()), ids(&hits));
        }
        assert_eq!(collection.query_embedding(embedding(3)).run().unwrap().len(), 10, "the default");
        collection.delete((0..50).map(|n| format!("id {n}"))).unwrap();
        assert!(ask(5).unwrap().is_empty());
    }
}

/// More copies than any slack for rounding: the earliest of them are found, in their order.
#[test]
fn equal_scores_stand_in_the_order_of_their_adding() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        let copies = (0..300u32).map(|n| Passage::new("copy").id(format!("{n:03}")).embedding(embedding(1)));
        collection.add(copies).unwrap();
        collection.upsert([Passage::new("copy").id("000").embedding(embedding(1))]).unwrap();
        let hits = collection.query_embedding(embedding(2)).top(300).run().unwrap();
        let expected: Vec<String> = (1..300).chain([0]).map(|n| format!("{n:03}")).collect();
        assert_eq!(ids(&hits), expected);
        let hits = collection.query_embedding(embedding(2)).top(5).exact(true).run().unwrap();
        assert_eq!(ids(&hits), expected[..5]);
    }
}

#[test]
fn a_batch_ends_at_a_million() {
    use crate::passage::MAX_BATCH_PASSAGES;
    let collection = with_toy().in_memory().unwrap();
    let error = refused(collection.add((0..).map(|n| n.to_string())));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &[&MAX_BATCH_PASSAGES.to_string(), "ingest"]);
    names(&refused(collection.delete((0..).map(|n| n.to_string()))), &["1000000", "in several"]);
    assert_eq!(collection.delete((0..MAX_BATCH_PASSAGES).map(|n| n.to_string())).unwrap(), 0);
}
