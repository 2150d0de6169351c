//! How far a search has to walk in this graph: found by trial.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{EXPANSION_SEARCH, HnswIndex};
use crate::candidate::{Best, Candidate};
use crate::error::Result;
use crate::index::{Direction, VectorIndex, scale_of};
use crate::kernels::{self, InstructionSet, PackedF32, RowsMut, Then, similarity_f32};
use crate::passage::RowId;

/// How many rows a question is asked for.
const TOP: usize = 10;

/// How many questions are asked in one [`step`](Trials::step), and of how many at least, if there are so many, an
/// expansion is judged.
const STEP: usize = 16;
const LEAST_ASKED: usize = 32;

/// Questions times expansion after which an expansion is judged, if there are so many: half a second of walks. Without an
/// end, choosing on data without structure took longer than adding it.
const ENOUGH: usize = 1 << 16;

/// Standard errors between the mean of a sample and what is taken for granted, one-sided: 1 in 20 is worse. And what is
/// given up before that: 1 in 40 would have been good enough.
const CERTAIN: f32 = 1.64;
const HOPELESS: f32 = 2.0;

/// Rows of the graph that are compared with all questions at once: with these they fit the second cache.
const BLOCK: usize = 128;

/// What [`Trials::step`] settled on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) expansion_search: usize,
    /// The share of the true ten nearest that was found with it.
    pub(crate) recall: f32,
}

/// Questions to a graph with the right answers to them, and what was found so far.
pub(crate) struct Trials {
    questions: Vec<Question>,
    target_recall: f32,
    /// The place of the expansion that is tried.
    rung: usize,
    /// What part of the answers each question found with it.
    found: Vec<f32>,
}

/// A question, and how far the true answers to it go: by similarity rather than by row, since of many copies of a text
/// any is as good as another.
struct Question {
    query: Direction,
    wanted: usize,
    least: f32,
}

impl HnswIndex {
    /// The questions by which [`Trials::step`] finds the expansion with which `target_recall` is found: the held-out
    /// rows. To find the answers takes a look at each row of the graph, beside which queries go on.
    pub(crate) fn trials(&self, target_recall: f32) -> Result<Trials> {
        let queries = self.held_out.shuffled().into_iter().map(|row| {
            let stored = self.held_out.embedding(row)?;
            let stored: Vec<f32> = stored.into_iter().map(f16::to_f32).collect();
            Direction::new(&stored, self.dimension, self.similarity)
        });
        let queries = queries.collect::<Result<Vec<_>>>()?;
        let nearest = self.nearest(&queries)?;
        let question = |(query, nearest): (Direction, Vec<Candidate>)| {
            let scores = nearest.iter().map(|near| self.score(&query, near.row)).collect::<Result<Vec<f32>>>()?;
            let least = scores.into_iter().fold(f32::INFINITY, f32::min);
            Ok(Question { query, wanted: nearest.len(), least })
        };
        let answered = queries.into_iter().zip(nearest).filter(|(_, nearest)| !nearest.is_empty());
        let questions = answered.map(question).collect::<Result<Vec<_>>>()?;
        Ok(Trials { questions, target_recall, rung: 0, found: Vec::new() })
    }

    /// The rows of the graph that are nearest to each query, as one product of matrices: a scan per query would read the
    /// graph some hundred times.
    fn nearest(&self, queries: &[Direction]) -> Result<Vec<Vec<Candidate>>> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let units: Vec<f32> = queries.iter().flat_map(|query| query.unit.iter().copied()).collect();
        let none = vec![0.0; queries.len()];
        let packed = PackedF32::new(InstructionSet::chosen(), self.dimension, &[(&units, &none)]);
        let stride = packed.columns();
        let mut best: Vec<Best> = queries.iter().map(|_| Best::new(TOP)).collect();
        let (mut stored, mut numbers) = (Vec::new(), Vec::new());
        let mut products = vec![0.0; BLOCK * stride];
        let mut rows = self.rows.iter().copied();
        loop {
            let block: Vec<RowId> = rows.by_ref().take(BLOCK).collect();
            if block.is_empty() {
                return Ok(best.into_iter().map(Best::into_sorted).collect());
            }
            stored.clear();
            for row in &block {
                self.embedding_into(*row, &mut stored)?;
            }
            numbers.resize(stored.len(), 0.0);
            stored.convert_to_f32_slice(&mut numbers);
            let a = kernels::Rows { numbers: &numbers, stride: self.dimension, count: block.len() };
            let out = RowsMut { numbers: &mut products, stride };
            packed.multiply(a, 0..packed.panels(), out, Then::Store);
            let embeddings = stored.chunks_exact(self.dimension);
            for ((&row, embedding), products) in block.iter().zip(embeddings).zip(products.chunks_exact(stride)) {
                let scale = scale_of(embedding, self.similarity);
                for (best, product) in best.iter_mut().zip(products) {
                    let score = product * scale;
                    if score >= best.floor() {
                        best.offer(Candidate { row, score });
                    }
                }
            }
        }
    }

    fn score(&self, query: &Direction, row: RowId) -> Result<f32> {
        let mut embedding = Vec::new();
        self.embedding_into(row, &mut embedding)?;
        Ok(similarity_f32(&query.unit, &embedding, self.similarity))
    }

    /// What part of the answers to `question` a walk finds. As a collection asks: for more than it needs, to choose among
    /// them by the exact score.
    fn found_of(&self, question: &Question) -> Result<f32> {
        let Question { query, wanted, least } = question;
        let candidates = self.walk(query, 2 * TOP)?;
        let scores = candidates.iter().map(|found| self.score(query, found.row)).collect::<Result<Vec<f32>>>()?;
        let near = scores.into_iter().filter(|score| score >= least).count();
        Ok(near.min(*wanted) as f32 / *wanted as f32)
    }
}

impl Trials {
    /// Asks some of the questions. `Some` once it is settled: with the least expansion that by this sample finds the target
    /// recall, 19 times of 20, or the largest there is, which the graph then has. Data without structure needs far more than
    /// the usual 64, and nothing but a trial tells.
    ///
    /// Short, and until it is settled without effect: whoever has to keep queries out meanwhile can let them in between.
    pub(crate) fn step(&mut self, graph: &mut HnswIndex) -> Result<Option<Calibration>> {
        if self.questions.is_empty() {
            // Nobody left to ask: what was found when there was holds.
            return Ok(Some(Calibration { expansion_search: graph.expansion_search(), recall: 1.0 }));
        }
        let last = EXPANSION_SEARCH.len() - 1;
        let expansion = EXPANSION_SEARCH.get(self.rung).copied().unwrap_or_default();
        let before = graph.expansion_search();
        graph.graph.change_expansion_search(expansion);
        let asked = self.questions.iter().skip(self.found.len()).take(STEP);
        let found = asked.map(|question| graph.found_of(question)).collect::<Result<Vec<f32>>>();
        graph.graph.change_expansion_search(before);
        self.found.extend(found?);
        let enough = self.questions.len().min((ENOUGH / expansion.max(1)).max(LEAST_ASKED));
        let judged = self.found.len() >= enough;
        let (recall, error) = mean_and_error(&self.found);
        if judged && (self.rung == last || recall - CERTAIN * error >= self.target_recall) {
            graph.graph.change_expansion_search(expansion);
            return Ok(Some(Calibration { expansion_search: expansion, recall }));
        }
        let hopeless = self.found.len() >= LEAST_ASKED && recall + HOPELESS * error < self.target_recall;
        if judged || hopeless && self.rung < last {
            self.rung += 1;
            self.found.clear();
        }
        Ok(None)
    }
}

/// The mean of what is not empty, and its standard error.
fn mean_and_error(sample: &[f32]) -> (f32, f32) {
    let count = sample.len() as f32;
    let mean = sample.iter().sum::<f32>() / count;
    let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}
