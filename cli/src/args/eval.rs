//! Arguments of `marcato eval`.

use std::path::PathBuf;

use marcato::eval::Measure;

use super::{EncoderArgs, ModeArg, positive};

pub(super) const EVAL_HELP: &str = "Files:
  DIR          BEIR: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv
               MS MARCO: collection.tsv, queries.SPLIT.tsv, qrels.SPLIT.tsv
  runs         TREC's six columns, or MS MARCO's three (query, passage, rank)
  judgements   BEIR's three columns, or TREC's and MS MARCO's four
Measures have trec_eval's names and values, and are means over every judged query. docs/evaluation.md defines them.

Examples:
  marcato eval --data scifact --run dense.trec
  marcato eval --run dense.trec --qrels scifact/qrels/test.tsv --json
  marcato eval --run dense.trec --qrels scifact/qrels/test.tsv --baseline bm25.trec --html report.html
  marcato eval --data scifact --candidates bm25.trec --rerank ./ms-marco-MiniLM-L6-v2 --rerank-top 50
  marcato eval --data scifact --split train --measure ndcg_cut_10,recall_100 --per-query";

#[derive(clap::Args, Debug)]
pub(crate) struct Eval {
    /// A test collection, whose judged queries are asked
    #[arg(long, value_name = "DIR", required_unless_present = "qrels")]
    pub(crate) data: Option<PathBuf>,
    /// Which of its judgements
    #[arg(long, default_value = "test")]
    pub(crate) split: String,
    /// How the queries are answered
    #[arg(long, value_enum, default_value_t = ModeArg::Dense)]
    pub(crate) mode: ModeArg,
    /// Ask this collection, instead of one made in memory of the passages in --data
    #[arg(long, value_name = "DIR", conflicts_with = "qrels")]
    pub(crate) collection: Option<PathBuf>,
    /// Compare with every passage even where the collection's approximate index would do
    #[arg(long, requires = "collection")]
    pub(crate) exact: bool,
    /// Passages to rank for each query
    #[arg(short = 'k', long = "top", value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub(crate) top: usize,
    /// Judgements of the run that --run names
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with_all = SEARCHING)]
    pub(crate) qrels: Option<PathBuf>,
    /// Where to write the rankings as a TREC run; with --qrels, the run to judge
    #[arg(long, value_name = "FILE")]
    pub(crate) run: Option<PathBuf>,
    /// Rerank with this cross-encoder: a directory or artifact. The first stage is then the baseline, unless --baseline
    /// names another
    #[arg(long, value_name = "NAME_OR_DIR", requires = "data")]
    pub(crate) rerank: Option<String>,
    /// First passages of each ranking that are reranked; the others stay behind them
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive, requires = "rerank")]
    pub(crate) rerank_top: usize,
    /// Rerank this run, instead of searching
    #[arg(long, value_name = "FILE", requires = "rerank", conflicts_with_all = ENCODING)]
    pub(crate) candidates: Option<PathBuf>,
    /// Another run to compare with, by paired significance tests
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Measures to report, by trec_eval's names, between commas; the first is the one that plots are of
    #[arg(long = "measure", value_name = "NAME", value_delimiter = ',', default_values_t = Measure::USUAL)]
    pub(crate) measures: Vec<Measure>,
    /// Leave each query's own id out of its ranking, as BEIR does where queries are passages
    #[arg(long)]
    pub(crate) ignore_identical_ids: bool,
    /// Print the values of each query too
    #[arg(long)]
    pub(crate) per_query: bool,
    /// Where to write a report with plots, as a page of its own
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}

/// Arguments of `eval` that say how to search: of no use for a run made elsewhere.
const SEARCHING: [&str; 8] = ["data", "split", "mode", "top", "model", "precision", "backend", "threads"];

/// Those that say how the first stage searches: of no use where it is given.
const ENCODING: [&str; 5] = ["collection", "mode", "top", "model", "precision"];
