//! From arguments to encoders and collections.

use std::path::Path;

use anyhow::{Context, Result, bail};
use marcato::{
    BackendKind, BiEncoder, BiEncoderOptions, Collection, CollectionOptions, CrossEncoder, ErrorKind, Fusion, Index,
    Mode, ModelKind, Precision, ScoreActivation,
};

use crate::args::{
    ActivationArg, BackendArg, EncoderArgs, FusionArg, IndexArg, LanguageArg, Make, ModeArg, PrecisionArg, Score,
};
use crate::progress;

/// What `--model` may say for the model inside the program.
pub(crate) const BUILTIN: &str = "built-in";

/// The encoder that was asked for.
pub(crate) fn encoder(args: &EncoderArgs) -> Result<BiEncoder> {
    load(args.model.as_deref(), options(args))
}

/// The bi-encoder in a directory, in an artifact, or of a name; the built-in one if there is nothing given.
pub(crate) fn load(model: Option<&str>, options: BiEncoderOptions) -> Result<BiEncoder> {
    let Some(model) = model.filter(|model| *model != BUILTIN) else { return Ok(options.builtin()?) };
    options.open(model).with_context(|| format!("cannot use the model \"{model}\" (\"{BUILTIN}\" is the built-in one)"))
}

/// How it is to be loaded.
pub(crate) fn options(args: &EncoderArgs) -> BiEncoderOptions {
    let options = BiEncoder::options().precision(precision(args.precision)).backend(backend(args.backend));
    match args.threads {
        Some(threads) => options.threads(threads),
        None => options,
    }
}

/// Whether the model that was asked for is a cross-encoder; if there is none, opening it says so.
pub(crate) fn is_cross_encoder(args: &EncoderArgs) -> bool {
    let kind = args.model.as_deref().map(ModelKind::of);
    kind.is_some_and(|kind| kind.is_ok_and(|kind| kind == ModelKind::CrossEncoder))
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

/// A cross-encoder as it declares itself, with the threads and the backend of the bi-encoder that it follows.
pub(crate) fn reranker(model: &str, args: &EncoderArgs) -> Result<CrossEncoder> {
    let mut options = CrossEncoder::options().backend(backend(args.backend));
    if let Some(threads) = args.threads {
        options = options.threads(threads);
    }
    let cross_encoder = options.open(model).with_context(|| format!("cannot use the model \"{model}\""))?;
    let labels = &cross_encoder.info().labels;
    if labels.len() != 1 {
        bail!("cannot rerank with the model \"{model}\": it has {} labels, a reranker has one score", labels.len());
    }
    Ok(cross_encoder)
}

/// Options for a collection whose texts will be encoded: with the model that was asked for, or else with the one that it
/// was made with, which is loaded no sooner than needed.
pub(crate) fn with_encoder(args: &EncoderArgs) -> Result<CollectionOptions> {
    let collection = Collection::options();
    Ok(progress::on_open(match args.model {
        Some(_) => collection.encoder(encoder(args)?),
        None => collection.default_encoder(options(args)),
    }))
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
        eprintln!("note: the index is made anew from the store: {reason}");
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
        BackendArg::Cuda => BackendKind::Cuda,
        BackendArg::Metal => BackendKind::Metal,
    }
}

/// Options for a collection that is made if need be, as the arguments want it.
pub(crate) fn made(options: CollectionOptions, args: &Make) -> CollectionOptions {
    let options = options.index(index(args.index.unwrap_or(IndexArg::Auto)));
    match args.language {
        Some(LanguageArg(Some(language))) => options.language(language),
        Some(LanguageArg(None)) => options.without_words(),
        None => options,
    }
}

/// Says on standard error what of a collection that was there already is otherwise than was wanted.
pub(crate) fn report_made(collection: &Collection, args: &Make) {
    let stats = collection.stats();
    let stays = |option, name| {
        eprintln!("warning: {option} is for new collections; this one is there already, and stays with {name}");
    };
    if args.index.is_some_and(|wanted| index(wanted) != stats.index_setting) {
        stays("--index", stats.index_setting.name());
    }
    if args.language.is_some_and(|LanguageArg(wanted)| wanted != stats.language) {
        stays("--language", stats.language.map_or("off", |language| language.name()));
    }
}

fn index(index: IndexArg) -> Index {
    match index {
        IndexArg::Auto => Index::Auto,
        IndexArg::Exact => Index::Exact,
        IndexArg::Hnsw => Index::Hnsw,
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
