//! The inverted index: what goes in, what goes out, and its bytes.

use std::path::Path;

use tantivy::directory::RamDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergeCandidate, MergePolicy, NoMergePolicy};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Directory, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::analysis::{self, Analysis};
use super::search::Searcher;
use super::{failed, guarded};
use crate::error::{Error, ErrorKind, Result};
use crate::language::Language;
use crate::passage::RowId;

pub(super) const ROW: &str = "row";
const STEMS: &str = "stems";
const WORDS: &str = "words";

/// Where tantivy keeps what there is, and which files are its own to delete.
const ROOT_FILES: [&str; 2] = ["meta.json", ".managed.json"];

/// Memory in which a thread collects documents before it makes a segment of them.
const BUDGET: usize = 32 << 20;

/// Documents that are worth a second thread.
const DOCUMENTS_PER_THREAD: usize = 4096;

/// A segment is merged, and so loses its removed rows, when they are this part of it.
const DEAD_FRACTION: f32 = 0.2;

/// Segments below this number of rows count as equally small.
const SMALL_SEGMENT: u32 = 1000;

#[derive(Clone, Copy)]
pub(super) struct Fields {
    row: Field,
    /// What is searched.
    pub(super) stems: Field,
    /// What prefixes are looked for in.
    pub(super) words: Field,
}

/// A passage to index.
pub(crate) struct Document {
    pub(crate) row: RowId,
    pub(crate) title: Option<String>,
    pub(crate) text: String,
}

/// A view of the words of a collection.
pub(crate) struct LexicalIndex {
    directory: RamDirectory,
    index: tantivy::Index,
    reader: IndexReader,
    analysis: Analysis,
    fields: Fields,
}

impl LexicalIndex {
    pub(crate) fn new(language: Language) -> Result<Self> {
        let directory = RamDirectory::create();
        let (schema, _) = schema();
        let index = tantivy::Index::create(directory.clone(), schema, Default::default()).map_err(failed)?;
        Self::with(directory, index, language)
    }

    fn with(directory: RamDirectory, mut index: tantivy::Index, language: Language) -> Result<Self> {
        let analysis = Analysis::new(language);
        // With tantivy's own: it looks up a "default" even for fields that are no text.
        let analyzers = TokenizerManager::default();
        analyzers.register(STEMS, analysis.stem_analyzer());
        analyzers.register(WORDS, analysis.word_analyzer());
        index.set_tokenizers(analyzers);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed)?;
        Ok(Self { directory, index, reader, analysis, fields: schema().1 })
    }

    /// What the bytes of a view depend on besides its rows: a snapshot made otherwise is rebuilt.
    pub(crate) fn engine(language: Language) -> String {
        format!("{} bm25 {} {language}", tantivy::version_string(), analysis::VERSION)
    }

    /// How many rows can be found.
    pub(crate) fn len(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Whether it still takes space for rows that were removed.
    pub(crate) fn has_dead_rows(&self) -> bool {
        self.reader.searcher().segment_readers().iter().any(|segment| segment.num_deleted_docs() > 0)
    }

    /// The index as it is now.
    pub(crate) fn searcher(&self) -> Searcher {
        Searcher { searcher: self.reader.searcher(), analysis: self.analysis.clone(), fields: self.fields }
    }

    /// Takes the rows `removed` out and puts `added` in, all at once for whoever searches. Rows are never reused, so
    /// the order of the two does not matter. `expected` is about how many rows are added.
    ///
    /// # Errors
    /// The first error of `added`, or tantivy's; what the view held before stays.
    pub(crate) fn update(
        &mut self,
        removed: &[RowId],
        added: impl Iterator<Item = Result<Document>>,
        expected: usize,
    ) -> Result<()> {
        guarded(|| {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let options = IndexWriterOptions::builder()
                .memory_budget_per_thread(BUDGET)
                .num_worker_threads((expected / DOCUMENTS_PER_THREAD).clamp(1, cores.min(4)))
                .num_merge_threads(1)
                .build();
            let mut writer: IndexWriter = self.index.writer_with_options(options).map_err(failed)?;
            // Merges are made below, before this returns: no thread of ours is at work when nobody called.
            writer.set_merge_policy(Box::new(NoMergePolicy));
            for row in removed {
                writer.delete_term(Term::from_field_u64(self.fields.row, row.0));
            }
            for document in added {
                writer.add_document(self.fields.document(document?)).map_err(failed)?;
            }
            writer.commit().map_err(failed)?;
            for MergeCandidate(segments) in self.merges()? {
                writer.merge(&segments).wait().map_err(failed)?;
            }
            writer.wait_merging_threads().map_err(failed)?;
            self.reader.reload().map_err(failed)
        })
    }

    fn merges(&self) -> Result<Vec<MergeCandidate>> {
        let mut policy = LogMergePolicy::default();
        policy.set_min_layer_size(SMALL_SEGMENT);
        policy.set_del_docs_ratio_before_merge(DEAD_FRACTION);
        Ok(policy.compute_merge_candidates(&self.index.searchable_segment_metas().map_err(failed)?))
    }

    /// The view as bytes: for each of tantivy's files in the order of their names, the length of its name (`u32`), the
    /// name, its length (`u64`) and its content.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut files: Vec<_> = self.index.load_metas().map_err(failed)?.list_segment_files().into_iter().collect();
        files.extend(ROOT_FILES.map(Into::into));
        files.sort();
        let mut bytes = Vec::new();
        for path in files {
            // Not every segment has every kind of file.
            if !self.directory.exists(&path).map_err(failed)? {
                continue;
            }
            let content = if ROOT_FILES.iter().any(|name| path == Path::new(name)) {
                self.directory.atomic_read(&path).map_err(failed)?
            } else {
                let file = self.directory.open_read(&path).map_err(failed)?;
                file.read_bytes().map_err(failed)?.as_slice().to_vec()
            };
            let name = path.to_string_lossy();
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(content);
        }
        Ok(bytes)
    }

    /// The view that [`to_bytes`](Self::to_bytes) wrote, behind a verified checksum.
    ///
    /// # Errors
    /// `Corrupt` at any doubt that this is the view that was asked for.
    pub(crate) fn from_bytes(bytes: &[u8], language: Language, expected_len: u64) -> Result<Self> {
        guarded(|| {
            let directory = RamDirectory::create();
            let mut rest = bytes;
            while !rest.is_empty() {
                let (name, content) = file(&mut rest).ok_or_else(|| doubtful("its list of files is malformed"))?;
                directory.atomic_write(Path::new(name), content).map_err(failed)?;
            }
            let index = tantivy::Index::open(directory.clone()).map_err(failed)?;
            if index.schema() != schema().0 {
                return Err(doubtful("it has other fields"));
            }
            let view = Self::with(directory, index, language)?;
            if view.len() == expected_len { Ok(view) } else { Err(doubtful("it has another number of rows")) }
        })
    }
}

impl Fields {
    fn document(&self, document: Document) -> TantivyDocument {
        let mut fields = TantivyDocument::default();
        fields.add_u64(self.row, document.row.0);
        for text in document.title.into_iter().chain([document.text]) {
            fields.add_text(self.stems, &text);
            fields.add_text(self.words, &text);
        }
        fields
    }
}

fn schema() -> (Schema, Fields) {
    let text = |analyzer: &str, record, norms| {
        let indexing =
            TextFieldIndexing::default().set_tokenizer(analyzer).set_index_option(record).set_fieldnorms(norms);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut schema = Schema::builder();
    let row = schema.add_u64_field(ROW, INDEXED | FAST);
    let stems = schema.add_text_field(STEMS, text(STEMS, IndexRecordOption::WithFreqsAndPositions, true));
    let words = schema.add_text_field(WORDS, text(WORDS, IndexRecordOption::Basic, false));
    (schema.build(), Fields { row, stems, words })
}

/// The next file of a view's bytes.
fn file<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, &'a [u8])> {
    let (length, after) = rest.split_first_chunk()?;
    let (name, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (length, after) = after.split_first_chunk()?;
    let (content, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    *rest = after;
    Some((std::str::from_utf8(name).ok()?, content))
}

fn doubtful(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the lexical view does not load: {why}"))
}
