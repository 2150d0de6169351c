//! The approximate view: a navigable graph (HNSW) over the rows, by usearch.
//!
//! usearch is C++, and crashes or silently loses rows when some unwritten rules are broken (measured on 2.26.6). This
//! file is the only one that names it, and keeps the rules:
//!
//! - whatever changes the graph has `&mut self`, from one thread: parallel insertion loses rows (usearch#735);
//! - room is reserved before a row goes in, together with a fixed number of search slots, and a semaphore of our own
//!   hands these out: usearch fails, rather than waits, when they run out;
//! - only finite numbers of the right width go in, never under the key `u64::MAX`, which marks dead nodes; a query goes
//!   in as its direction, so that it fits `f16`;
//! - only bytes that came out of [`HnswIndex::write_to`], behind a verified checksum, are loaded, into a fresh graph,
//!   and what was loaded is compared with what was asked for: usearch adopts whatever the bytes say;
//! - usearch never touches a file: the paths that it is given are pipes ([`pipe`]);
//! - what it says about `k` or buffers is never trusted: both are sized here.

pub(super) mod calibration;
pub(super) mod held_out;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use half::f16;
use usearch::ffi::{IndexOptions, Matches, MetricKind, ScalarKind};

pub(crate) use self::calibration::Trials;
use self::held_out::HeldOut;
use super::slots::Slots;
use super::{Direction, VectorIndex, check_dimension, check_embedding, pipe};
use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;
use crate::threads::both;

const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;

/// How many candidates a search keeps while it walks: more find more, and take longer.
const EXPANSION_SEARCH: [usize; 13] = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

/// Searches that may run at once; more wait. Each slot keeps its scratch space for good, so not without limit.
const SLOTS: usize = 64;

/// The room reserved at first.
const MIN_CAPACITY: usize = 1024;

/// usearch marks dead nodes with it.
const FREE_KEY: u64 = u64::MAX;

/// From here on a load is worth a second thread, which takes 30 us to start.
const ROWS_OF_TWO_THREADS: usize = 10_000;

/// How many stored rows the self-test looks for, and among how many.
const SELF_TEST_ROWS: usize = 8;
const SELF_TEST_TOP: usize = 10;

/// A view that finds nearly all of what [`ExactIndex`](super::ExactIndex) finds, in a fraction of the time once there
/// are many rows.
pub(crate) struct HnswIndex {
    graph: usearch::Index,
    dimension: usize,
    similarity: Similarity,
    pub(super) held_out: HeldOut,
    /// The rows in the graph. usearch cannot list its keys; with the list a snapshot is checked row by row, and
    /// the self-test can spread over the collection. About 20 bytes each, beside 950 for the node.
    rows: BTreeSet<RowId>,
    /// Nodes of removed rows that no later row has taken over. They are walked through, but never found.
    dead: usize,
    slots: Slots,
}

impl HnswIndex {
    pub(crate) fn new(dimension: usize, similarity: Similarity) -> Result<Self> {
        let graph = empty_graph(dimension, similarity)?;
        reserve(&graph, MIN_CAPACITY)?;
        let held_out = HeldOut::new(dimension, similarity)?;
        Ok(Self { graph, dimension, similarity, held_out, rows: BTreeSet::new(), dead: 0, slots: Slots::new(SLOTS) })
    }

    /// What the bytes of a view depend on besides its rows: a snapshot made by another engine is rebuilt.
    pub(crate) fn engine() -> String {
        format!("usearch {} hnsw 3 f16 connectivity {CONNECTIVITY} expansion {EXPANSION_ADD}", usearch::version())
    }

    /// The graph through a copy in memory and back, as where there are no pipes, and as it is written then.
    #[cfg(test)]
    pub(super) fn whole(mut self) -> (Self, Vec<u8>) {
        let mut bytes = Vec::new();
        let graph = empty_graph(self.dimension, self.similarity);
        let through = save_whole(&self.graph, &mut bytes).and_then(|()| {
            let graph = graph.map_err(io::Error::other)?;
            load_whole(&graph, &mut &bytes[..]).map(|()| self.graph = graph)
        });
        assert!(through.is_ok(), "{through:?}");
        (self, bytes)
    }

    /// The part of the graph that is dead weight, in 0..=1. usearch never gives it back; only a rebuild does.
    pub(crate) fn dead_fraction(&self) -> f32 {
        self.dead as f32 / (self.rows.len() + self.dead).max(1) as f32
    }

    pub(crate) fn expansion_search(&self) -> usize {
        self.graph.expansion_search()
    }

    /// Writes the view: the held-out rows, the number of rows in the graph, the number of dead nodes, the rows in ascending
    /// order (each a little-endian `u64`), and usearch's own serialization of the graph.
    pub(crate) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.held_out.write_to(out)?;
        let numbers = [self.rows.len() as u64, self.dead as u64];
        for number in numbers.into_iter().chain(self.rows.iter().map(|row| row.0)) {
            out.write_all(&number.to_le_bytes())?;
        }
        let length = self.graph.serialized_length();
        let save = |path: &str| self.graph.save(path).map_err(io::Error::other);
        pipe::copy_out(length as u64, out, save).unwrap_or_else(|| save_whole(&self.graph, out))
    }

    /// The view that [`write_to`](Self::write_to) wrote. A checksum over what `input` gives must have been verified:
    /// usearch crashes on a damaged graph, and no check here can prevent that.
    ///
    /// # Errors
    /// `Corrupt` at any doubt that this is the view that was asked for.
    pub(crate) fn read_from(
        input: &mut dyn Read,
        dimension: usize,
        similarity: Similarity,
        expected_len: usize,
        expansion_search: usize,
    ) -> Result<Self> {
        let held_out = HeldOut::read_from(input, dimension, similarity, expected_len)?;
        let [count, dead] = [read_u64(input).map_err(unreadable)?, read_u64(input).map_err(unreadable)?];
        if count != (expected_len - held_out.rows.len()) as u64 {
            return Err(doubtful("its list has another number of rows"));
        }
        let rows = read_rows(input, count)?;
        if held_out.rows.rows().iter().any(|row| rows.binary_search(row).is_ok()) {
            return Err(doubtful("a row is in it twice"));
        }
        let dead = usize::try_from(dead).map_err(|_| doubtful("its graph is impossibly large"))?;
        let graph = empty_graph(dimension, similarity)?;
        let load = |path: &str| graph.load(path).map_err(io::Error::other);
        pipe::copy_in(input, load).unwrap_or_else(|| load_whole(&graph, input)).map_err(refused)?;
        let parameters =
            (graph.dimensions(), graph.metric_kind(), graph.scalar_kind(), graph.multi(), graph.connectivity());
        if parameters != (dimension, metric(similarity), ScalarKind::F16, false, CONNECTIVITY) {
            return Err(doubtful("its graph was made with other parameters"));
        }
        if graph.size() != rows.len() {
            return Err(doubtful("its graph has another number of rows"));
        }
        if !all_there(&graph, &rows) {
            return Err(doubtful("its graph lacks a row"));
        }
        reserve(&graph, graph.capacity().max(MIN_CAPACITY))?;
        let [least, .., most] = EXPANSION_SEARCH;
        graph.change_expansion_search(expansion_search.clamp(least, most));
        let rows = rows.into_iter().collect();
        let index = Self { graph, dimension, similarity, held_out, rows, dead, slots: Slots::new(SLOTS) };
        if index.self_test()? { Ok(index) } else { Err(doubtful("its graph does not find its own rows")) }
    }

    /// Whether stored rows are found. A sound graph may have lost one in some thousands (up to 3 in 8000 were, after
    /// churn), so a quarter may be missing; a graph that is wired wrongly misses nearly all.
    fn self_test(&self) -> Result<bool> {
        let rows = self.spread(SELF_TEST_ROWS);
        let mut found = 0;
        for &row in &rows {
            let stored = self.stored(row)?;
            if !stored.iter().all(|value| value.is_finite()) {
                return Ok(false);
            }
            let query = Direction::new(&stored, self.dimension, self.similarity)?;
            let best = self.walk(&query, SELF_TEST_TOP)?;
            // Not by row: a copy of it, or for the dot product a longer one, may rank first.
            let own = query.score_of_itself();
            found += usize::from(best.first().is_some_and(|best| best.score >= own - 1e-2 * own.abs()));
        }
        Ok(4 * found >= 3 * rows.len())
    }

    /// Up to `count` rows, evenly over the view.
    fn spread(&self, count: usize) -> Vec<RowId> {
        let step = self.rows.len().div_ceil(count.max(1)).max(1);
        self.rows.iter().step_by(step).copied().collect()
    }

    fn stored(&self, row: RowId) -> Result<Vec<f32>> {
        // usearch writes `dimension` numbers into the buffer, however long it is.
        let mut stored = vec![0.0_f32; self.dimension];
        match self.graph.get(row.0, &mut stored).map_err(refused)? {
            1 => Ok(stored),
            _ => Err(doubtful("its graph lacks a row")),
        }
    }

    fn walk(&self, query: &Direction, k: usize) -> Result<Vec<Candidate>> {
        let matches = self.graph.search(&query.unit, k.min(self.rows.len())).map_err(refused)?;
        Ok(self.candidates(query, matches, |_| true))
    }

    /// Matches in order, but for rows that are not ours or not wanted, whatever usearch says.
    fn candidates(&self, query: &Direction, matches: Matches, wanted: impl Fn(RowId) -> bool) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = matches
            .keys
            .into_iter()
            .zip(matches.distances)
            .map(|(key, distance)| Candidate { row: RowId(key), score: query.score(1.0 - distance) })
            .filter(|candidate| self.rows.contains(&candidate.row) && wanted(candidate.row))
            .collect();
        candidates.sort_unstable_by(Candidate::rank);
        candidates
    }

    /// Puts a row into the graph.
    fn link(&mut self, row: RowId, embedding: &[f16]) -> Result<()> {
        self.make_room()?;
        let bits: Vec<i16> = embedding.iter().map(|value| value.to_bits().cast_signed()).collect();
        self.graph.add(row.0, usearch::f16::from_i16s(&bits)).map_err(refused)?;
        self.rows.insert(row);
        // usearch puts a new row where a removed one was, if there is such a place.
        self.dead = self.dead.saturating_sub(1);
        Ok(())
    }

    /// Room for one more node. By half, because only tables of pointers are copied.
    fn make_room(&mut self) -> Result<()> {
        let capacity = self.graph.capacity();
        if self.rows.len() + self.dead < capacity { Ok(()) } else { reserve(&self.graph, capacity + capacity / 2) }
    }
}

impl VectorIndex for HnswIndex {
    fn len(&self) -> usize {
        self.rows.len() + self.held_out.rows.len()
    }

    fn contains(&self, row: RowId) -> bool {
        self.rows.contains(&row) || self.held_out.rows.contains(row)
    }

    fn insert(&mut self, row: RowId, embedding: &[f16]) -> Result<()> {
        check_embedding(embedding, self.dimension)?;
        if row.0 == FREE_KEY {
            return Err(Error::misuse(format!("{row} is not a row that a store gives out")));
        }
        if self.contains(row) {
            return Ok(());
        }
        if self.held_out.takes(row) {
            self.held_out.rows.insert(row, embedding)?;
        } else {
            self.link(row, embedding)?;
        }
        if let Some(row) = self.held_out.excess() {
            let embedding = self.held_out.embedding(row)?;
            // In this order, so that it is never in neither.
            self.link(row, &embedding)?;
            self.held_out.rows.remove(row)?;
        }
        Ok(())
    }

    fn remove(&mut self, row: RowId) -> Result<()> {
        if self.rows.contains(&row) {
            self.graph.remove(row.0).map_err(refused)?;
            self.rows.remove(&row);
            self.dead += 1;
        }
        self.held_out.rows.remove(row)
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Candidate>> {
        let direction = Direction::new(query, self.dimension, self.similarity)?;
        let found = if k == 0 || self.rows.is_empty() {
            Vec::new()
        } else {
            let _slot = self.slots.take();
            self.walk(&direction, k)?
        };
        Ok(best_of(found, self.held_out.rows.search(query, k)?, k))
    }

    /// Walks until as many rows of `rows` are found as the search expansion says, through all others: the fewer belong,
    /// the farther.
    fn search_among(&self, query: &[f32], k: usize, rows: &Rows) -> Result<Vec<Candidate>> {
        let direction = Direction::new(query, self.dimension, self.similarity)?;
        let found = if k == 0 || self.rows.is_empty() {
            Vec::new()
        } else {
            let _slot = self.slots.take();
            // A panic in here would end the process. Looking a row up in a bitmap cannot, nor does it lock or allocate.
            let belongs = |key| key != FREE_KEY && rows.contains(RowId(key));
            let most = k.min(self.rows.len());
            let matches = self.graph.filtered_search(&direction.unit, most, belongs).map_err(refused)?;
            self.candidates(&direction, matches, |row| rows.contains(row))
        };
        Ok(best_of(found, self.held_out.rows.search_among(query, k, rows)?, k))
    }

    fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool> {
        if !self.rows.contains(&row) {
            return self.held_out.rows.embedding_into(row, out);
        }
        // usearch writes `dimension` numbers into the buffer, however long it is.
        let mut bits = vec![0_i16; self.dimension];
        if self.graph.get(row.0, usearch::f16::from_mut_i16s(&mut bits)).map_err(refused)? != 1 {
            return Err(doubtful("its graph lacks a row"));
        }
        out.extend(bits.into_iter().map(|bits| f16::from_bits(bits.cast_unsigned())));
        Ok(true)
    }
}

const fn metric(similarity: Similarity) -> MetricKind {
    match similarity {
        Similarity::Cosine => MetricKind::Cos,
        Similarity::Dot => MetricKind::IP,
    }
}

fn empty_graph(dimension: usize, similarity: Similarity) -> Result<usearch::Index> {
    let [expansion_search, ..] = EXPANSION_SEARCH;
    usearch::Index::new(&IndexOptions {
        dimensions: check_dimension(dimension)?,
        metric: metric(similarity),
        quantization: ScalarKind::F16,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_ADD,
        expansion_search,
        multi: false,
    })
    .map_err(refused)
}

fn reserve(graph: &usearch::Index, capacity: usize) -> Result<()> {
    graph.reserve_capacity_and_threads(capacity, SLOTS).map_err(refused)
}

/// The best `k` of both, of which each is in order.
fn best_of(mut found: Vec<Candidate>, held_out: Vec<Candidate>, k: usize) -> Vec<Candidate> {
    found.extend(held_out);
    found.sort_by(Candidate::rank);
    found.truncate(k);
    found
}

/// Whether each row is in the graph. One thread takes a seventh of a second for a million.
fn all_there(graph: &usearch::Index, rows: &[RowId]) -> bool {
    let there = |rows: &[RowId]| rows.iter().all(|row| graph.contains(row.0));
    if rows.len() < ROWS_OF_TWO_THREADS {
        return there(rows);
    }
    let (first, second) = rows.split_at(rows.len() / 2);
    both(|| there(first), || there(second)) == (true, true)
}

/// Where there is no path to a pipe: by way of a copy in memory.
fn save_whole(graph: &usearch::Index, out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    let length = graph.serialized_length();
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    bytes.resize(length, 0);
    graph.save_to_buffer(&mut bytes).map_err(io::Error::other)?;
    out.write_all(&bytes)
}

fn load_whole(graph: &usearch::Index, input: &mut dyn Read) -> io::Result<()> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    graph.load_from_buffer(&bytes).map_err(io::Error::other)
}

fn read_u64(input: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// `count` rows, each after the one before it.
fn read_rows(input: &mut dyn Read, count: u64) -> Result<Vec<RowId>> {
    let rows = (0..count).map(|_| read_u64(input).map(RowId)).collect::<io::Result<Vec<RowId>>>();
    let rows = rows.map_err(unreadable)?;
    if rows.is_sorted_by(|a, b| a < b) && rows.last() != Some(&RowId(FREE_KEY)) {
        Ok(rows)
    } else {
        Err(doubtful("its list of rows is malformed"))
    }
}

/// No input that passes the checks of this file makes usearch fail: what is left is a lack of memory, or a bug.
fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt("the approximate view is not usable; it can be rebuilt from the store").with_source(error)
}

fn doubtful(what: &str) -> Error {
    Error::corrupt(format!("the snapshot of the approximate view is not usable: {what}"))
}

fn unreadable(error: io::Error) -> Error {
    doubtful("it cannot be read").with_source(error)
}
