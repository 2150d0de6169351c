//! What is done to a collection on a simulated disk, and what must be there afterwards.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use half::f16;

use super::disk::Disk;
use super::{Dice, Index, bare, embedding};
use crate::collection::{Collection, CollectionOptions, Mode};
use crate::error::Result;
use crate::filter::Filter;
use crate::kernels::similarity_f32;
use crate::passage::Passage;
use crate::similarity::Similarity;

pub(super) const PATH: &str = "/c";

/// Ids that a workload gives; few, so that they meet.
const IDS: u64 = 24;

/// What a collection holds: the number of each passage, which text and embedding belong to, by its id; and when it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    passages: BTreeMap<u64, (u64, u64)>,
    rows: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Upsert(Vec<(u64, u64)>),
    Delete(Vec<u64>),
    IndexField,
    Flush,
    Reopen,
    Words,
    Compact,
}

impl Step {
    /// Some steps, the same for the same dice.
    pub(super) fn some(count: usize, dice: &mut Dice) -> Vec<Self> {
        let mut number = 0;
        let mut step = |_| match dice.bits() % 16 {
            0..=7 => Self::Upsert(
                (0..dice.bits() % 9)
                    .map(|_| {
                        number += 1;
                        (dice.bits() % IDS, number)
                    })
                    .collect(),
            ),
            8..=10 => Self::Delete((0..dice.bits() % 6).map(|_| dice.bits() % IDS).collect()),
            11 => Self::IndexField,
            12 | 13 => Self::Flush,
            14 => {
                if dice.bits().is_multiple_of(2) {
                    Self::Reopen
                } else {
                    Self::Compact
                }
            }
            _ => Self::Words,
        };
        (0..count).map(&mut step).collect()
    }
}

impl Contents {
    pub(super) fn upsert(&mut self, batch: &[(u64, u64)]) {
        for (place, (id, number)) in batch.iter().enumerate() {
            // The last of those with one id stands, and takes the row.
            if batch[place + 1..].iter().all(|(other, _)| other != id) {
                self.passages.insert(*id, (*number, self.rows));
                self.rows += 1;
            }
        }
    }

    pub(super) fn delete(&mut self, ids: &[u64]) {
        self.passages.retain(|id, _| !ids.contains(id));
    }

    /// Id, text and number, in the order of rows.
    fn list(&self) -> Vec<(String, String, u64)> {
        let mut list: Vec<_> = self.passages.iter().map(|(id, (number, row))| (*row, *id, *number)).collect();
        list.sort_unstable();
        list.into_iter().map(|(_, id, number)| (format!("id {id}"), text(number), number)).collect()
    }
}

pub(super) fn text(number: u64) -> String {
    format!("text {} of {number}", if number.is_multiple_of(3) { "third" } else { "other" })
}

/// As the collection keeps it.
pub(super) fn stored(number: u64) -> Vec<f16> {
    let given = embedding(number);
    let scale = given.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().recip();
    given.iter().map(|value| f16::from_f64(f64::from(*value) * scale)).collect()
}

pub(super) fn passages(batch: &[(u64, u64)]) -> Vec<Passage> {
    let passage = |(id, number): &(u64, u64)| {
        Passage::new(text(*number)).id(format!("id {id}")).field("n", *number).embedding(embedding(*number))
    };
    batch.iter().map(passage).collect()
}

pub(super) fn options(disk: &Disk, index: Index) -> CollectionOptions {
    let mut options = bare(index);
    options.medium = disk.medium();
    // So that lives have it both ways.
    #[cfg(feature = "usearch")]
    (options.behind_from = 20);
    options
}

pub(super) fn open(disk: &Disk, index: Index) -> Result<Collection> {
    options(disk, index).open(PATH)
}

/// A collection that is about to do something.
pub(super) struct Run<'d> {
    disk: &'d Disk,
    index: Index,
    collection: Option<Collection>,
    /// After each acknowledged batch.
    pub(super) states: Vec<Contents>,
}

impl<'d> Run<'d> {
    pub(super) fn create(disk: &'d Disk, index: Index) -> Result<Self> {
        let collection = options(disk, index).create(Path::new(PATH))?;
        disk.acknowledge();
        Ok(Self { disk, index, collection: Some(collection), states: vec![Contents::default()] })
    }

    fn last(&self) -> Contents {
        self.states.last().cloned().unwrap_or_default()
    }

    /// What must be there once `step` is done.
    pub(super) fn after(&self, step: &Step) -> Contents {
        let mut contents = self.last();
        match step {
            Step::Upsert(batch) => contents.upsert(batch),
            Step::Delete(ids) => contents.delete(ids),
            _ => {}
        }
        contents
    }

    pub(super) fn collection(&self) -> Option<&Collection> {
        self.collection.as_ref()
    }

    pub(super) fn perform(&mut self, step: &Step) -> Result<()> {
        let after = self.after(step);
        if let Step::Reopen = step {
            if let Some(collection) = self.collection.take() {
                collection.close()?;
            }
            self.collection = Some(open(self.disk, self.index)?);
            return Ok(());
        }
        let Some(collection) = &self.collection else { return Ok(()) };
        match step {
            Step::Upsert(batch) => drop(collection.upsert(passages(batch))?),
            Step::Delete(ids) => drop(collection.delete(ids.iter().map(|id| format!("id {id}")))?),
            Step::IndexField => drop(collection.create_field_index("n")?),
            Step::Flush => return collection.flush(),
            Step::Compact => return collection.compact(|_| ControlFlow::Continue(())),
            Step::Words if cfg!(feature = "lexical") => return ask_words(collection, &after),
            Step::Words | Step::Reopen => return Ok(()),
        }
        self.disk.acknowledge();
        self.states.push(after);
        Ok(())
    }

    /// Ends it, and says what must have been there after each acknowledged batch.
    pub(super) fn close(self) -> Vec<Contents> {
        drop(self.collection);
        self.states
    }
}

fn ask_words(collection: &Collection, contents: &Contents) -> Result<()> {
    let hits = collection.query("third").mode(Mode::Lexical).top(2000).run()?;
    let mut found: Vec<(String, String)> = hits.iter().map(|hit| (hit.id.to_string(), hit.text.clone())).collect();
    let list = contents.list();
    let mut expected: Vec<(String, String)> =
        list.into_iter().filter(|(_, _, number)| number.is_multiple_of(3)).map(|(id, text, _)| (id, text)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "by words");
    Ok(())
}

/// Holds the collection against what it may contain, and says which it is: passages, embeddings, and answers of every
/// kind.
pub(super) fn check(collection: &Collection, allowed: &[&Contents], dice: &mut Dice) -> Contents {
    let there: Vec<(String, String)> = collection
        .iter()
        .unwrap()
        .map(|passage| passage.unwrap())
        .map(|passage| (passage.id.unwrap().to_string(), passage.text))
        .collect();
    let same = |contents: &&&Contents| contents.list().into_iter().map(|(id, text, _)| (id, text)).eq(there.clone());
    let contents = allowed.iter().find(same);
    let contents = contents.unwrap_or_else(|| panic!("{there:?} is none of {allowed:?}"));
    assert_eq!(collection.len(), there.len() as u64);

    let query = embedding(1_000_000 + dice.bits() % 1000);
    let mut truth: Vec<(f32, usize)> = Vec::new();
    let list = contents.list();
    for (place, (id, _, number)) in list.iter().enumerate() {
        let stored = stored(*number);
        let found = collection.embedding(id).unwrap().unwrap();
        assert!(found.iter().eq(stored.iter().map(|value| value.to_f32()).collect::<Vec<_>>().iter()), "{id}");
        truth.push((similarity_f32(&query, &stored, Similarity::Cosine), place));
    }
    truth.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let expected = |top: usize| -> Vec<(String, u32)> {
        truth.iter().take(top).map(|(score, place)| (list[*place].0.clone(), score.to_bits())).collect()
    };
    let ask = |top: usize, exact: bool| -> Vec<(String, u32)> {
        let hits = collection.query_embedding(query.clone()).top(top).exact(exact).run().unwrap();
        hits.iter().map(|hit| (hit.id.to_string(), hit.score.to_bits())).collect()
    };
    assert_eq!(ask(5, true), expected(5), "exactly");
    // All of them: then a graph that lost one, or has one too many, is found out.
    assert_eq!(ask(list.len() + 5, false), expected(list.len()), "through the view");
    if dice.bits().is_multiple_of(4) {
        let half = collection.query_embedding(query.clone()).filter(Filter::field("n").lt(20)).top(1000).run().unwrap();
        assert_eq!(half.len(), list.iter().filter(|(_, _, number)| *number < 20).count(), "filtered");
    }
    if cfg!(feature = "lexical") && dice.bits().is_multiple_of(4) {
        ask_words(collection, contents).unwrap();
    }
    (**contents).clone()
}

/// The collection goes on: it can be written, closed and opened, and is right all the time.
pub(super) fn carry_on(collection: Collection, disk: &Disk, index: Index, mut contents: Contents, dice: &mut Dice) {
    let batch = [(3, 1001), (100, 1002)];
    collection.upsert(passages(&batch)).unwrap();
    contents.upsert(&batch);
    check(&collection, &[&contents], dice);
    collection.close().unwrap();
    check(&open(disk, index).unwrap(), &[&contents], dice);
}
