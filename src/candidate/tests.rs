//! The best of many against sorting all of them.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_best_are_the_first_of_all_in_order(scores in prop::collection::vec(-3i8..3, 0..40), k in 0usize..12, cut in 0usize..40) {
        let all = scores.iter().enumerate().map(|(row, score)| Candidate { row: RowId(row as u64), score: f32::from(*score) });
        let all: Vec<Candidate> = all.collect();
        let (mut first, mut second) = (Best::new(k), Best::new(k));
        let (left, right) = all.split_at(cut.min(all.len()));
        left.iter().for_each(|candidate| first.offer(*candidate));
        right.iter().rev().for_each(|candidate| second.offer(*candidate));
        first.merge(second);
        let mut sorted = all;
        sorted.sort_by(Candidate::rank);
        sorted.truncate(k);
        if let Some(last) = sorted.get(k.wrapping_sub(1)) {
            prop_assert_eq!(first.floor(), last.score);
        }
        prop_assert_eq!(first.into_sorted(), sorted);
    }
}
