//! Modes and stages of a query against what they are by definition.

use std::collections::HashSet;

use serde_json::json;

use super::super::fuse::DEPTH;
use super::super::{Fusion, Mode, Reranker};
use super::{Collection, Dice, Index, WIDTH, bare, embedding, ids, names, refused, with_toy};
use crate::embedding::Embedding;
use crate::error::{ErrorKind, Result};
use crate::passage::Passage;

/// Scores by a table of ends of texts.
struct Table(&'static [(&'static str, f32)]);

impl Reranker for Table {
    fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        assert!(!query.is_empty());
        let score = |passage: &&str| self.0.iter().find(|(end, _)| passage.ends_with(end)).map_or(0.0, |(_, s)| *s);
        Ok(passages.iter().map(score).collect())
    }
}

/// Texts of frequent and rare words, with embeddings that have nothing to do with them.
fn sample(rows: u64) -> Collection {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let mut dice = Dice(9);
    let passages = (0..rows).map(|n| {
        let words: Vec<String> = (0..12).map(|_| format!("w{}", (dice.number().abs() * 8.0).powi(2) as u64)).collect();
        Passage::new(words.join(" ")).id(format!("{n}")).embedding(embedding(n)).field("group", n % 7)
    });
    collection.add(passages.collect::<Vec<_>>()).unwrap();
    collection
}

#[test]
fn hybrid_is_the_fusion_of_both_rankings() {
    let collection = sample(400);
    for (seed, words) in [(1u64, "w0 w20"), (2, "w50"), (3, "w1 w2 w3"), (4, "nowhere")] {
        let asked = || collection.ask_both(words, embedding(1000 + seed));
        let dense = asked().top(DEPTH).run().unwrap();
        let lexical = asked().mode(Mode::Lexical).top(DEPTH).run().unwrap();
        for fusion in [Fusion::default(), Fusion::Weighted { dense: 0.2 }, Fusion::ReciprocalRank { k: 60.0 }] {
            let mut expected: Vec<(f32, u64, String)> = Vec::new();
            let union: HashSet<String> = dense.iter().chain(&lexical).map(|hit| hit.id.to_string()).collect();
            for id in union {
                let place = |hits: &[super::Hit]| hits.iter().position(|hit| hit.id.as_str() == id);
                let stretched = |hits: &[super::Hit], floor: f32| {
                    place(hits).map_or(0.0, |at| (hits[at].score - floor) / (hits[0].score - floor))
                };
                let floor = if lexical.len() < DEPTH { 0.0 } else { lexical[DEPTH - 1].score };
                let score = match fusion {
                    Fusion::Weighted { dense: weight } => {
                        weight * stretched(&dense, dense[DEPTH - 1].score) + (1.0 - weight) * stretched(&lexical, floor)
                    }
                    Fusion::ReciprocalRank { k } => {
                        let share = |hits| place(hits).map_or(0.0, |at| 1.0 / (k + 1.0 + at as f32));
                        share(&dense) + share(&lexical)
                    }
                };
                expected.push((score, id.parse().unwrap(), id));
            }
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let found = asked().mode(Mode::Hybrid).fusion(fusion).top(20).run().unwrap();
            assert_eq!(found.len(), 20);
            for (found, (score, _, _)) in found.iter().zip(&expected) {
                assert!((found.score - score).abs() < 1e-5, "{fusion:?}: {} and {score}", found.score);
                assert_eq!(found.scores.fused, Some(found.score));
                let alone = dense.iter().find(|hit| hit.id == found.id).map(|hit| hit.score);
                assert_eq!(found.scores.dense, alone);
            }
        }
    }
}

/// Exactly the passages that match, in the order that they have without the filter.
#[test]
fn a_filter_holds_in_every_mode() {
    let collection = sample(400);
    let ask = |mode| collection.ask_both("w0 w3", embedding(1)).mode(mode).top(400);
    let filtered = |mode| ask(mode).filter("group = 3".parse().unwrap());
    let matching =
        |hits: Vec<super::Hit>| hits.into_iter().filter(|hit| hit.metadata["group"] == 3).collect::<Vec<_>>();
    let (dense, lexical) = (matching(ask(Mode::Dense).run().unwrap()), matching(ask(Mode::Lexical).run().unwrap()));
    assert!(dense.len() == 57 && lexical.len() > 10 && lexical.len() < 57);
    assert_eq!(filtered(Mode::Dense).run().unwrap(), dense);
    assert_eq!(filtered(Mode::Lexical).run().unwrap(), lexical);
    assert_eq!(filtered(Mode::Lexical).top(3).run().unwrap(), lexical[..3]);
    let hybrid = filtered(Mode::Hybrid).explain().unwrap();
    assert_eq!((hybrid.hits.len(), hybrid.matches, hybrid.mode), (57, Some(57), Mode::Hybrid));
    for hit in &hybrid.hits {
        let alone = |hits: &[super::Hit]| hits.iter().find(|other| other.id == hit.id).map(|hit| hit.score);
        assert_eq!((hit.scores.dense, hit.scores.lexical), (alone(&dense), alone(&lexical)));
    }
    assert_eq!(filtered(Mode::Lexical).explain().unwrap().plan, crate::Plan::Words);
}

#[test]
fn k_come_back_if_k_exist() {
    let collection = sample(150);
    for top in [1, 99, 100, 101, 149, 150, 151, usize::MAX] {
        let hits = collection.ask_both("w0", embedding(1)).mode(Mode::Hybrid).top(top).run().unwrap();
        assert_eq!(hits.len(), top.min(150));
        assert_eq!(ids(&hits).into_iter().collect::<HashSet<_>>().len(), hits.len());
    }
}

#[test]
fn pages_follow_each_other_and_a_ranking_is_of_one_moment() {
    let collection = sample(300);
    let ask = || collection.ask_both("w0 w3", embedding(1)).mode(Mode::Hybrid);
    let all = ask().top(60).run().unwrap();
    for offset in [0, 7, 50, 60] {
        let page = ask().offset(offset).top(10).run().unwrap();
        let expected = &all[offset..(offset + 10).min(60)];
        assert_eq!(ids(&page)[..expected.len()], ids(expected));
    }
    assert!(ask().offset(300).run().unwrap().is_empty());
    assert!(ask().offset(usize::MAX).run().unwrap().is_empty());

    let ranking = ask().top(60).rank().unwrap();
    collection.delete((0..300).map(|n| n.to_string())).unwrap();
    assert!(collection.is_empty());
    assert_eq!(ranking.hits(0..60).unwrap(), all);
    assert_eq!(ranking.hits(50..usize::MAX).unwrap(), all[50..]);
    assert!(ranking.hits(60..70).unwrap().is_empty());
}

#[test]
fn a_threshold_leaves_out_what_scores_less() {
    let collection = sample(100);
    let ask = || collection.query_embedding(embedding(1)).top(100);
    let all = ask().run().unwrap();
    let kept = ask().min_score(all[30].score).run().unwrap();
    assert_eq!(ids(&kept), ids(&all)[..31]);
    assert!(ask().min_score(2.0).run().unwrap().is_empty());
    assert_eq!(refused(ask().min_score(f32::NAN).run()).kind(), ErrorKind::Misuse);
}

#[test]
fn a_reranker_orders_the_candidates_it_reads_and_no_others() {
    let collection = with_toy().in_memory().unwrap();
    collection
        .add(["one a", "one b", "one c", "one d", "one e"].map(|text| Passage::new(text).id(&text[4..])))
        .unwrap();
    let before = collection.query("one").run().unwrap();
    let order: Vec<&str> = ids(&before);
    let last_first: Vec<(&'static str, f32)> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .map(|end| (end, order.iter().position(|id| *id == end).unwrap() as f32))
        .collect();
    let table = Table(last_first.leak());
    for top in [1, 3, 5, 50] {
        let hits = collection.query("one").rerank(&table, top).run().unwrap();
        let read = top.min(5);
        let expected: Vec<&str> = order[..read].iter().rev().chain(&order[read..]).copied().collect();
        assert_eq!(ids(&hits), expected);
        for (place, hit) in hits.iter().enumerate() {
            assert_eq!(hit.scores.rerank.is_some(), place < read);
            assert_eq!(hit.score, hit.scores.rerank.or(hit.scores.dense).unwrap());
            assert!(hit.scores.dense.is_some());
        }
    }
    // A cascade: the first chooses two of five, the second orders those two.
    let other = Table(&[("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("e", 5.0)]);
    let hits = collection.query("one").rerank(&table, 5).rerank(&other, 2).run().unwrap();
    let mut chosen = [order[4], order[3]];
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(ids(&hits)[..2], chosen);
    assert_eq!(ids(&hits)[2..], [order[2], order[1], order[0]]);
    // More candidates are read than are asked for.
    assert_eq!(ids(&collection.query("one").top(1).rerank(&table, 5).run().unwrap()), [order[4]]);
    // A threshold is on the reranker's scale, to which those that it did not read have no score.
    assert_eq!(ids(&collection.query("one").rerank(&table, 3).min_score(0.5).run().unwrap()), [order[2], order[1]]);
    // Equal scores keep the order.
    assert_eq!(ids(&collection.query("one").rerank(&Table(&[]), 5).run().unwrap()), order);

    assert_eq!(refused(collection.query("one").rerank(&table, 0).run()).kind(), ErrorKind::Misuse);
    let error = refused(collection.query_embedding(embedding(1)).rerank(&table, 5).run());
    names(&error, &["no words"]);
    assert_eq!(refused(collection.query("one").rerank(&Table(&[("a", f32::NAN)]), 5).run()).kind(), ErrorKind::Misuse);
}

#[test]
fn a_group_has_one_hit_its_best() {
    let collection = sample(200);
    let all = collection.query_embedding(embedding(5)).top(200).run().unwrap();
    let best = collection.query_embedding(embedding(5)).top(50).collapse("group").run().unwrap();
    assert_eq!(best.len(), 7, "as many as there are groups, however far down the last one begins");
    for hit in &best {
        let first = all.iter().find(|other| other.metadata["group"] == hit.metadata["group"]).unwrap();
        assert_eq!(first.id, hit.id);
    }
    assert_eq!(collection.query_embedding(embedding(5)).top(3).collapse("group").run().unwrap(), best[..3]);
    let ask = |field: &str| collection.query_embedding(embedding(5)).top(50).collapse(field).explain().unwrap();
    let (grouped, unknown) = (ask("group"), ask("nowhere"));
    assert_eq!((grouped.hits, grouped.warnings), (best, Vec::new()));
    assert_eq!(unknown.hits, all[..50]);
    assert_eq!(unknown.warnings, [crate::Warning::NothingToCollapse("nowhere".into())]);
}

#[test]
fn a_group_is_told_by_any_field_that_a_filter_can_name() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let values = [
        json!({"author": {"name": "A"}}),
        json!({"author": {"name": "A", "born": 1815}}),
        json!({"author": [{"name": "A"}, {"name": "B"}]}),
        json!({"author": [{"name": "A"}, {"name": "B", "born": 1852}]}),
        json!({"author": {"name": null}}),
        json!({"author": "A"}),
    ];
    // The further down, the greater the angle.
    let direction = |n: usize| {
        let mut numbers = vec![0.0; WIDTH];
        (numbers[0], numbers[1]) = (1.0, n as f32);
        Embedding::new(numbers).unwrap()
    };
    let passage = |(n, value): (usize, serde_json::Value)| {
        let title = ["one", "two"][n % 2];
        Passage::new("x")
            .id(n.to_string())
            .title(title)
            .metadata(value.as_object().unwrap().clone())
            .embedding(direction(n))
    };
    collection.add(values.into_iter().enumerate().map(passage)).unwrap();
    let ask = |field: &str| -> Vec<String> {
        let hits = collection.query_embedding(direction(0)).top(10).collapse(field).run().unwrap();
        hits.iter().map(|hit| hit.id.to_string()).collect()
    };
    assert_eq!(ask("author.name"), ["0", "2", "4", "5"], "of a null and of no object there is no name");
    assert_eq!(ask("author"), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(ask("title"), ["0", "1"]);
    assert_eq!(ask("id").len(), 6);
}

#[test]
fn maximal_marginal_relevance_keeps_copies_apart() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let copies = (0..20u64).map(|n| Passage::new("copy").id(format!("copy {n}")).embedding(embedding(1)));
    collection.add(copies).unwrap();
    collection.add((2..30).map(|n| Passage::new("other").id(format!("other {n}")).embedding(embedding(n)))).unwrap();
    let ask = || collection.query_embedding(embedding(1)).top(10);
    let plain = ask().run().unwrap();
    assert!(ids(&plain).iter().all(|id| id.starts_with("copy")));
    assert_eq!(ask().mmr(1.0).run().unwrap(), plain);
    let apart = ask().mmr(0.5).run().unwrap();
    assert_eq!(apart[0], plain[0]);
    assert!(ids(&apart)[1..].iter().all(|id| id.starts_with("other")), "{:?}", ids(&apart));
    // By the definition, one after the other.
    let pool = ask().top(48).run().unwrap();
    let vector = |id: &str| collection.embedding(id).unwrap().unwrap();
    let cosine = |a: &str, b: &str| vector(a).iter().zip(vector(b).iter()).map(|(a, b)| a * b).sum::<f32>();
    let (most, least) = (pool[0].score, pool[47].score);
    let mut chosen = vec![apart[0].id.to_string()];
    while chosen.len() < 10 {
        let gain = |hit: &super::Hit| {
            let nearest = chosen.iter().map(|id| cosine(id, hit.id.as_str())).fold(f32::MIN, f32::max);
            0.5 * (hit.score - least) / (most - least) - 0.5 * nearest
        };
        let rest = pool.iter().filter(|hit| !chosen.contains(&hit.id.to_string()));
        let best = rest.max_by(|a, b| gain(a).total_cmp(&gain(b))).unwrap();
        chosen.push(best.id.to_string());
    }
    assert_eq!(ids(&apart), chosen);
    for lambda in [-0.1, 1.1, f32::NAN] {
        assert_eq!(refused(ask().mmr(lambda).run()).kind(), ErrorKind::Misuse);
    }
}

#[test]
fn more_like_a_passage_leaves_it_out() {
    let collection = with_toy().in_memory().unwrap();
    collection
        .add(
            [("a", "red \" green \" blue *"), ("b", "green red"), ("c", "blue"), ("d", "mauve")]
                .map(|(id, text)| Passage::new(text).id(id)),
        )
        .unwrap();
    for (mode, found) in [(Mode::Dense, 3), (Mode::Lexical, 2), (Mode::Hybrid, 3)] {
        let hits = collection.query_like("a").mode(mode).run().unwrap();
        assert_eq!((hits.len(), ids(&hits)[0]), (found, "b"), "{mode}");
        assert_eq!(collection.query_like("a").mode(mode).top(1).run().unwrap().len(), 1);
    }
    assert_eq!(refused(collection.query_like("z").run()).kind(), ErrorKind::NotFound);
}

#[test]
fn a_batch_of_queries_answers_each_as_alone() {
    let collection = with_toy().in_memory().unwrap();
    collection.add(["red green", "green blue", "blue red", "mauve"]).unwrap();
    for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
        let texts = ["red", "green", "", "mauve blue"];
        let answers = collection.query_batch(&texts, |query| query.mode(mode).top(3)).unwrap();
        for (text, hits) in texts.into_iter().zip(answers) {
            assert_eq!(hits, collection.query(text).mode(mode).top(3).run().unwrap());
        }
    }
    assert!(collection.query_batch::<&str>(&[], |query| query).unwrap().is_empty());
}

#[test]
fn a_highlight_is_the_best_sentence_and_the_words() {
    let collection = with_toy().in_memory().unwrap();
    let text = "  Nothing here. Zürich has red roofs! And then?";
    collection.add([text]).unwrap();
    for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
        let hits = collection.query("red roof Zürich has").mode(mode).highlight(true).run().unwrap();
        let highlight = hits[0].highlight.clone().unwrap();
        assert_eq!(&text[highlight.sentence], "Zürich has red roofs!", "{mode}");
        let words: Vec<&str> = highlight.words.into_iter().map(|word| &text[word]).collect();
        assert_eq!(words, ["Zürich", "has", "red", "roofs"]);
    }
    assert_eq!(collection.query("red").run().unwrap()[0].highlight, None);
    collection.add(["", " \n "]).unwrap();
    assert_eq!(collection.query("red").highlight(true).run().unwrap().len(), 3);
}

#[test]
fn words_need_words_and_numbers_have_ranges() {
    let collection = sample(10);
    for mode in [Mode::Lexical, Mode::Hybrid] {
        names(&refused(collection.query_embedding(embedding(1)).mode(mode).run()), &["no words"]);
    }
    for fusion in
        [Fusion::Weighted { dense: 1.5 }, Fusion::Weighted { dense: f32::NAN }, Fusion::ReciprocalRank { k: -1.0 }]
    {
        let query = collection.ask_both("w0", embedding(1)).mode(Mode::Hybrid).fusion(fusion);
        assert_eq!(refused(query.run()).kind(), ErrorKind::Misuse);
    }
    // Words alone need no encoder.
    assert!(!collection.query("w0").mode(Mode::Lexical).run().unwrap().is_empty());
    assert_eq!(refused(collection.query("w0").mode(Mode::Hybrid).run()).kind(), ErrorKind::Misuse);
    assert!(collection.query("?!").mode(Mode::Lexical).run().unwrap().is_empty());
}
