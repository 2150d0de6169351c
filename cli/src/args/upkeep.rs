//! Arguments of the commands that keep a collection: check, compact, backup, restore, export, import, reembed.

use std::path::PathBuf;

use marcato::Similarity;

use super::{EncoderArgs, Make};

pub(super) const CHECK_HELP: &str = "Every record is read, the tables are held against each other, the indexes against the passages. What is wrong with an
index, --repair mends; what is wrong with the passages themselves takes a backup.

Examples:
  marcato check notes.marcato
  marcato check notes.marcato --repair";

pub(super) const EXPORT_HELP: &str = "A passage a line: {\"id\", \"title\"?, \"text\", \"metadata\", \"embedding\"?, \"encoder\"?}, in the order of insertion. With --embeddings
importing encodes nothing, but takes a collection of the same model.

Examples:
  marcato export notes.marcato > notes.jsonl
  marcato export notes.marcato --embeddings -o notes.jsonl
  marcato export notes.marcato | gzip > notes.jsonl.gz";

pub(super) const IMPORT_HELP: &str =
    "Reads what export writes, and gives the same passages; for any other JSONL there is add.

Examples:
  marcato import copy.marcato notes.jsonl
  zcat notes.jsonl.gz | marcato import copy.marcato -";

pub(super) const REEMBED_HELP: &str = "Ids, texts, metadata and indexed fields stay. Until the last passage is done the collection is as it was; interrupted, the
same command goes on where it stopped.

Examples:
  marcato reembed notes.marcato --model sentence-transformers/msmarco-distilbert-base-tas-b
  marcato reembed notes.marcato --model built-in";

#[derive(clap::Args, Debug)]
pub(crate) struct Check {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// Make the indexes anew if something is wrong with them
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Compact {
    /// The collection's directory
    pub(crate) collection: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Backup {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// The directory to copy it to, where nothing may be yet
    pub(crate) destination: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Restore {
    /// The backup's directory
    pub(crate) backup: PathBuf,
    /// The collection to make, where nothing may be yet
    pub(crate) collection: PathBuf,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Export {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    /// The file to write, whole or not at all; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With the embeddings, exactly as they are stored
    #[arg(long)]
    pub(crate) embeddings: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Import {
    /// The collection's directory, made if need be
    pub(crate) collection: PathBuf,
    /// An export, or - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// How a new collection compares embeddings that no encoder made: cosine or dot
    #[arg(long, value_name = "NAME", default_value_t = Similarity::Cosine)]
    pub(crate) similarity: Similarity,
    #[command(flatten)]
    pub(crate) make: Make,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Reembed {
    /// The collection's directory
    pub(crate) collection: PathBuf,
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
}
