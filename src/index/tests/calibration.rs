//! How a graph is fitted to its data, and by what.

use super::super::hnsw::calibration::Calibration;
use super::super::{ExactIndex, HnswIndex, VectorIndex};
use super::hnsw::{both, calibrated, graph_at, source};
use super::{Source, recall, stored};
use crate::error::ErrorKind;
use crate::passage::RowId;
use crate::similarity::Similarity;

#[test]
fn hard_data_is_calibrated_to_a_wider_search() {
    let mut source = Source::isotropic(2, 96);
    let embeddings: Vec<_> = (0..8000).map(|_| stored(&source.draw())).collect();
    let (mut hnsw, exact) = both(Similarity::Cosine, &embeddings);
    let queries: Vec<_> = (0..100).map(|_| source.draw()).collect();
    let before = recall(&hnsw, &exact, &queries, 10);
    assert!(before < 0.8, "the negative control: {before} with {}", hnsw.expansion_search());
    let calibration = calibrated(&mut hnsw);
    let after = recall(&hnsw, &exact, &queries, 10);
    assert!(calibration.expansion_search > 64 && after >= 0.97, "{after} with {calibration:?}");
}

#[test]
fn any_copy_counts_as_found() {
    let mut source = source();
    let texts: Vec<_> = (0..20).map(|_| stored(&source.draw())).collect();
    let embeddings: Vec<_> = (0..2000).map(|at| texts[at % texts.len()].clone()).collect();
    let mut hnsw = both(Similarity::Cosine, &embeddings).0;
    let calibration = calibrated(&mut hnsw);
    assert!(calibration.recall >= 0.97, "{calibration:?}");
}

/// Both with and without structure, and for either similarity, independent queries find what was promised.
#[test]
fn new_queries_find_what_was_promised() {
    for (centres, similarity) in [(20, Similarity::Cosine), (2000, Similarity::Dot), (0, Similarity::Cosine)] {
        let mut source = Source::clustered(5, 32, centres, 0.8);
        let embeddings: Vec<_> = (0..6000).map(|_| stored(&source.draw())).collect();
        let (mut hnsw, exact) = both(similarity, &embeddings);
        let Calibration { expansion_search, recall: expected } = calibrated(&mut hnsw);
        let queries: Vec<_> = (0..300).map(|_| source.draw()).collect();
        let found = recall(&hnsw, &exact, &queries, 10) as f32;
        assert!(found >= 0.97, "{found} with {expansion_search}, {expected} expected");
    }
}

/// The sample is of all rows alike, of bounded size, found like the others, and the same after a load.
#[test]
fn held_out_rows_are_a_sample_of_all() {
    let mut source = Source::clustered(7, 8, 50, 0.8);
    let mut hnsw = HnswIndex::new(8, Similarity::Cosine).unwrap();
    let mut exact = ExactIndex::new(8, Similarity::Cosine).unwrap();
    for row in 0..30_000 {
        let embedding = stored(&source.draw());
        hnsw.insert(RowId(row), &embedding).unwrap();
        exact.insert(RowId(row), &embedding).unwrap();
        let held = hnsw.held_out.sorted().len();
        // A row in sixteen, until there are enough; of those that leave, one at a time.
        assert!(held <= 520 && (row < 3000 || held > 100), "{held} of {row}");
    }
    let held = hnsw.held_out.sorted();
    for quarter in 0..4 {
        let share = held.iter().filter(|row| row.0 / 7500 == quarter).count();
        assert!(share * 6 > held.len(), "{share} of {} in quarter {quarter}", held.len());
    }
    assert_eq!(hnsw.len(), 30_000);
    for row in (0..30_000).map(RowId) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        assert!(hnsw.contains(row) && hnsw.embedding_into(row, &mut ours).unwrap());
        exact.embedding_into(row, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
    for row in &held {
        let query: Vec<f32> = hnsw.held_out.embedding(*row).unwrap().into_iter().map(f32::from).collect();
        assert!(hnsw.search(&query, 3).unwrap().iter().any(|found| found.row == *row), "{row}");
    }
    let mut bytes = Vec::new();
    hnsw.write_to(&mut bytes).unwrap();
    let mut again = HnswIndex::read_from(&mut &bytes[..], 8, Similarity::Cosine, 30_000, 64).unwrap();
    assert_eq!(again.held_out.sorted(), held);
    // And goes on as the other would.
    for row in 30_000..31_000 {
        let embedding = stored(&source.draw());
        hnsw.insert(RowId(row), &embedding).unwrap();
        again.insert(RowId(row), &embedding).unwrap();
    }
    assert_eq!(again.held_out.sorted(), hnsw.held_out.sorted());
    let first = held[0];
    hnsw.remove(first).unwrap();
    assert!(!hnsw.contains(first) && hnsw.len() == 30_999 && hnsw.dead_fraction() == 0.0);
}

/// Of many rows two threads ask for half each.
#[test]
fn a_row_that_is_missing_among_many_is_noticed() {
    let mut source = Source::clustered(7, 2, 50, 0.8);
    let mut hnsw = HnswIndex::new(2, Similarity::Cosine).unwrap();
    (0..12_000).for_each(|row| hnsw.insert(RowId(2 * row), &stored(&source.draw())).unwrap());
    let mut bytes = Vec::new();
    hnsw.write_to(&mut bytes).unwrap();
    let load = |bytes: &[u8]| HnswIndex::read_from(&mut &*bytes, 2, Similarity::Cosine, 12_000, 64);
    assert_eq!(load(&bytes).unwrap().len(), 12_000);
    for place in [graph_at(&bytes, 2) - 8, graph_at(&bytes, 2) - 8 * 11_000] {
        let mut other = bytes.clone();
        other[place] += 1;
        assert_eq!(load(&other).err().unwrap().kind(), ErrorKind::Corrupt);
    }
}

/// Queries between two steps find the graph as it was; and where nobody is left to ask, what was chosen holds.
#[test]
fn nothing_changes_until_it_is_settled() {
    let mut source = Source::isotropic(2, 96);
    let mut hnsw = HnswIndex::new(96, Similarity::Cosine).unwrap();
    (0..4000).for_each(|row| hnsw.insert(RowId(row), &stored(&source.draw())).unwrap());
    let before = hnsw.expansion_search();
    let mut trials = hnsw.trials(0.97).unwrap();
    let mut steps = 0;
    let settled = loop {
        if let Some(settled) = trials.step(&mut hnsw).unwrap() {
            break settled;
        }
        assert_eq!(hnsw.expansion_search(), before);
        steps += 1;
    };
    assert!(steps > 3 && settled.expansion_search > before, "{steps} steps to {settled:?}");
    assert_eq!(hnsw.expansion_search(), settled.expansion_search);
    for row in hnsw.held_out.sorted() {
        hnsw.remove(row).unwrap();
    }
    let again = hnsw.trials(0.97).unwrap().step(&mut hnsw).unwrap().unwrap();
    assert_eq!(again.expansion_search, settled.expansion_search);
    assert_eq!(hnsw.expansion_search(), settled.expansion_search);
}
