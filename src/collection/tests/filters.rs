//! Filters against brute force: over every kind of view, with and without indexes, in a collection with a history.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{Collection, Dice, Index, bare, crash, embedding, ids, numbered, refused};
use crate::collection::plan::{Plan, Warning};
use crate::error::ErrorKind;
use crate::field::{Field, Subject};
use crate::filter::Filter;
use crate::passage::{Metadata, Passage};

const FIELDS: [&str; 6] = ["a", "b", "b.c", "tag", "title", "date"];

/// A passage whose metadata has values of all types, often missing.
pub(super) fn varied(number: u64) -> Passage {
    let mut dice = Dice(number);
    let mut metadata = Metadata::new();
    let mut value = || match dice.bits() % 9 {
        0 => Value::Null,
        1 => json!(dice.bits().is_multiple_of(2)),
        2 => json!((dice.bits() % 7) as i64 - 3),
        3 => json!(dice.number()),
        4 => json!("ab".get(..(dice.bits() % 3) as usize)),
        5 => json!(format!("2011-03-{}", 26 + dice.bits() % 4)),
        6 => json!(["a", dice.bits() % 3, [true, "b"]]),
        7 => json!("long ".repeat(51 + (dice.bits() % 3) as usize)),
        _ => json!([]),
    };
    for field in ["a", "b", "tag", "date"] {
        let value = if field == "b" { json!({"c": value(), "d": [value()]}) } else { value() };
        metadata.insert(field.to_owned(), value);
    }
    if number.is_multiple_of(3) {
        metadata.remove("a");
    }
    let mut passage = numbered(number).metadata(metadata);
    passage.title = (!number.is_multiple_of(4)).then(|| ["b", "a", "ab"][(number % 3) as usize].to_owned());
    passage
}

/// Some history: additions, replacements, deletions.
fn history(collection: &Collection) {
    for batch in 0..6 {
        collection.add((batch * 100..(batch + 1) * 100).map(varied)).unwrap();
    }
    collection.upsert((0..700).step_by(13).map(|n| varied(n + 10_000).id(format!("id {n}")))).unwrap();
    collection.delete((0..600).step_by(7).map(|n| format!("id {n}"))).unwrap();
}

/// What `filter` matches, by asking each passage.
fn truth(collection: &Collection, filter: &Filter) -> Vec<String> {
    let mut matching = Vec::new();
    for passage in collection.iter().unwrap() {
        let passage = passage.unwrap();
        let id = passage.id.unwrap().to_string();
        let title = passage.title.as_deref();
        if filter.matches(Subject { id: &id, title, text: &passage.text, metadata: &passage.metadata }) {
            matching.push(id);
        }
    }
    matching
}

/// All matches, and the ten best of them against a ranking of everything.
fn check(collection: &Collection, filter: &Filter, seed: u64, recall: &mut (usize, usize)) {
    let right = truth(collection, filter);
    let all = collection.query_embedding(embedding(seed)).top(10_000);
    let mut ranking = all.clone().exact(true).run().unwrap();
    ranking.retain(|hit| right.contains(&hit.id.to_string()));
    let found = all.filter(filter.clone()).explain().unwrap();
    assert_eq!(ids(&found.hits), ids(&ranking), "{filter}");
    assert_eq!(found.matches, Some(right.len() as u64), "{filter}");
    ranking.truncate(10);
    let query = collection.query_embedding(embedding(seed)).top(10).filter(filter.clone());
    assert_eq!(query.clone().exact(true).run().unwrap(), ranking, "{filter}");
    let found = query.run().unwrap();
    assert_eq!(found.len(), ranking.len(), "{filter}");
    assert!(found.iter().all(|hit| right.contains(&hit.id.to_string())), "{filter}");
    recall.0 += found.iter().filter(|hit| ranking.contains(hit)).count();
    recall.1 += ranking.len();
}

/// As many random filters as this, from the same generator as the filters' own tests.
pub(super) fn filters(count: usize) -> Vec<Filter> {
    let mut runner = TestRunner::deterministic();
    let strategy = crate::filter::tests::any_filter();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn random_filters_find_what_brute_force_finds() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        history(&collection);
        let mut recall = (0, 0);
        for (seed, filter) in (0..).zip(filters(400)) {
            // With more and more fields indexed, and some no longer.
            if seed % 40 == 20 {
                let field = FIELDS[(seed / 40) as usize % FIELDS.len()];
                assert!(collection.create_field_index(field).unwrap() || collection.drop_field_index(field).unwrap());
            }
            check(&collection, &filter, seed, &mut recall);
        }
        assert!(recall.0 * 100 >= recall.1 * 97 && recall.1 > 1000, "{recall:?}");
    }
}

/// An index says what the passages say, whatever batches made it: made before them, between them, after them.
#[test]
fn indexes_agree_with_passages_however_they_came_about() {
    let early =
        FIELDS.iter().fold(bare(Index::Exact), |options, field| options.index_field(*field)).in_memory().unwrap();
    let late = bare(Index::Exact).in_memory().unwrap();
    history(&early);
    history(&late);
    FIELDS.iter().for_each(|field| assert!(late.create_field_index(*field).unwrap()));
    assert_eq!(early.field_indexes(), late.field_indexes());
    let mut unread = 0;
    for filter in filters(600) {
        let explain = |collection: &Collection| {
            collection.query_embedding(embedding(1)).top(10_000).filter(filter.clone()).explain().unwrap()
        };
        let (early, late) = (explain(&early), explain(&late));
        assert_eq!((&early.hits, early.read), (&late.hits, late.read), "{filter}");
        unread += usize::from(early.read == 0);
    }
    assert!(unread > 200, "{unread} filters were answered by indexes alone");
}

#[test]
fn an_index_answers_without_reading_passages() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add((0..1000).map(|n| numbered(n).field("n", n).field("even", n % 2 == 0))).unwrap();
    let explain = |filter: &str| {
        let query = collection.query_embedding(embedding(1)).filter(filter.parse().unwrap());
        let found = query.explain().unwrap();
        (found.matches.unwrap(), found.read)
    };
    assert_eq!(explain("n >= 100 and n < 200 and even"), (50, 1000));
    assert_eq!(explain("n >= 100 and n < 200 and even"), (50, 1000), "remembered, and what it cost");
    collection.create_field_index("n").unwrap();
    assert_eq!(explain("n >= 100 and n < 200 and even"), (50, 100), "only what the index leaves open is read");
    collection.create_field_index("even").unwrap();
    assert_eq!(explain("n >= 100 and n < 200 and even"), (50, 0));
    assert_eq!(explain("not (n >= 100 and even)"), (550, 0));
    assert_eq!(explain("id = 'id 7' or id in ['id 8', 'nobody']"), (2, 0));
    collection.delete(["id 100"]).unwrap();
    assert_eq!(explain("n >= 100 and n < 200 and even"), (49, 0), "forgotten when something is written");
    assert!(collection.drop_field_index("n").unwrap() && !collection.drop_field_index("n").unwrap());
    assert_eq!(explain("n >= 100 and n < 200 and even"), (49, 499));
}

#[test]
fn k_come_back_if_k_exist_whatever_the_plan() {
    let collection = bare(Index::Hnsw).index_field("n").in_memory().unwrap();
    collection.add((0..2000).map(|n| numbered(n).field("n", n))).unwrap();
    let mut plans = Vec::new();
    for matches in [0, 1, 3, 10, 300, 600, 1999, 2000] {
        let query = collection.query_embedding(embedding(7)).top(10).filter(Filter::field("n").lt(matches));
        let found = query.explain().unwrap();
        assert_eq!((found.matches, found.hits.len() as u64), (Some(matches), matches.min(10)));
        assert!(found.hits.iter().all(|hit| hit.metadata["n"].as_u64().unwrap() < matches));
        plans.push(found.plan);
    }
    let few = if cfg!(feature = "usearch") { Plan::ScanStore } else { Plan::Scan };
    assert_eq!(plans[..2], [Plan::Nothing, few]);
    assert_eq!(plans[4], Plan::Scan, "with the embeddings laid out in memory");
    // The matrix beside the graph follows the writers.
    collection.upsert((0..500).map(|n| numbered(n + 5000).id(format!("id {n}")).field("n", n))).unwrap();
    collection.delete((300..400).map(|n| format!("id {n}"))).unwrap();
    for n in [2000, 600, 100] {
        let query = collection.query_embedding(embedding(9)).top(50).filter(Filter::field("n").lt(n));
        let (found, exact) = (query.clone().run().unwrap(), query.exact(true).run().unwrap());
        assert_eq!(found.len(), 50);
        if n < 2000 {
            assert_eq!(found, exact);
        }
    }
}

#[cfg(feature = "usearch")]
#[test]
fn a_walk_under_a_filter_finds_what_a_scan_finds() {
    let collection = bare(Index::Hnsw).index_field("odd").in_memory().unwrap();
    for batch in 0..10u64 {
        collection.add((batch * 1000..(batch + 1) * 1000).map(|n| numbered(n).field("odd", n % 50 != 0))).unwrap();
    }
    let (mut found, mut wanted) = (0, 0);
    for seed in 0..50 {
        let query =
            collection.query_embedding(embedding(1_000_000 + seed)).top(10).filter(Filter::field("odd").is_true());
        let walked = query.clone().explain().unwrap();
        assert_eq!((walked.plan, walked.matches), (Plan::Graph, Some(9800)));
        assert!(walked.hits.iter().all(|hit| hit.metadata["odd"] == true));
        let right = query.exact(true).run().unwrap();
        found += walked.hits.iter().filter(|hit| right.contains(hit)).count();
        wanted += right.len();
    }
    assert!(found * 100 >= wanted * 97, "{found} of {wanted}");
}

#[test]
fn what_an_answer_does_not_show_is_said() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let warned = |filter: &str| {
        let query = collection.query_embedding(embedding(1)).filter(filter.parse().unwrap());
        query.explain().unwrap().warnings
    };
    assert_eq!(warned("nowhere = 1"), [], "an empty collection has no fields");
    collection.add((0..10).map(|n| numbered(n).field("n", n).field("none", Value::Null))).unwrap();
    assert_eq!(warned("n > 3"), []);
    let unknown = |field: &str| Warning::UnknownField(Field::from(field));
    assert_eq!(warned("nowhere = 1"), [unknown("nowhere"), Warning::NoMatch]);
    assert_eq!(warned("n > 3 and not nul exists or none = 1"), [unknown("none"), unknown("nul")]);
    assert_eq!(warned("n > 3 and n < 3"), [Warning::NoMatch]);
    collection.create_field_index("nowhere").unwrap();
    collection.create_field_index("n").unwrap();
    assert_eq!(warned("nowhere = 1 or n = 1"), [unknown("nowhere")]);
    let more = (10..20_000).map(|n| Passage::new("").id(n.to_string()).field("m", n).embedding(embedding(n)));
    collection.add(more).unwrap();
    assert_eq!(warned("n > 3"), []);
    let found = warned("m > 3");
    assert!(
        matches!(&found[..], [Warning::UnindexedField { field, read: 20_000 }] if field.to_string() == "m"),
        "{found:?}"
    );
}

#[test]
fn a_filter_that_cannot_be_is_refused() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    for filter in [Filter::all([]), Filter::field("a").eq(f64::NAN)] {
        let error = refused(collection.query_embedding(embedding(1)).filter(filter).run());
        assert_eq!(error.kind(), ErrorKind::Misuse, "even where nothing is: {error}");
    }
    (0..64).for_each(|n| assert!(collection.create_field_index(format!("f{n}")).unwrap()));
    assert_eq!(refused(collection.create_field_index("one more")).kind(), ErrorKind::Misuse);
}

#[test]
fn two_filters_both_hold() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add((0..10).map(|n| numbered(n).field("n", n))).unwrap();
    let query =
        collection.query_embedding(embedding(1)).filter(Filter::field("n").ge(3)).filter(Filter::field("n").le(4));
    assert_eq!(query.run().unwrap().len(), 2);
}

/// Indexes survive a crash with the batch that they belong to, and closing and opening.
#[test]
fn indexes_are_as_durable_as_passages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).index_field("a").create(&path).unwrap();
    history(&collection);
    collection.create_field_index("tag").unwrap();
    collection.drop_field_index("a").unwrap();
    collection.create_field_index("title").unwrap();
    collection.upsert((0..50).map(|n| varied(n + 20_000).id(format!("id {n}")))).unwrap();
    let crashed = folder.path().join("crashed");
    crash(&path, &crashed);
    collection.close().unwrap();
    for path in [&path, &crashed] {
        for read_only in [false, true] {
            let options = bare(Index::Hnsw);
            let again = if read_only { options.open_read_only(path) } else { options.open(path) }.unwrap();
            assert_eq!(again.field_indexes(), [Field::from("tag"), Field::from("title")]);
            for filter in
                ["tag = \"a\"", "not tag exists", "title in [\"a\", \"b\"]", "tag != 1 or title contains \"b\""]
            {
                let filter: Filter = filter.parse().unwrap();
                let query = again.query_embedding(embedding(1)).top(10_000).filter(filter.clone());
                let found = query.explain().unwrap();
                let mut found_ids: Vec<String> = found.hits.iter().map(|hit| hit.id.to_string()).collect();
                let mut right = truth(&again, &filter);
                found_ids.sort_unstable();
                right.sort_unstable();
                assert_eq!(found_ids, right, "{filter}");
                assert_eq!(found.warnings, []);
            }
        }
    }
}

/// Readers that filter see whole batches, whatever writers do meanwhile.
#[test]
fn a_filtered_query_sees_a_batch_whole_or_not_at_all() {
    let collection = bare(Index::Hnsw).index_field("batch").in_memory().unwrap();
    collection.add((0..600).map(|n| numbered(n).field("batch", 0))).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for batch in 1..30u64 {
                collection
                    .upsert(
                        (0..600)
                            .step_by(3)
                            .map(|n| numbered(n + batch * 1000).id(format!("id {n}")).field("batch", batch)),
                    )
                    .unwrap();
            }
        });
        while !writer.is_finished() {
            let of = |filter: Filter| collection.query_embedding(embedding(3)).top(1000).filter(filter).run().unwrap();
            assert_eq!(of(Filter::field("batch").eq(0)).len() % 200, 0);
            let later = of(Filter::field("batch").gt(0));
            assert!(later.is_empty() || later.len() == 200);
            assert!(later.iter().all(|hit| hit.metadata["batch"] == later[0].metadata["batch"]), "of one batch");
        }
    });
}
