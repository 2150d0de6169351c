//! What was typed, and nothing more: no file is touched here.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use marcato::eval::Measure;
use marcato::{ModelName, Similarity};

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

const QUERY_HELP: &str = "Examples:
  marcato query notes.marcato \"how big is London\" -k 5
  marcato query notes.marcato \"how big is London\" --json
  marcato query papers.marcato --json - < queries.jsonl      a query a line: {\"id\", \"text\"}, or bare text";

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

const EVAL_HELP: &str = "Files:
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

const SCORE_HELP: &str = "The score is a number, or a list of them if the model has several labels.

Examples:
  marcato score --model ./ms-marco-MiniLM-L6-v2 < pairs.jsonl > scores.jsonl
  echo '{\"query\": \"how big is London\", \"passage\": \"London has 9,787,426 inhabitants\"}' |
    marcato score --model ./ms-marco-MiniLM-L6-v2 --activation sigmoid";

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
    /// How a new collection searches
    #[arg(long, value_enum, default_value_t = IndexArg::Auto)]
    pub(crate) index: IndexArg,
    /// Say on standard error when a batch is durable
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Query {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// The question, or - for a question a line from standard input
    pub(crate) text: String,
    /// How many passages to print
    #[arg(short = 'k', long = "top", value_name = "N", default_value_t = 10, value_parser = positive)]
    pub(crate) top: usize,
    /// Compare with every passage even where the approximate index would do
    #[arg(long)]
    pub(crate) exact: bool,
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

#[derive(clap::Args, Debug)]
pub(crate) struct Score {
    /// The cross-encoder's directory or artifact
    #[arg(long, value_name = "NAME_OR_DIR")]
    pub(crate) model: String,
    /// What turns the model's logits into scores
    #[arg(long, value_enum, default_value_t = ActivationArg::Model)]
    pub(crate) activation: ActivationArg,
    /// Tokens of a pair that count; the model's own maximum if left out
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) max_length: Option<usize>,
    /// What to keep the model's weights in
    #[arg(long, value_enum, default_value_t = PrecisionArg::Auto)]
    pub(crate) precision: PrecisionArg,
    /// What runs the model
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    pub(crate) backend: BackendArg,
    /// Threads that encode; all cores if left out
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Tokens that a thread takes at once; changes speed and memory, never a score
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) batch_tokens: Option<usize>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Model {
    /// Get a model from the Hugging Face hub into Marcato's own folder
    #[command(after_help = PULL_HELP)]
    Pull {
        /// A model's name, with or without @REVISION: a branch, a tag or a commit
        #[arg(value_name = "NAME[@REVISION]")]
        name: ModelName,
    },
    /// List the models that are on this machine
    #[command(after_help = "Example:\n  marcato model list --json")]
    List,
    /// Say what a model is
    #[command(after_help = INFO_HELP)]
    Info {
        /// A model's name, directory or artifact; the built-in model if left out
        #[arg(value_name = "NAME_OR_DIR")]
        model: Option<String>,
        /// Another similarity than the model declares: cosine or dot
        #[arg(long, value_name = "SIMILARITY")]
        similarity: Option<Similarity>,
    },
    /// Compare each file of a model with what it was on the hub
    #[command(after_help = VERIFY_HELP)]
    Verify {
        /// A model's name
        #[arg(value_name = "NAME[@REVISION]")]
        name: ModelName,
    },
    /// Remove a model from Marcato's own folder, without asking: it can be pulled again
    #[command(
        after_help = "Examples:\n  marcato model remove msmarco-MiniLM-L6-v3             all of its revisions\n  \
                      marcato model remove msmarco-MiniLM-L6-v3@v1.0        one"
    )]
    Remove {
        /// A model's name; all of its revisions go if none is given
        #[arg(value_name = "NAME[@REVISION]")]
        name: ModelName,
    },
    /// Make an artifact with s8 weights of a model, and measure its drift
    #[command(after_help = "Example:\n  marcato model quantize ./all-MiniLM-L6-v2 --output all-MiniLM-L6-v2.marcato")]
    Quantize {
        /// The model's name or directory
        #[arg(value_name = "NAME_OR_DIR")]
        model: PathBuf,
        /// The artifact to write
        #[arg(short, long)]
        output: PathBuf,
        /// What the artifact calls itself; the model's name if left out
        #[arg(long)]
        name: Option<String>,
    },
}

const PULL_HELP: &str = "The model is pinned to the commit that the revision means now, every file is verified, and a
download that broke off goes on where it was. A name without an organisation is tried as
sentence-transformers/NAME and cross-encoder/NAME first.

Environment:
  MARCATO_HOME                 where Marcato keeps models (in the folder models)
  HF_TOKEN, HF_TOKEN_PATH      for private and gated models; sent to the hub's own host only
  HF_ENDPOINT                  another hub than https://huggingface.co
  HF_HUB_OFFLINE               set to 1, nothing is asked
  HTTPS_PROXY, NO_PROXY        as everywhere

Examples:
  marcato model pull sentence-transformers/msmarco-MiniLM-L6-v3
  marcato model pull msmarco-distilbert-base-tas-b@main --json
  marcato add notes.marcato ~/notes --model msmarco-MiniLM-L6-v3";

const INFO_HELP: &str = "Examples:
  marcato model info
  marcato model info sentence-transformers/msmarco-MiniLM-L6-v3
  marcato model info ./all-MiniLM-L6-v2 --json";

const VERIFY_HELP: &str =
    "A model that was pulled is compared with its list of sha256 sums (marcato.json), one in Hugging
Face's cache with the hashes that its files are named by. The exit code is 1 if any file differs,
is missing, or should not be there.

Example:
  marcato model verify msmarco-MiniLM-L6-v3";

/// How texts are encoded.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EncoderArgs {
    /// A model's name, directory or artifact; the built-in model, or the one that a collection was made with, if left out
    #[arg(long, value_name = "NAME_OR_DIR")]
    pub(crate) model: Option<String>,
    /// What to keep the model's weights in
    #[arg(long, value_enum, default_value_t = PrecisionArg::Auto)]
    pub(crate) precision: PrecisionArg,
    /// What runs the model
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    pub(crate) backend: BackendArg,
    /// Threads that encode; all cores if left out
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
}

impl From<&EncoderArgs> for Score {
    fn from(args: &EncoderArgs) -> Self {
        let EncoderArgs { model, precision, backend, threads, .. } = args.clone();
        let model = model.unwrap_or_default();
        Self {
            model,
            activation: ActivationArg::Model,
            max_length: None,
            precision,
            backend,
            threads,
            batch_tokens: None,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Passage,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActivationArg {
    /// The logits themselves
    Identity,
    /// Between 0 and 1
    Sigmoid,
    /// What the model declares
    Model,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrecisionArg {
    Auto,
    F32,
    Int8,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackendArg {
    /// Marcato's own forward pass
    Cpu,
    /// candle-transformers, always in f32: the reference
    Candle,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeArg {
    /// By the similarity of embeddings, compared one by one
    Dense,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexArg {
    Auto,
    Exact,
    Hnsw,
}

/// A number of at least 1.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
