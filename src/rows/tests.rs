//! Sets of rows against sets of numbers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const TOTAL: u64 = 40;

fn set() -> impl Strategy<Value = (Rows, BTreeSet<u64>)> {
    (proptest::collection::btree_set(0..TOTAL, 0..20), any::<bool>()).prop_map(|(listed, inverted)| {
        let mut rows = Rows::none();
        listed.iter().for_each(|row| rows.insert(RowId(*row)));
        if !inverted {
            return (rows, listed);
        }
        (!rows, (0..TOTAL).filter(|row| !listed.contains(row)).collect())
    })
}

fn same(rows: &Rows, set: &BTreeSet<u64>) {
    assert_eq!((0..TOTAL).filter(|row| rows.contains(RowId(*row))).collect::<BTreeSet<_>>(), *set);
    assert_eq!(rows.count(TOTAL), set.len() as u64);
}

proptest! {
    #[test]
    fn rows_are_a_set((a, a_set) in set(), (b, b_set) in set(), row in 0..TOTAL) {
        same(&a, &a_set);
        same(&a.clone().and(b.clone()), &(&a_set & &b_set));
        same(&a.clone().or(b.clone()), &(&a_set | &b_set));
        same(&!a.clone(), &(0..TOTAL).filter(|row| !a_set.contains(row)).collect());
        let (mut more, mut more_set) = (a, a_set);
        more.insert(RowId(row));
        more_set.insert(row);
        same(&more, &more_set);
    }

    #[test]
    fn parts_are_all_rows_once((rows, set) in set(), size in 1_usize..6) {
        let parts: Vec<(RowId, usize)> = rows.parts(size).collect();
        match rows.listed() {
            None => prop_assert!(rows.listed_from(RowId(0)).is_none()),
            Some(_) => {
                let listed = |(first, count)| rows.listed_from(first).unwrap().take(count);
                let all: Vec<RowId> = parts.iter().copied().flat_map(listed).collect();
                prop_assert_eq!(all, set.into_iter().map(RowId).collect::<Vec<_>>());
                let (last, full) = parts.split_last().map_or((size, &[][..]), |(last, full)| (last.1, full));
                prop_assert!((1..=size).contains(&last) && full.iter().all(|(_, count)| *count == size));
            }
        }
    }

    #[test]
    fn blocks_come_back_as_they_went(high in 0u64..1 << 48, low in proptest::collection::btree_set(any::<u16>(), 1..300)) {
        let rows: Vec<RowId> = low.iter().map(|low| RowId(high << 16 | u64::from(*low))).collect();
        let mut block = Block::default();
        rows.iter().for_each(|row| block.insert(*row));
        let number = Block::number(rows[0]);
        let bytes = block.to_bytes();
        prop_assert_eq!(Block::from_bytes(number, &bytes), Some(block.clone()));
        prop_assert_eq!(Block::from_bytes(number ^ 1, &bytes), None);
        prop_assert_eq!(Block::from_bytes(number, &bytes[..bytes.len() - 1]), None);
        let mut all = Gathering::default();
        all.add(number, block);
        prop_assert_eq!(all.into_rows().listed().unwrap().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn blocks_of_one_number_and_of_others_are_united(
        parts in proptest::collection::vec((0u64..3, proptest::collection::btree_set(any::<u16>(), 1..150)), 0..20)
    ) {
        let (mut all, mut rows) = (Gathering::default(), BTreeSet::new());
        for (number, low) in parts {
            // Of two neighbours, and one whose rows differ from theirs above the low 32 bits.
            let number = [0xffff, 0x1_0000, 0x2_ffff][number as usize];
            let mut block = Block::default();
            for low in low {
                let row = number << 16 | u64::from(low);
                block.insert(RowId(row));
                rows.insert(RowId(row));
            }
            all.add(number, block);
        }
        prop_assert_eq!(all.into_rows().listed().unwrap().collect::<BTreeSet<_>>(), rows);
    }
}
