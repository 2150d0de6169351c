//! One sequence on several threads, for a text that is waited for alone: each takes a share of its rows.
//!
//! A row's way through a layer is its own but for attention, which needs the keys and values of all rows. A thread computes
//! those of its rows, hands them out, waits for the others' and goes on: they meet once a layer. Each number is computed as
//! one thread alone would, so a vector stays the same bits.
//!
//! The caller begins by itself. A thread that sleeps takes as long to wake as a layer does, and one that encodes a batch
//! comes much later: whoever is there when the caller has done a layer shares in the next one, and whoever is not goes away
//! again. So nobody is ever waited for who has not come.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::layer::Layer;
use super::scratch::Scratch;
use super::{Model, careful};
use crate::encoder::{Batch, Wanted};
use crate::error::Result;

/// The least rows that are worth a thread.
const ROWS: usize = 8;

/// Looks at what another thread does before the processor is offered to whoever wants it.
const SPINS: usize = 2000;

/// Whether the caller waits until all threads have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    /// So that tests know what is shared.
    #[cfg(test)]
    Endless,
}

/// The states of `batch`, a single sequence; `None` if it is not worth sharing, or if a thread of the team failed.
pub(super) fn run(
    model: &Arc<Model>,
    batch: &Batch,
    wanted: Wanted,
    threads: &rayon::ThreadPool,
    patience: Patience,
) -> Result<Option<Vec<f32>>> {
    let tokens = batch.ids.len();
    let most = threads.current_num_threads().min(tokens / ROWS);
    let careful = model.careful.is_some() && careful::is_short(tokens);
    if most < 2 || careful || batch.lengths.len() != 1 || model.layers.len() < 2 {
        return Ok(None);
    }
    let team = Arc::new(Team::new(tokens, wanted, most));
    for _ in 1..most {
        let (model, team) = (Arc::clone(model), Arc::clone(&team));
        // Where a panic has nobody to go on to it would end the process. The caller learns of it from the team.
        threads.spawn(move || drop(catch_unwind(AssertUnwindSafe(|| team.join(&model)))));
    }
    let member = Member { team: &team, number: 0 };
    model.scratch.with(|scratch| {
        model.embed(batch, scratch)?;
        let Some((last, others)) = model.layers.split_last() else { return Ok(None) };
        for (index, layer) in others.iter().enumerate() {
            // Not before the first layer: nobody can have come yet.
            if index > 0
                && let Some(task) = team.begin(index, scratch, patience)
            {
                return Ok(member.run(model, task, scratch));
            }
            layer.run(model.set, &batch.lengths, scratch);
        }
        last.run_last(model.set, &batch.lengths, wanted, scratch);
        Ok(Some(model.collect(team.rows(), scratch)))
    })
}

/// What the threads that share a sequence have in common.
struct Team {
    tokens: usize,
    wanted: Wanted,
    /// How many came, the caller not counted; with [`CLOSED`], nobody else can.
    come: AtomicUsize,
    /// Set once: what is to be done, or that there is nothing.
    task: OnceLock<Option<Task>>,
    failed: AtomicBool,
    /// What each member hands out.
    shares: Vec<Share>,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

/// From which layer on the work is shared.
struct Task {
    layer: usize,
    /// That enter it, as far apart as in the scratch of whoever computed them.
    states: Vec<f32>,
    /// Of each member, the caller first.
    rows: Vec<Range<usize>>,
}

/// Numbers that the others read: of two rounds, since those of one may be read while those of the next are written. By
/// then nobody reads those before.
#[derive(Default)]
struct Share {
    /// Rounds that were handed out.
    rounds: AtomicUsize,
    numbers: [Mutex<Vec<f32>>; 2],
}

impl Team {
    fn new(tokens: usize, wanted: Wanted, most: usize) -> Self {
        Self {
            tokens,
            wanted,
            come: AtomicUsize::new(0),
            task: OnceLock::new(),
            failed: AtomicBool::new(false),
            shares: (0..most).map(|_| Share::default()).collect(),
        }
    }

    /// Rows of the result.
    fn rows(&self) -> usize {
        if self.wanted == Wanted::Cls { 1 } else { self.tokens }
    }

    /// Shares the work from layer `layer` on with those who have come, if anybody has.
    fn begin(&self, layer: usize, scratch: &Scratch, patience: Patience) -> Option<&Task> {
        #[cfg(test)]
        while patience == Patience::Endless && self.come.load(Ordering::Acquire) + 1 < self.shares.len() {
            std::thread::yield_now();
        }
        if patience == Patience::None && self.come.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let members = self.come.fetch_or(CLOSED, Ordering::AcqRel) + 1;
        let bounds = |member: usize| self.tokens * member / members;
        let rows = (0..members).map(|member| bounds(member)..bounds(member + 1)).collect();
        let states = scratch.states.as_slice().get(..self.tokens * scratch.stride).unwrap_or_default().to_vec();
        self.task.get_or_init(|| Some(Task { layer, states, rows })).as_ref()
    }

    /// What a thread other than the caller does.
    fn join(&self, model: &Model) {
        let open = |come: usize| (come & CLOSED == 0).then_some(come + 1);
        let Ok(before) = self.come.fetch_update(Ordering::AcqRel, Ordering::Acquire, open) else { return };
        let member = Member { team: self, number: before + 1 };
        if !self.wait(|| self.task.get().is_some()) {
            return;
        }
        let Some(Some(task)) = self.task.get() else { return };
        model.scratch.with(|scratch| {
            model.make_room(self.tokens, scratch);
            let states = scratch.states.as_mut_slice().get_mut(..task.states.len()).unwrap_or_default();
            states.copy_from_slice(&task.states);
            member.run(model, task, scratch)
        });
    }

    /// False if a member failed meanwhile.
    fn wait(&self, until: impl Fn() -> bool) -> bool {
        let mut looks = 0_usize;
        while !until() {
            if self.failed.load(Ordering::Relaxed) {
                return false;
            }
            looks += 1;
            if looks > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        true
    }
}

/// One thread of a team. Should it end early, by a panic, the others are told.
struct Member<'t> {
    team: &'t Team,
    number: usize,
}

impl Member<'_> {
    /// Does this member's share from the task's layer on. The caller gets the states; `None` if another failed.
    fn run(&self, model: &Model, task: &Task, scratch: &mut Scratch) -> Option<Vec<f32>> {
        let Team { tokens, wanted, .. } = *self.team;
        let rows = task.rows.get(self.number)?;
        let leads = self.number == 0;
        let (last, others) = model.layers.split_last()?;
        // The caller takes the first token alone through the last layer: too little to share.
        let shared = if wanted == Wanted::Cls { others } else { &model.layers };
        for (round, layer) in (0..).zip(shared.iter().skip(task.layer)) {
            layer.project(tokens, rows, scratch);
            self.hand_out(round, |numbers| put(layer, rows, scratch, numbers));
            self.take_in(round, task, |rows, numbers| take(layer, rows, scratch, numbers))?;
            layer.attend_rows(model.set, &(0..tokens), rows, scratch);
            layer.feed_forward(model.set, rows, scratch);
        }
        let (round, stride) = (shared.len() - task.layer, scratch.stride);
        let of = |rows: &Range<usize>| rows.start * stride..rows.end * stride;
        if !leads {
            let states = scratch.states.as_slice().get(of(rows)).unwrap_or_default();
            self.hand_out(round, |numbers| numbers.extend_from_slice(states));
            return None;
        }
        self.take_in(round, task, |rows, numbers| {
            let states = scratch.states.as_mut_slice().get_mut(of(rows)).unwrap_or_default();
            states.copy_from_slice(numbers);
        })?;
        if wanted == Wanted::Cls {
            last.run_last(model.set, &[tokens], wanted, scratch);
        }
        Some(model.collect(self.team.rows(), scratch))
    }

    fn hand_out(&self, round: usize, write: impl FnOnce(&mut Vec<f32>)) {
        let Some(share) = self.team.shares.get(self.number) else { return };
        if let Some(numbers) = share.numbers.get(round % 2) {
            let mut numbers = numbers.lock();
            numbers.clear();
            write(&mut numbers);
        }
        share.rounds.store(round + 1, Ordering::Release);
    }

    /// Gives `read` the rows of every other member and what it handed out; `None` if one failed.
    fn take_in(&self, round: usize, task: &Task, mut read: impl FnMut(&Range<usize>, &[f32])) -> Option<()> {
        let others = self.team.shares.iter().zip(&task.rows).enumerate().filter(|(number, _)| *number != self.number);
        for (_, (share, rows)) in others {
            if !self.team.wait(|| share.rounds.load(Ordering::Acquire) > round) {
                return None;
            }
            read(rows, &share.numbers.get(round % 2)?.lock());
        }
        Some(())
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if self.number == 0 {
            self.team.come.fetch_or(CLOSED, Ordering::AcqRel);
            let _ = self.team.task.set(None);
        }
        if std::thread::panicking() {
            self.team.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Appends the keys and values of `rows` to `numbers`.
fn put(layer: &Layer, rows: &Range<usize>, scratch: &Scratch, numbers: &mut Vec<f32>) {
    let columns = layer.keys_and_values();
    let projections = scratch.projections.as_slice().chunks(layer.projection_stride());
    for row in projections.skip(rows.start).take(rows.len()) {
        numbers.extend_from_slice(row.get(columns.clone()).unwrap_or_default());
    }
}

/// The keys and values of `rows` from `numbers`.
fn take(layer: &Layer, rows: &Range<usize>, scratch: &mut Scratch, numbers: &[f32]) {
    let columns = layer.keys_and_values();
    let projections = scratch.projections.as_mut_slice().chunks_mut(layer.projection_stride());
    for (row, numbers) in projections.skip(rows.start).take(rows.len()).zip(numbers.chunks(columns.len().max(1))) {
        row.get_mut(columns.clone()).unwrap_or_default().copy_from_slice(numbers);
    }
}
