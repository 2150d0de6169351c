//! The approximate view against the exact one, and against what usearch must never be given.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use half::f16;

use super::super::hnsw::calibration::Calibration;
use super::super::slots::Slots;
use super::super::{ExactIndex, HnswIndex, VectorIndex};
use super::{Source, recall, rows, stored};
use crate::error::ErrorKind;
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;

const DIMENSION: usize = 64;

pub(super) fn source() -> Source {
    Source::clustered(11, DIMENSION, 100, 0.7)
}

pub(super) fn both(similarity: Similarity, embeddings: &[Vec<f16>]) -> (HnswIndex, ExactIndex) {
    let dimension = embeddings[0].len();
    let mut hnsw = HnswIndex::new(dimension, similarity).unwrap();
    let mut exact = ExactIndex::new(dimension, similarity).unwrap();
    for (row, embedding) in embeddings.iter().enumerate() {
        hnsw.insert(RowId(row as u64), embedding).unwrap();
        exact.insert(RowId(row as u64), embedding).unwrap();
    }
    (hnsw, exact)
}

pub(super) fn calibrated(hnsw: &mut HnswIndex) -> Calibration {
    let mut trials = hnsw.trials(0.97).unwrap();
    loop {
        if let Some(calibration) = trials.step(hnsw).unwrap() {
            return calibration;
        }
    }
}

fn bytes(hnsw: &HnswIndex) -> Vec<u8> {
    let mut bytes = Vec::new();
    hnsw.write_to(&mut bytes).unwrap();
    bytes
}

/// Where the list of rows in the graph begins, and how many there are.
fn list_at(bytes: &[u8], dimension: usize) -> (usize, usize) {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let list = 16 + number(8) * (8 + 2 * dimension) + 16;
    (list, number(list - 16))
}

pub(super) fn graph_at(bytes: &[u8], dimension: usize) -> usize {
    let (list, rows) = list_at(bytes, dimension);
    list + 8 * rows
}

#[test]
fn either_view_gives_embeddings_back_bit_for_bit() {
    let mut source = source();
    let embeddings: Vec<_> =
        (0..100).map(|at| stored(&source.draw().iter().map(|value| value * at as f32).collect::<Vec<f32>>())).collect();
    for similarity in [Similarity::Cosine, Similarity::Dot] {
        let (mut hnsw, mut exact) = both(similarity, &embeddings);
        let views: [&mut dyn VectorIndex; 2] = [&mut hnsw, &mut exact];
        for view in views {
            view.remove(RowId(7)).unwrap();
            for (row, embedding) in embeddings.iter().enumerate() {
                let mut out = vec![f16::ONE];
                let there = view.embedding_into(RowId(row as u64), &mut out).unwrap();
                let wanted = if row == 7 { &[] } else { &embedding[..] };
                assert_eq!((there, &out[1..]), (row != 7, wanted));
            }
            assert!(!view.embedding_into(RowId(100), &mut Vec::new()).unwrap());
        }
    }
}

#[test]
fn it_finds_what_the_exact_view_finds() {
    let mut source = source();
    let embeddings: Vec<_> = (0..5000).map(|_| stored(&source.draw())).collect();
    for similarity in [Similarity::Cosine, Similarity::Dot] {
        let (mut hnsw, exact) = both(similarity, &embeddings);
        let calibration = calibrated(&mut hnsw);
        assert_eq!(calibration.expansion_search, hnsw.expansion_search());
        let queries: Vec<_> = (0..200).map(|_| source.draw()).collect();
        let found = recall(&hnsw, &exact, &queries, 10);
        assert!(found >= 0.97, "{similarity}: {found} with {calibration:?}");
        for query in &queries {
            let (ours, theirs) = (hnsw.search(query, 10).unwrap(), exact.search(query, 10).unwrap());
            assert!(ours.is_sorted_by(|a, b| a.score >= b.score));
            assert!((ours[0].score - theirs[0].score).abs() < 2e-3, "{ours:?} {theirs:?}");
        }
        // The negative control: a view of other embeddings does not find them.
        let others: Vec<_> = (0..5000).map(|_| stored(&source.draw())).collect();
        let found = recall(&both(similarity, &others).0, &exact, &queries[..20], 10);
        assert!(found < 0.1, "{similarity}: {found}");
    }
}

#[test]
fn a_walk_keeps_rows_of_the_set_alone_and_nearly_all_of_the_nearest() {
    let mut source = source();
    let embeddings: Vec<_> = (0..5000).map(|_| stored(&source.draw())).collect();
    let (mut hnsw, mut exact) = both(Similarity::Cosine, &embeddings);
    calibrated(&mut hnsw);
    for row in (0..5000).step_by(9).map(RowId) {
        hnsw.remove(row).unwrap();
        exact.remove(row).unwrap();
    }
    for one_in in [1, 2, 10, 100, 5000] {
        let mut among = Rows::none();
        (0..5000).filter(|row| row % one_in == 0).for_each(|row| among.insert(RowId(row)));
        for among in [among.clone(), !among] {
            let (mut found, mut wanted) = (0, 0);
            for query in (0..50).map(|_| source.draw()) {
                let ours = rows(&hnsw.search_among(&query, 10, &among).unwrap());
                let theirs = rows(&exact.search_among(&query, 10, &among).unwrap());
                assert!(ours.iter().all(|row| among.contains(*row) && exact.contains(*row)), "one in {one_in}");
                found += theirs.iter().filter(|row| ours.contains(row)).count();
                wanted += theirs.len();
            }
            assert!(found * 100 >= wanted * 97, "one in {one_in}: {found} of {wanted}");
        }
    }
}

#[test]
fn replacing_everything_twice_keeps_the_recall() {
    let mut source = source();
    let embeddings: Vec<_> = (0..3000).map(|_| stored(&source.draw())).collect();
    let (mut hnsw, mut exact) = both(Similarity::Cosine, &embeddings);
    calibrated(&mut hnsw);
    for new in 3000..9000 {
        // As an upsert does: a new row comes, the old one goes.
        let embedding = stored(&source.draw());
        for index in [&mut hnsw as &mut dyn VectorIndex, &mut exact] {
            index.insert(RowId(new), &embedding).unwrap();
            index.remove(RowId(new - 3000)).unwrap();
        }
    }
    assert_eq!((hnsw.len(), exact.len()), (3000, 3000));
    assert!(hnsw.dead_fraction() < 0.01, "{}", hnsw.dead_fraction());
    let queries: Vec<_> = (0..200).map(|_| source.draw()).collect();
    let found = recall(&hnsw, &exact, &queries, 10);
    assert!(found >= 0.97, "{found}");
    assert!(queries.iter().flat_map(|query| hnsw.search(query, 50).unwrap()).all(|found| found.row.0 >= 6000));
}

#[test]
fn removed_rows_are_dead_weight_until_they_are_replaced() {
    let mut source = source();
    let embeddings: Vec<_> = (0..1000).map(|_| stored(&source.draw())).collect();
    let mut hnsw = both(Similarity::Cosine, &embeddings).0;
    for row in 0..900 {
        hnsw.remove(RowId(row)).unwrap();
        hnsw.remove(RowId(row)).unwrap();
    }
    // But for those that never were in the graph, which weigh nothing.
    let dead = hnsw.dead_fraction();
    assert!(hnsw.len() == 100 && (dead - 0.9).abs() < 0.02, "{dead}");
    let found = hnsw.search(&source.draw(), usize::MAX).unwrap();
    assert!(found.len() <= 100 && found.iter().all(|found| found.row.0 >= 900), "{}", found.len());
    let again = HnswIndex::read_from(&mut &bytes(&hnsw)[..], DIMENSION, Similarity::Cosine, 100, 64).unwrap();
    assert_eq!(again.dead_fraction(), dead);
    for row in 1000..1900 {
        hnsw.insert(RowId(row), &stored(&source.draw())).unwrap();
    }
    assert!(hnsw.len() == 1000 && hnsw.dead_fraction() < 0.03, "{}", hnsw.dead_fraction());
    // And emptied: nothing is found, nothing is left.
    for row in 900..1900 {
        hnsw.remove(RowId(row)).unwrap();
    }
    assert_eq!((hnsw.len(), hnsw.search(&source.draw(), 10).unwrap()), (0, Vec::new()));
    assert_eq!(calibrated(&mut hnsw).recall, 1.0);
}

#[test]
fn more_threads_than_slots_all_get_their_answer() {
    let mut source = source();
    let embeddings: Vec<_> = (0..2000).map(|_| stored(&source.draw())).collect();
    let hnsw = both(Similarity::Cosine, &embeddings).0;
    let queries: Vec<_> = (0..10).map(|_| source.draw()).collect();
    let alone: Vec<_> = queries.iter().map(|query| hnsw.search(query, 10).unwrap()).collect();
    for threads in [16, 100] {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for (query, truth) in queries.iter().zip(&alone).cycle().take(100) {
                        assert_eq!(&hnsw.search(query, 10).unwrap(), truth);
                    }
                });
            }
        });
    }
}

#[test]
fn slots_are_never_overdrawn() {
    let slots = Slots::new(2);
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let _slot = slots.take();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_micros(50));
                    running.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(most.into_inner(), 2);
}

#[test]
fn without_a_pipe_a_graph_is_the_same() {
    let mut source = source();
    let embeddings: Vec<_> = (0..300).map(|_| stored(&source.draw())).collect();
    let mut hnsw = both(Similarity::Cosine, &embeddings).0;
    (0..20).for_each(|row| hnsw.remove(RowId(row * 3)).unwrap());
    let query = source.draw();
    let (found, piped) = (hnsw.search(&query, 20).unwrap(), bytes(&hnsw));
    let (again, whole) = hnsw.whole();
    assert!(piped.ends_with(&whole) && piped.len() == graph_at(&piped, DIMENSION) + whole.len());
    assert_eq!(again.search(&query, 20).unwrap(), found);
}

#[test]
fn replaying_changes_nothing() {
    let mut source = source();
    let embeddings: Vec<_> = (0..200).map(|_| stored(&source.draw())).collect();
    let mut hnsw = both(Similarity::Cosine, &embeddings).0;
    let query = source.draw();
    let before = (bytes(&hnsw), hnsw.search(&query, 20).unwrap());
    for row in 0..200 {
        hnsw.insert(RowId(row), &stored(&source.draw())).unwrap();
        hnsw.remove(RowId(row + 1000)).unwrap();
    }
    assert!(hnsw.contains(RowId(199)) && !hnsw.contains(RowId(200)));
    assert_eq!((bytes(&hnsw), hnsw.search(&query, 20).unwrap()), before);
}

#[test]
fn what_usearch_must_not_see_is_refused() {
    assert_eq!(HnswIndex::new(0, Similarity::Dot).err().unwrap().kind(), ErrorKind::Misuse);
    let mut hnsw = HnswIndex::new(2, Similarity::Dot).unwrap();
    for bad in [&[f16::ONE][..], &[f16::ONE; 3], &[f16::NAN, f16::ONE], &[f16::ONE, f16::NEG_INFINITY], &[]] {
        assert_eq!(hnsw.insert(RowId(0), bad).unwrap_err().kind(), ErrorKind::Misuse);
    }
    assert_eq!(hnsw.insert(RowId(u64::MAX), &[f16::ONE; 2]).unwrap_err().kind(), ErrorKind::Misuse);
    for bad in [&[1.0][..], &[1.0; 3], &[f32::NAN, 1.0], &[1.0, f32::INFINITY], &[]] {
        assert_eq!(hnsw.search(bad, 1).unwrap_err().kind(), ErrorKind::Misuse);
    }
    assert_eq!(hnsw.len(), 0);
    // What overflows or vanishes in f16 is no harm as a query.
    hnsw.insert(RowId(5), &[f16::ONE, f16::ZERO]).unwrap();
    hnsw.insert(RowId(6), &[f16::MAX, f16::MAX]).unwrap();
    for query in [[f32::MAX, f32::MAX], [1e-42, 1e-42]] {
        let found = hnsw.search(&query, 1_000_000_000_000).unwrap();
        assert_eq!(rows(&found), [RowId(6), RowId(5)]);
        assert!(found.iter().all(|found| found.score.is_finite()));
    }
}

#[test]
fn copies_and_zeros_pass_the_self_test() {
    for similarity in [Similarity::Cosine, Similarity::Dot] {
        let embeddings: Vec<_> = (0..500).map(|at| vec![f16::from(i8::from(at % 50 != 0)); 8]).collect();
        let bytes = bytes(&both(similarity, &embeddings).0);
        assert_eq!(HnswIndex::read_from(&mut &bytes[..], 8, similarity, 500, 64).unwrap().len(), 500);
    }
}

#[test]
fn other_bytes_than_expected_are_corrupt() {
    let mut source = source();
    let embeddings: Vec<_> = (0..51).map(|_| stored(&source.draw())).collect();
    let bytes = bytes(&both(Similarity::Cosine, &embeddings).0);
    let load = |bytes: &[u8], dimension, similarity, len| {
        HnswIndex::read_from(&mut &*bytes, dimension, similarity, len, 1 << 30).map(|index| index.expansion_search())
    };
    assert_eq!(load(&bytes, DIMENSION, Similarity::Cosine, 51).unwrap(), 4096);
    // The last row is none of those that the self-test looks for.
    let mut other_row = bytes.clone();
    other_row[graph_at(&bytes, DIMENSION) - 8] = 200;
    let mut unsorted = bytes.clone();
    unsorted[list_at(&bytes, DIMENSION).0] = 50;
    let mut twice = bytes.clone();
    twice.copy_within(16..24, list_at(&bytes, DIMENSION).0);
    let mut infinite = bytes.clone();
    infinite[list_at(&bytes, DIMENSION).0 - 17] = 0x7c;
    let mut level = bytes.clone();
    level[0] = 65;
    for refused in [
        load(&bytes, DIMENSION / 2, Similarity::Cosine, 51),
        load(&bytes, DIMENSION, Similarity::Dot, 51),
        load(&bytes, DIMENSION, Similarity::Cosine, 50),
        // More are held out than there are.
        load(&bytes, DIMENSION, Similarity::Cosine, 1),
        load(&other_row, DIMENSION, Similarity::Cosine, 51),
        load(&unsorted, DIMENSION, Similarity::Cosine, 51),
        load(&twice, DIMENSION, Similarity::Cosine, 51),
        load(&infinite, DIMENSION, Similarity::Cosine, 51),
        load(&level, DIMENSION, Similarity::Cosine, 51),
        load(&bytes[..100], DIMENSION, Similarity::Cosine, 51),
        load(&bytes[..graph_at(&bytes, DIMENSION)], DIMENSION, Similarity::Cosine, 51),
        load(&[], DIMENSION, Similarity::Cosine, 0),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
