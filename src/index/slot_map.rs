//! Where in a matrix a row lies: an array by row, of which the parts that have no rows are left out.
//!
//! A hash map takes ten times as long, which a filtered query would spend on each row that matches.

use std::collections::BTreeMap;

use crate::passage::RowId;

/// Rows in a page. They are given out in ascending order and replaced ones leave gaps, so that old pages empty.
const PAGE: u64 = 512;

const NONE: usize = usize::MAX;

#[derive(Default)]
pub(super) struct SlotMap(BTreeMap<u64, Page>);

struct Page {
    slots: Box<[usize]>,
    used: usize,
}

impl SlotMap {
    pub(super) fn get(&self, row: RowId) -> Option<usize> {
        self.0.get(&(row.0 / PAGE))?.get(row)
    }

    pub(super) fn contains(&self, row: RowId) -> bool {
        self.get(row).is_some()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The slots of those of `count` `rows`, ascending, that have one.
    pub(super) fn slots_of(&self, rows: impl Iterator<Item = RowId>, count: usize) -> Vec<usize> {
        let mut pages = self.0.range(..);
        let mut current = pages.next();
        let mut slots = Vec::with_capacity(count);
        for row in rows {
            let number = row.0 / PAGE;
            if current.is_some_and(|(at, _)| *at < number) {
                pages = self.0.range(number..);
                current = pages.next();
            }
            match current {
                Some((at, page)) if *at == number => slots.extend(page.get(row)),
                Some(_) => {}
                None => break,
            }
        }
        slots
    }

    pub(super) fn insert(&mut self, row: RowId, slot: usize) {
        let empty = || Page { slots: vec![NONE; PAGE as usize].into(), used: 0 };
        let page = self.0.entry(row.0 / PAGE).or_insert_with(empty);
        if let Some(place) = page.slots.get_mut((row.0 % PAGE) as usize) {
            page.used += usize::from(*place == NONE);
            *place = slot;
        }
    }

    pub(super) fn remove(&mut self, row: RowId) -> Option<usize> {
        let number = row.0 / PAGE;
        let page = self.0.get_mut(&number)?;
        let place = page.slots.get_mut((row.0 % PAGE) as usize)?;
        let slot = std::mem::replace(place, NONE);
        if slot == NONE {
            return None;
        }
        page.used -= 1;
        if page.used == 0 {
            self.0.remove(&number);
        }
        Some(slot)
    }
}

impl Page {
    fn get(&self, row: RowId) -> Option<usize> {
        self.slots.get((row.0 % PAGE) as usize).copied().filter(|&slot| slot != NONE)
    }
}
