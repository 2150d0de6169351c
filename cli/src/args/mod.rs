//! What was typed, and nothing more: no file is touched here.

mod eval;
mod model;
mod upkeep;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use marcato::{Filter, Language};

pub(crate) use eval::Eval;
pub(crate) use model::{ActivationArg, BackendArg, EncoderArgs, Kind, Model, PrecisionArg, Score};
pub(crate) use upkeep::{Backup, Check, Compact, Export, Import, Reembed, Restore};

use eval::EVAL_HELP;
use model::SCORE_HELP;
use upkeep::{CHECK_HELP, EXPORT_HELP, IMPORT_HELP, REEMBED_HELP};

/// Search passages of text by meaning, offline.
#[derive(Parser, Debug)]
#[command(name = "marcato", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  marcato demo                                      see it work
  marcato add notes.marcato ~/notes                 add a folder of text
  marcato query notes.marcato \"how big is London\"   ask";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Index, search and measure a small collection that comes with the program
    #[command(after_help = "Example:\n  marcato demo")]
    Demo,
    /// Add passages from files and folders to a collection, made if need be
    #[command(after_help = ADD_HELP)]
    Add(Add),
    /// Find the passages most similar to a question
    #[command(after_help = QUERY_HELP)]
    Query(Query),
    /// Print passages by their ids
    #[command(after_help = "Example:\n  marcato get notes.marcato london paris --json")]
    Get(Get),
    /// Delete passages by their ids; unknown ids are no failure
    #[command(after_help = "Example:\n  marcato delete notes.marcato london")]
    Delete(Delete),
    /// List the passages of a collection
    #[command(
        after_help = "Examples:\n  marcato list notes.marcato --limit 20\n  marcato list notes.marcato --json > notes.jsonl"
    )]
    List(List),
    /// Say what a collection is and how large
    #[command(after_help = "Example:\n  marcato stats notes.marcato --json")]
    Stats(Stats),
    /// List the fields that are indexed for filters, or index more
    #[command(after_help = INDEX_HELP)]
    Index(IndexFields),
    /// Read and verify everything in a collection; exit code 1 if something is wrong
    #[command(after_help = CHECK_HELP)]
    Check(Check),
    /// Give back the space of deleted and replaced passages
    #[command(after_help = "Example:\n  marcato compact notes.marcato")]
    Compact(Compact),
    /// Copy a collection, every record verified; the copy is a collection itself
    #[command(after_help = "Example:\n  marcato backup notes.marcato /media/stick/notes-2026-11.marcato")]
    Backup(Backup),
    /// Make a collection of a backup
    #[command(after_help = "Example:\n  marcato restore /media/stick/notes-2026-11.marcato notes.marcato")]
    Restore(Restore),
    /// Write the passages of a collection as JSONL
    #[command(after_help = EXPORT_HELP)]
    Export(Export),
    /// Read an export into a collection
    #[command(after_help = IMPORT_HELP)]
    Import(Import),
    /// Move a collection to another model: every passage is encoded anew
    #[command(after_help = REEMBED_HELP)]
    Reembed(Reembed),
    /// Turn texts into embeddings: JSONL {"text"} in, JSONL {"embedding"} out, in the same order
    #[command(after_help = ENCODE_HELP)]
    Encode(Encode),
    /// Measure how fast a model is on this machine
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
    /// Measure how well queries are answered: search a test collection, or judge a run made elsewhere
    #[command(after_help = EVAL_HELP)]
    Eval(Eval),
    /// Score pairs with a cross-encoder: JSONL {"query", "passage"} in, JSONL {"score"} out, in the same order
    #[command(after_help = SCORE_HELP)]
    Score(Score),
    /// Get models, look at them, and make artifacts of them
    #[command(subcommand)]
    Model(Model),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  marcato completions bash > ~/.local/share/bash-completion/completions/marcato")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const ADD_HELP: &str = "Files:
  .jsonl      a passage a line: {\"id\", \"text\", \"title\"?, ...}; other fields are metadata (\"_id\" does too)
  .csv .tsv   with a header line; the column \"text\" is needed
  .txt .md    a passage a paragraph; in Markdown the heading above it is its title
  -           JSONL from standard input
Folders are read recursively, without hidden and ignored files. An id that exists is replaced; a passage without an id
gets one from its file and line, so that adding a file again replaces what it gave.

Examples:
  marcato add notes.marcato ~/notes
  marcato add papers.marcato corpus.jsonl --json
  zcat dump.jsonl.gz | marcato add dump.marcato -";

const QUERY_HELP: &str = "By words, \"quoted phrases\" must occur as they stand, and cens* is the beginning of a word; every other word counts if
it occurs. Scores are similarities (dense), BM25 (lexical), 0 to 1 within the query (hybrid), or the reranker's.

Examples:
  marcato query notes.marcato \"how big is London\" -k 5
  marcato query notes.marcato \"XJ-900 seal\" --mode hybrid --highlight
  marcato query notes.marcato '\"census of 2011\" inhab*' --mode lexical
  marcato query notes.marcato \"how big is London\" --mode hybrid --rerank ./ms-marco-MiniLM-L6-v2 --rerank-top 50
  marcato query notes.marcato --like london -k 5              more like that passage
  marcato query notes.marcato \"roof\" --collapse author --mmr 0.7 --offset 10
  marcato query notes.marcato \"how big is London\" --json
  marcato query notes.marcato \"how big is London\" --filter 'year >= 2011 and lang in [\"en\", \"fr\"]' --explain
  marcato query papers.marcato --json - < queries.jsonl      a query a line: {\"id\", \"text\"}, or bare text";

const INDEX_HELP: &str = "Examples:
  marcato index notes.marcato                  list them
  marcato index notes.marcato year lang        index two more
  marcato index notes.marcato year --drop";

const ENCODE_HELP: &str = "Examples:
  echo '{\"text\": \"hello\"}' | marcato encode
  marcato encode --kind query --model ./all-MiniLM-L6-v2 < queries.jsonl > embeddings.jsonl
  marcato encode --model sentence-transformers/msmarco-MiniLM-L6-v3 < texts.jsonl";

const BENCH_HELP: &str =
    "After a warm-up everything is measured several times: passages and tokens per second and how long a query takes, or
pairs per second if the model is a cross-encoder; then how long the model took to load, and the most memory that the
process had.

Examples:
  marcato bench
  marcato bench --model ./all-MiniLM-L6-v2 --precision f32 --threads 2
  marcato bench --passages corpus.jsonl --queries queries.jsonl --limit 1024 --json";

#[derive(clap::Args, Debug)]
pub(crate) struct Add {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Files, folders, or - for standard input
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Pass over lines that are no passage, and count them
    #[arg(long)]
    pub(crate) skip_invalid: bool,
    /// Passages that become durable together
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch: u32,
    #[command(flatten)]
    pub(crate) make: Make,
    /// Say on standard error when a batch is durable
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Query {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// The question, or - for a question a line from standard input
    #[arg(required_unless_present = "like", conflicts_with = "like")]
    pub(crate) text: Option<String>,
    /// Find more like the passage with this id, in place of a question
    #[arg(long, value_name = "ID")]
    pub(crate) like: Option<String>,
    /// What to search by: meaning, words, or both
    #[arg(long, value_enum, default_value_t = ModeArg::Dense)]
    pub(crate) mode: ModeArg,
    /// How both become one ranking [default: weighted]
    #[arg(long, value_enum)]
    pub(crate) fusion: Option<FusionArg>,
    /// How many passages to print
    #[arg(
        short = 'k',
        long = "top",
        value_name = "N",
        default_value_t = 10,
        value_parser = positive,
        allow_negative_numbers = true
    )]
    pub(crate) top: usize,
    /// How many of the best to leave out first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) offset: usize,
    /// Leave out what scores less
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) min_score: Option<f32>,
    /// Let this cross-encoder read the best candidates and order them; twice for a cascade, the quick one first
    #[arg(long, value_name = "NAME_OR_DIR")]
    pub(crate) rerank: Vec<String>,
    /// How many candidates it reads, one number for each --rerank
    #[arg(long, value_name = "N", value_parser = positive, requires = "rerank")]
    pub(crate) rerank_top: Vec<usize>,
    /// Keep the best passage of those with the same value in this field, such as source or author.name
    #[arg(long, value_name = "FIELD")]
    pub(crate) collapse: Option<String>,
    /// Prefer passages that differ from those above them: 1 for relevance alone, 0 for difference alone
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    pub(crate) mmr: Option<f32>,
    /// Show the sentence that answers best, with the query's words marked
    #[arg(long)]
    pub(crate) highlight: bool,
    /// Compare with every passage even where the approximate index would do
    #[arg(long)]
    pub(crate) exact: bool,
    /// Only passages for which this holds, such as 'year >= 2011 and not archived'
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<Filter>,
    /// Say on standard error how the answer was found, and how long each stage took
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Get {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Ids of passages
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Delete {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Ids of passages
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Passages to print; all by default
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Stats {
    /// The collection's directory
    pub(crate) collection: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct IndexFields {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Fields to index, as filters name them
    pub(crate) fields: Vec<String>,
    /// Drop their indexes instead
    #[arg(long, requires = "fields")]
    pub(crate) drop: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Encode {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Which of the model's prompts goes in front
    #[arg(long, value_enum, default_value_t = Kind::Passage)]
    pub(crate) kind: Kind,
    /// The prompt of that name in the model's configuration, in place of --kind
    #[arg(long, value_name = "NAME", conflicts_with = "kind")]
    pub(crate) prompt: Option<String>,
    /// Tokens that one thread takes at once: changes speed and memory, never an embedding
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) batch_tokens: Option<usize>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Bench {
    /// Passages to encode, in a file or folder that `add` reads; the demo's if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) passages: Option<PathBuf>,
    /// Queries to encode one by one, likewise
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// Take no more than so many of each
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) limit: Option<usize>,
    /// How many times everything is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive)]
    pub(crate) rounds: usize,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeArg {
    /// By meaning
    Dense,
    /// By words
    Lexical,
    /// By both
    Hybrid,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FusionArg {
    /// The mean of both scores, each stretched over 0 to 1
    Weighted,
    /// Reciprocal rank fusion, k = 60
    Rrf,
}

/// How a collection is made that is not there yet.
#[derive(clap::Args, Debug)]
pub(crate) struct Make {
    /// How a new collection searches [default: auto]
    #[arg(long, value_enum)]
    pub(crate) index: Option<IndexArg>,
    /// The language of a new collection's words, or "none", or "off" to search by meaning only [default: english]
    #[arg(long, value_name = "NAME", value_parser = language)]
    pub(crate) language: Option<LanguageArg>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexArg {
    Auto,
    Exact,
    Hnsw,
}

/// A language to search words in, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LanguageArg(pub(crate) Option<Language>);

fn language(name: &str) -> Result<LanguageArg, String> {
    match name {
        "off" => Ok(LanguageArg(None)),
        name => name.parse().map(|language| LanguageArg(Some(language))).map_err(|error| format!("{error}, or off")),
    }
}

/// A number of at least 1.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
