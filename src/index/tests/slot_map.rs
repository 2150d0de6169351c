//! Slots by row, against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::slot_map::SlotMap;
use crate::passage::RowId;

fn row() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..40, 3 => 500_u64..530, 2 => 1_000_000_u64..1_000_600, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

proptest! {
    #[test]
    fn it_is_a_map(
        steps in prop::collection::vec((row(), prop::option::weighted(0.6, 0_usize..1000)), 0..200),
        mut asked in prop::collection::vec(row(), 0..100),
    ) {
        let (mut map, mut model) = (SlotMap::default(), BTreeMap::new());
        for (row, slot) in steps {
            match slot {
                Some(slot) => {
                    map.insert(RowId(row), slot);
                    model.insert(row, slot);
                }
                None => prop_assert_eq!(map.remove(RowId(row)), model.remove(&row)),
            }
        }
        for row in &asked {
            prop_assert_eq!(map.get(RowId(*row)), model.get(row).copied());
            prop_assert_eq!(map.contains(RowId(*row)), model.contains_key(row));
        }
        asked.sort_unstable();
        let expected: Vec<usize> = asked.iter().filter_map(|row| model.get(row).copied()).collect();
        prop_assert_eq!(map.slots_of(asked.into_iter().map(RowId), 3), expected);
        for row in model.keys() {
            map.remove(RowId(*row));
        }
        prop_assert!(map.is_empty(), "an empty page is given back");
    }
}
