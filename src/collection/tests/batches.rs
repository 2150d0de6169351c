//! Add, upsert, delete, as their callers see them.

use std::ops::ControlFlow;

use super::{Collection, Index, TOY, all_ids, bare, embedding, ids, names, numbered, refused, with_toy};
use crate::error::ErrorKind;
use crate::index::VectorIndex;
use crate::passage::{Passage, RowId};
use crate::progress::Stage;
use crate::similarity::Similarity;

fn texts(collection: &Collection) -> Vec<String> {
    collection.iter().unwrap().map(|passage| passage.unwrap().text).collect()
}

fn as_str(ids: &[crate::passage::PassageId]) -> Vec<&str> {
    ids.iter().map(|id| id.as_str()).collect()
}

#[test]
fn an_id_that_comes_twice_is_refused_by_add() {
    let collection = with_toy().in_memory().unwrap();
    let error = refused(collection.add([Passage::new("1").id("a"), Passage::new("2"), Passage::new("3").id("a")]));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["\"a\"", "twice", "upsert"]);
    assert!(collection.is_empty());
}

#[test]
fn the_last_passage_of_an_id_stands_in_an_upsert() {
    let collection = with_toy().in_memory().unwrap();
    collection.add([Passage::new("old").id("a")]).unwrap();
    let written = collection
        .upsert([
            Passage::new("first a").id("a"),
            Passage::new("without id"),
            Passage::new("first b").id("b"),
            Passage::new("second a").id("a"),
            Passage::new("c").id("c"),
            Passage::new("another without"),
            Passage::new("second b").id("b"),
            Passage::new("third a").id("a"),
        ])
        .unwrap();
    assert_eq!(as_str(&written.ids), ["a", "row-1", "b", "a", "c", "row-3", "b", "a"]);
    // New: two without id, b, c. In place of another: a's old one, and three that the batch itself overtook.
    assert_eq!((written.added, written.updated), (4, 4));
    assert_eq!(texts(&collection), ["without id", "c", "another without", "second b", "third a"]);
    assert_eq!(all_ids(&collection), ["row-1", "c", "row-3", "b", "a"]);
    let hits = collection.query("third a").top(1).run().unwrap();
    assert_eq!(ids(&hits), ["a"], "the embedding is that of the passage that stands");
    assert!((hits[0].score - 1.0).abs() < 1e-3);
}

/// With embeddings of their own, so that a mix-up of places between passages and embeddings shows.
#[test]
fn each_passage_keeps_its_own_embedding() {
    let collection = with_toy().in_memory().unwrap();
    let seeds = [5, 6, 7, 8, 9];
    let passage = |n: usize| Passage::new(format!("text {n}")).embedding(embedding(seeds[n]));
    collection
        .upsert([
            passage(0).id("x"),
            passage(1),
            Passage::new("encoded one"),
            passage(2).id("x"),
            passage(3).id("y"),
            Passage::new("encoded two").id("z"),
            passage(4),
        ])
        .unwrap();
    for (seed, text) in [(6, "text 1"), (7, "text 2"), (8, "text 3"), (9, "text 4")] {
        let hit = &collection.query_embedding(embedding(seed)).top(1).run().unwrap()[0];
        assert_eq!(hit.text, text);
        assert!(hit.score > 0.999);
    }
    for text in ["encoded one", "encoded two"] {
        assert_eq!(collection.query(text).top(1).run().unwrap()[0].text, text);
    }
    assert!(collection.query_embedding(embedding(5)).top(1).run().unwrap()[0].score < 0.999, "replaced");
}

#[test]
fn an_add_of_a_known_id_adds_nothing_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let collection = bare(Index::Exact).create(folder.path().join("c")).unwrap();
    collection.add([numbered(1), numbered(2)]).unwrap();
    let before = collection.stats();
    let error = refused(collection.add([numbered(3), numbered(2), numbered(4)]));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["\"id 2\"", "upsert replaces it", "Nothing of the batch was added"]);
    assert_eq!(collection.stats(), before);
    assert_eq!(collection.query_embedding(embedding(3)).top(9).run().unwrap().len(), 2);
    assert_eq!(collection.add([numbered(3)]).unwrap().added, 1);
    assert_eq!(collection.query_embedding(embedding(3)).top(9).run().unwrap().len(), 3);
}

#[test]
fn deleting_says_how_many_there_were() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add((0..5).map(numbered)).unwrap();
    assert_eq!(collection.delete(["id 1", "id 9", "id 1", "id 3", ""]).unwrap(), 2);
    let seq = collection.stats().seq;
    assert_eq!(collection.delete(["id 1"]).unwrap(), 0);
    assert_eq!(collection.delete([String::new()]).unwrap(), 0);
    assert_eq!(collection.delete::<&str>([]).unwrap(), 0);
    assert_eq!(collection.stats().seq, seq, "nothing changed");
    assert_eq!(all_ids(&collection), ["id 0", "id 2", "id 4"]);
    assert_eq!(collection.query_embedding(embedding(1)).top(9).run().unwrap().len(), 3);
}

#[test]
fn a_batch_of_nothing_does_nothing() {
    let collection = with_toy().in_memory().unwrap();
    let nothing: [&str; 0] = [];
    assert_eq!(collection.add(nothing).unwrap(), crate::Written::default());
    assert_eq!(collection.upsert(nothing).unwrap(), crate::Written::default());
    assert_eq!(collection.stats().seq, 0);
}

#[test]
fn progress_ascends_to_the_whole() {
    let collection = with_toy().in_memory().unwrap();
    let mut told = Vec::new();
    let passages = (0..700).map(|n| format!("text {n}"));
    let written = collection
        .add_with_progress(passages, |progress| {
            assert_eq!((progress.stage, progress.total), (Stage::Encode, 700));
            told.push(progress.done);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(written.added, 700);
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&700)));
    assert!(told.len() >= 3, "one report is no progress: {told:?}");
}

#[test]
fn a_stopped_batch_adds_nothing_wherever_it_is_stopped() {
    let collection = with_toy().in_memory().unwrap();
    collection.add(["there"]).unwrap();
    let before = collection.stats();
    let mut stops = 0;
    loop {
        let mut calls = 0;
        let outcome = collection.upsert_with_progress((0..600).map(|n| format!("text {n}")), |_| {
            calls += 1;
            if calls > stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match outcome {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled);
                assert_eq!(collection.stats(), before, "stopped at report {stops}");
                assert_eq!(collection.query("text 1").top(999).run().unwrap().len(), 1);
            }
            Ok(written) => {
                assert_eq!(written.added, 600);
                break;
            }
        }
        stops += 1;
    }
    assert!(stops >= 3, "it could be stopped {stops} times");
    assert_eq!(collection.len(), 601);
}

#[test]
fn scores_are_those_of_the_documented_similarity() {
    let points = Collection::options().embeddings(2, Similarity::Cosine).in_memory().unwrap();
    let at = |x: f32, y: f32| crate::Embedding::new([x, y]).unwrap();
    points
        .add([
            Passage::new("east").embedding(at(3.0, 0.0)),
            Passage::new("north").embedding(at(0.0, 0.25)),
            Passage::new("north-east").embedding(at(2.0, 2.0)),
            Passage::new("west").embedding(at(-1.0, 0.0)),
        ])
        .unwrap();
    let hits = points.query_embedding(at(0.5, 0.0)).run().unwrap();
    let found: Vec<(&str, f32)> = hits.iter().map(|hit| (hit.text.as_str(), hit.score)).collect();
    assert_eq!(found.iter().map(|(text, _)| *text).collect::<Vec<_>>(), ["east", "north-east", "north", "west"]);
    for ((_, score), expected) in found.iter().zip([1.0, 0.5_f32.sqrt(), 0.0, -1.0]) {
        assert!((score - expected).abs() < 1e-3, "{found:?}");
    }
    let points = Collection::options().embeddings(2, Similarity::Dot).in_memory().unwrap();
    points.add([Passage::new("far").embedding(at(3.0, 4.0)), Passage::new("near").embedding(at(1.0, 0.0))]).unwrap();
    let hits = points.query_embedding(at(2.0, 1.0)).run().unwrap();
    assert_eq!(hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), [10.0, 2.0]);
}

#[test]
fn an_iterator_keeps_the_collection_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Exact).create(&path).unwrap();
    collection.add((0..500).map(numbered)).unwrap();
    let passages = collection.iter().unwrap();
    collection.delete(["id 7"]).unwrap();
    drop(collection);
    assert_eq!(refused(Collection::options().open(&path)).kind(), ErrorKind::Locked);
    assert_eq!(passages.map(|passage| passage.unwrap().text).filter(|text| text == "text 7").count(), 1);
    assert_eq!(Collection::options().open(&path).unwrap().len(), 499);
    // The name of the encoder is nothing to this collection.
    assert_eq!(refused(Collection::options().encoder(TOY).open(&path)).kind(), ErrorKind::Incompatible);
}

/// It is noticed by how many rows it has, and one that cannot fail takes its place.
#[test]
fn a_view_that_lacks_a_row_is_given_up_with_the_next_batch() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        collection.add((0..5).map(numbered)).unwrap();
        collection.0.live.write().view.remove(RowId(2)).unwrap();
        assert_eq!(collection.0.live.read().view.len(), 4);
        collection.add([numbered(5)]).unwrap();
        assert_eq!(collection.0.live.read().view.len(), 6);
        let hits = collection.query_embedding(embedding(2)).top(1).run().unwrap();
        assert_eq!(hits[0].id.as_str(), "id 2");
    }
}
