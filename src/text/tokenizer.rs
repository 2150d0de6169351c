//! A model's tokenizer: `tokenizer.json` run by the reference's own crate, with truncation and padding taken over.
//!
//! The file is not trusted: the crate panics on some malformed ones, bakes in other limits than the model has, and
//! tokenizes the whole of a text before it cuts it off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{DecoderWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl, TruncationParams};

use crate::error::{Error, Result};

/// Bytes of text looked at first, per token that the model takes: four times what English needs.
const BYTES_PER_TOKEN: usize = 24;

/// The most bytes of a text that are looked at: the crate needs some 400 bytes of memory for each. A text whose first
/// tokens need more than this (a word of a million letters) is the one case where the reference sees further.
const MAX_BYTES: usize = 1 << 20;

/// A text as the encoder takes it, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    pub(crate) type_ids: Vec<u32>,
}

/// A tokenizer with its model's limits; holds no state between texts.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_tokens: usize,
}

impl Tokenizer {
    /// `json` is the content of `tokenizer.json`; `vocabulary` the rows of the word table that its ids index.
    pub(crate) fn new(json: &[u8], max_tokens: usize, lowercase: bool, vocabulary: usize) -> Result<Self> {
        let mut inner = guarded("tokenizer.json makes the tokenizer crate panic", || parse(json))?
            .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
        // What the file bakes in is that of its training run: all-MiniLM-L6-v2 has 128 where the model has 256.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
        if lowercase {
            // In the tokenizer, as the reference does it, and not before: "[CLS]" in a text stays a special token.
            let steps = [Some(NormalizerWrapper::from(Lowercase)), inner.get_normalizer().cloned()];
            let normalizer = Sequence::new(steps.into_iter().flatten().collect());
            inner
                .with_normalizer(Some(normalizer))
                .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
        }
        let beyond = |id: u32| usize::try_from(id).map_or(true, |id| id >= vocabulary);
        let largest = inner.get_vocab(true).into_iter().max_by_key(|(_, id)| *id);
        if let Some((token, id)) = largest
            && beyond(id)
        {
            return Err(Error::model(format!(
                "tokenizer.json gives token \"{token}\" the id {id}, but the model has {vocabulary} word embeddings"
            )));
        }
        let special = run(&inner, "")?.ids;
        // The template has ids of its own, which need not be in the vocabulary.
        if let Some(id) = special.iter().find(|id| beyond(**id)) {
            return Err(Error::model(format!(
                "tokenizer.json adds a special token with the id {id}, but the model has {vocabulary} word embeddings"
            )));
        }
        let special_tokens = special.len();
        if special_tokens == 0 {
            // The reference's own BERT tokenizer adds them even so; and a blank text would have no tokens at all.
            return Err(Error::model("tokenizer.json adds no special tokens: its \"post_processor\" has to"));
        }
        if special_tokens >= max_tokens {
            return Err(Error::model(format!(
                "tokenizer.json adds {special_tokens} special tokens, which leaves no room in a maximum of {max_tokens}"
            )));
        }
        let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        inner
            .with_truncation(Some(truncation))
            .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
        Ok(Self { inner, max_tokens })
    }

    /// The tokens of `text`, cut to the model's maximum as the reference cuts (from the right, special tokens kept).
    pub(crate) fn encode(&self, text: &str) -> Result<Tokens> {
        // Older versions of the reference strip before the tokenizer sees the text; to BERT's it makes no difference.
        let text = text.trim_matches(is_python_whitespace);
        let mut end = self.max_tokens.saturating_mul(BYTES_PER_TOKEN);
        loop {
            // A prefix that ends between words has the leading tokens of the whole text, and once it fills the model
            // nothing beyond it counts. So a 10 MB text costs no more than a long one.
            let prefix = whole_words(text, end);
            let tokens = run(&self.inner, prefix)?;
            if tokens.ids.len() >= self.max_tokens || prefix.len() == text.len() || end >= MAX_BYTES {
                return Ok(tokens);
            }
            end = end.saturating_mul(8);
        }
    }
}

/// A tokenizer whose kind of model is known.
type Known<M> = TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// The tokenizer in `json`, which the crate reads three times over if it has to find out the kind of model. So it is
/// asked for the usual kinds first: whatever is not exactly of one of them, it judges by itself.
fn parse(json: &[u8]) -> tokenizers::Result<tokenizers::Tokenizer> {
    let word_piece = Known::<WordPiece>::from_bytes(json).map(Into::into);
    let known = word_piece.or_else(|_| Known::<BPE>::from_bytes(json).map(Into::into));
    known.or_else(|_| tokenizers::Tokenizer::from_bytes(json))
}

fn run(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Tokens> {
    let encoding = guarded("the tokenizer crate panics on this text", || tokenizer.encode_fast(text, true))?
        .map_err(|source| Error::model("the tokenizer refuses this text").with_source(source))?;
    Ok(Tokens { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() })
}

/// The prefix of about `end` bytes that ends before white space, or the whole text if that is no longer.
fn whole_words(text: &str, end: usize) -> &str {
    let limit = text.floor_char_boundary(MAX_BYTES);
    let within = text.get(..limit).unwrap_or(text);
    let from = text.ceil_char_boundary(end);
    // ASCII only: BERT's normalizer drops some of Unicode's white space (U+0085) and so joins the words around it.
    match within.get(from..).and_then(|rest| rest.find([' ', '\n', '\t', '\r'])) {
        Some(at) => text.get(..from + at).unwrap_or(text),
        None => within,
    }
}

/// What `str.strip` of Python takes off: Unicode white space and the separators of ASCII.
fn is_python_whitespace(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Runs a call into the tokenizer crate; its panics on malformed files become errors.
fn guarded<T>(message: &'static str, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Error::model(message))
}
