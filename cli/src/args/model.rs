//! Arguments of the commands that name a model: how it is loaded and run, and what is done with models themselves.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use marcato::{ModelName, Similarity};

use super::positive;

pub(super) const SCORE_HELP: &str = "The score is a number, or a list of them if the model has several labels.

Examples:
  marcato score --model ./ms-marco-MiniLM-L6-v2 < pairs.jsonl > scores.jsonl
  echo '{\"query\": \"how big is London\", \"passage\": \"London has 9,787,426 inhabitants\"}' |
    marcato score --model ./ms-marco-MiniLM-L6-v2 --activation sigmoid";

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
    /// The same on an NVIDIA GPU (a build with --features cuda)
    Cuda,
    /// The same on an Apple GPU (a build with --features metal)
    Metal,
}
