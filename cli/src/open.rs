//! From arguments to encoders and collections.

use std::path::Path;

use anyhow::{Context, Result, bail};
use marcato::{
    BackendKind, BiEncoder, Collection, CollectionOptions, CrossEncoder, ErrorKind, Fusion, Index, Mode, Precision,
    ScoreActivation,
};

use crate::args::{
    ActivationArg, BackendArg, EncoderArgs, FusionArg, IndexArg, LanguageArg, ModeArg, PrecisionArg, Score,
};
use crate::progress;

/// What `--model` may say for the model inside the program.
const BUILTIN: &str = "built-in";

/// The encoder that was asked for.
pub(crate) fn encoder(args: &EncoderArgs) -> Result<BiEncoder> {
    let mut options = BiEncoder::options().precision(precision(args.precision)).backend(backend(args.backend));
    if let Some(threads) = args.threads {
        options = options.threads(threads);
    }
    match args.model.as_deref() {
        None | Some(BUILTIN) => Ok(options.builtin()?),
        Some(path) if Path::new(path).exists() => {
            options.open(path).with_context(|| format!("cannot use the model in {path}"))
        }
        Some(name) => bail!(
            "no model \"{name}\": there is no such directory or artifact. Give the path of a sentence-transformers model \
             directory, or leave --model out for the built-in one"
        ),
    }
}

/// The cross-encoder that was asked for.
pub(crate) fn cross_encoder(args: &Score) -> Result<CrossEncoder> {
    let mut options = CrossEncoder::options().precision(precision(args.precision)).backend(backend(args.backend));
    if let Some(threads) = args.threads {
        options = options.threads(threads);
    }
    if let Some(tokens) = args.batch_tokens {
        options = options.batch_tokens(tokens);
    }
    if let Some(max_length) = args.max_length {
        options = options.max_length(max_length);
    }
    let options = match args.activation {
        ActivationArg::Identity => options.activation(ScoreActivation::Identity),
        ActivationArg::Sigmoid => options.activation(ScoreActivation::Sigmoid),
        ActivationArg::Model => options,
    };
    options.open(&args.model).with_context(|| format!("cannot use the model \"{}\"", args.model))
}

/// A cross-encoder by its name, run as the encoder is.
pub(crate) fn reranker(name: &str, args: &EncoderArgs) -> Result<CrossEncoder> {
    let mut options = CrossEncoder::options().backend(backend(args.backend));
    if let Some(threads) = args.threads {
        options = options.threads(threads);
    }
    options.open(name).with_context(|| format!("cannot use the model \"{name}\""))
}

/// Options for a collection whose texts will be encoded. The default model is loaded no sooner than needed.
pub(crate) fn with_encoder(args: &EncoderArgs) -> Result<CollectionOptions> {
    let is_default = args.model.is_none()
        && args.precision == PrecisionArg::Auto
        && args.backend == BackendArg::Cpu
        && args.threads.is_none();
    let options = Collection::options();
    Ok(progress::on_open(if is_default { options } else { options.encoder(encoder(args)?) }))
}

/// Options for a collection of which texts are only read.
pub(crate) fn without_encoder() -> CollectionOptions {
    progress::on_open(Collection::options().without_encoder())
}

/// The collection beside other readers; for writing if a crash has to be mended first.
pub(crate) fn for_reading(path: &Path, options: impl Fn() -> Result<CollectionOptions>) -> Result<Collection> {
    let collection = match options()?.open_read_only(path) {
        Err(error) if error.kind() == ErrorKind::Misuse => options()?.open(path)?,
        opened => opened?,
    };
    report(&collection);
    Ok(collection)
}

/// Says on standard error what opening had to mend.
pub(crate) fn report(collection: &Collection) {
    if let Some(reason) = &collection.open_report().rebuilt {
        eprintln!("note: the index was rebuilt from the store: {reason}");
    }
}

fn precision(precision: PrecisionArg) -> Precision {
    match precision {
        PrecisionArg::Auto => Precision::Auto,
        PrecisionArg::F32 => Precision::F32,
        PrecisionArg::Int8 => Precision::Int8,
    }
}

fn backend(backend: BackendArg) -> BackendKind {
    match backend {
        BackendArg::Cpu => BackendKind::Cpu,
        BackendArg::Candle => BackendKind::Candle,
    }
}

pub(crate) fn index(index: IndexArg) -> Index {
    match index {
        IndexArg::Auto => Index::Auto,
        IndexArg::Exact => Index::Exact,
        IndexArg::Hnsw => Index::Hnsw,
    }
}

/// How a new collection's words are searched.
pub(crate) fn words(options: CollectionOptions, language: LanguageArg) -> CollectionOptions {
    match language.0 {
        Some(language) => options.language(language),
        None => options.without_words(),
    }
}

pub(crate) fn mode(mode: ModeArg) -> Mode {
    match mode {
        ModeArg::Dense => Mode::Dense,
        ModeArg::Lexical => Mode::Lexical,
        ModeArg::Hybrid => Mode::Hybrid,
    }
}

pub(crate) fn fusion(fusion: FusionArg) -> Fusion {
    match fusion {
        FusionArg::Weighted => Fusion::default(),
        FusionArg::Rrf => Fusion::ReciprocalRank { k: 60.0 },
    }
}
