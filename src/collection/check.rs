//! Whether everything is as it was written: the store's records, its tables against each other, and the views against
//! the store; and the views made anew.

use std::ops::ControlFlow;

use super::Collection;
use super::recover::rebuild;
#[cfg(feature = "lexical")]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::index::VectorIndex;
use crate::kernels::similarity_f32;
use crate::passage::RowId;
use crate::progress::{OnProgress, Progress, Stage, report};
#[cfg(feature = "lexical")]
use crate::rows::Rows;
#[cfg(any(feature = "lexical", feature = "usearch"))]
use crate::snapshot::Reason;
use crate::store::{Flaw, Reader};

/// Problems that are told one by one; more are only counted.
const PROBLEMS: usize = 100;

/// Passages whose neighbours are looked for, through the index and without it, and how many neighbours.
const SAMPLES: u64 = 32;
const NEIGHBOURS: usize = 10;

/// The recall below which an index breaks its promise of 0.97 and not only the sample: three standard errors of it.
const SOUND_RECALL: f32 = 0.94;

/// What [`Collection::check`] found.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Passages that are there.
    pub passages: u64,
    /// What is not as it was written, as far as it goes.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub omitted: u64,
    /// The share of the true ten nearest of some passages that the approximate index finds, in 0..=1; `None` if there is
    /// no such index.
    pub recall: Option<f32>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where.
    pub part: Part,
    /// What, and what to do about it.
    pub message: String,
}

/// A part of a collection that can be wrong by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// Passages, ids, embeddings, or the log of changes. Restore the collection from a copy.
    Store,
    /// The index of a field. Drop it and make it again.
    FieldIndex,
    /// The index of embeddings; [`Collection::rebuild_indexes`] makes it anew.
    Index,
    /// The index of words; likewise.
    Words,
}

impl Part {
    /// `"store"`, `"field index"`, `"index"` or `"words"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::FieldIndex => "field index",
            Self::Index => "index",
            Self::Words => "words",
        }
    }

    /// Whether it can be made anew from the passages.
    pub const fn is_view(self) -> bool {
        matches!(self, Self::Index | Self::Words)
    }
}

impl CheckReport {
    /// Whether there is no problem.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn note(&mut self, part: Part, message: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem { part, message });
        } else {
            self.omitted += 1;
        }
    }
}

impl Collection {
    /// Reads every record and verifies it; holds ids, embeddings, the log and the indexes of fields against the
    /// passages, and the indexes of embeddings and words against the store; and asks the approximate index for the
    /// nearest of some passages, whose true ones it knows. A problem is no error, but part of the report.
    ///
    /// Queries go on meanwhile; writers wait. It reads everything, twice if there is an approximate index.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Passage, Similarity};
    /// use std::ops::ControlFlow;
    /// let points = Collection::options().embeddings(2, Similarity::Cosine).in_memory()?;
    /// points.add([Passage::new("east").embedding(Embedding::new([1.0, 0.0])?)])?;
    /// let report = points.check(|_| ControlFlow::Continue(()))?;
    /// assert!(report.is_sound() && report.passages == 1);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Cancelled`; `Io` if the operating system refuses.
    pub fn check(&self, mut on_progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<CheckReport> {
        self.0.wait_for_index();
        let _writing = self.0.writing.lock();
        let reader = self.reader();
        let mut found = CheckReport { passages: reader.state().passages, ..CheckReport::default() };
        reader.check(self.0.similarity, &mut on_progress, &mut |flaw| {
            match flaw {
                Flaw::Record(message) => found.note(Part::Store, message),
                Flaw::Field(message) => found.note(Part::FieldIndex, message),
            }
            Ok(())
        })?;
        self.check_index(&reader, &mut on_progress, &mut found)?;
        #[cfg(feature = "lexical")]
        self.check_words(&reader, &mut found)?;
        Ok(found)
    }

    /// Makes the indexes of embeddings and of words anew from the passages, and writes their files.
    ///
    /// Queries go on with the old ones meanwhile; writers wait.
    ///
    /// # Errors
    /// `Cancelled`; `Misuse` if the collection was opened read-only; `Corrupt`, `Io` or `Full`.
    pub fn rebuild_indexes(&self, mut on_progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<()> {
        self.0.store.check_writable()?;
        self.0.wait_for_index();
        let mut tail = self.0.writing.lock();
        rebuild(&self.0, &mut tail, &mut on_progress)?;
        #[cfg(feature = "lexical")]
        self.0.lexical.rebuild(&self.0)?;
        Ok(())
    }

    fn check_index(&self, reader: &Reader, on_progress: OnProgress<'_>, found: &mut CheckReport) -> Result<()> {
        #[cfg(feature = "usearch")]
        if let Some(reason) = &self.open_report().rebuilt
            && self.0.store.is_read_only()
            && *reason != Reason::Missing.to_string()
        {
            found.note(Part::Index, format!("{reason}; opening the collection for writing makes it anew"));
        }
        let live = self.0.live.read();
        let (mut missing, mut rows, mut samples) = (Vec::new(), 0_u64, Vec::new());
        let every = (reader.state().passages / SAMPLES).max(1);
        for entry in reader.embeddings()? {
            // Told already, as a flaw of the store.
            let Ok((row, embedding)) = entry else { continue };
            if !live.view.contains(row) {
                missing.push(row);
            }
            if rows.is_multiple_of(every) && !live.view.is_exact() {
                samples.push(Sample::new(row, embedding.iter().map(|value| value.to_f32()).collect()));
            }
            rows += 1;
        }
        if let Some(first) = missing.first() {
            found.note(Part::Index, format!("{} passages are not in it, such as row {}", missing.len(), first.0));
        }
        if live.view.len() as u64 > rows {
            found.note(Part::Index, format!("it has {} rows, the store {rows}", live.view.len()));
        }
        if samples.is_empty() {
            return Ok(());
        }
        for (done, entry) in (0..).zip(reader.embeddings()?) {
            if u64::is_multiple_of(done, 1024) {
                report(on_progress, Stage::Check, done, rows)?;
            }
            let Ok((row, embedding)) = entry else { continue };
            for sample in &mut samples {
                sample.offer(row, similarity_f32(&sample.embedding, &embedding, self.0.similarity));
            }
        }
        let (mut right, mut wanted) = (0, 0);
        for sample in &samples {
            let nearest = live.view.search(&sample.embedding, NEIGHBOURS + 1)?;
            wanted += sample.nearest.len();
            right += sample.nearest.iter().filter(|(row, _)| nearest.iter().any(|hit| hit.row == *row)).count();
        }
        let recall = if wanted == 0 { 1.0 } else { right as f32 / wanted as f32 };
        found.recall = Some(recall);
        if recall < SOUND_RECALL {
            found.note(Part::Index, format!("it finds {right} of {wanted} true neighbours, fewer than it promises"));
        }
        Ok(())
    }

    #[cfg(feature = "lexical")]
    fn check_words(&self, reader: &Reader, found: &mut CheckReport) -> Result<()> {
        let words = &self.0.lexical;
        if words.language().is_none() {
            return Ok(());
        }
        let before = words.rebuilt();
        match words.search(&self.0) {
            Ok((searcher, _)) => {
                let mut there = Rows::none();
                reader.embeddings()?.flatten().for_each(|(row, _)| there.insert(row));
                if searcher.rows()? != there {
                    found.note(Part::Words, "it has other rows than the store".to_owned());
                }
            }
            // A passage cannot be read, which was told already.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
        let rebuilt = words.rebuilt().or(before).filter(|_| self.0.store.is_read_only());
        if let Some(reason) = rebuilt.filter(|reason| *reason != Reason::Missing.to_string()) {
            found.note(Part::Words, format!("{reason}; opening the collection for writing makes it anew"));
        }
        Ok(())
    }
}

/// A passage whose true nearest are looked for.
struct Sample {
    row: RowId,
    embedding: Vec<f32>,
    /// Best first.
    nearest: Vec<(RowId, f32)>,
}

impl Sample {
    fn new(row: RowId, embedding: Vec<f32>) -> Self {
        Self { row, embedding, nearest: Vec::with_capacity(NEIGHBOURS + 1) }
    }

    fn offer(&mut self, row: RowId, score: f32) {
        let worst = self.nearest.get(NEIGHBOURS - 1).map_or(f32::NEG_INFINITY, |(_, score)| *score);
        if row != self.row && score > worst {
            let place = self.nearest.partition_point(|(_, better)| *better >= score);
            self.nearest.insert(place, (row, score));
            self.nearest.truncate(NEIGHBOURS);
        }
    }
}
