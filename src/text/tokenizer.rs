//! A model's tokenizer: `tokenizer.json` run by the reference's own crate, with truncation and padding taken over.
//!
//! The file is not trusted: the crate panics on some malformed ones, bakes in other limits than the model has, and
//! tokenizes the whole of a text before it cuts it off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece as Reference;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{
    DecoderWrapper, Encoding, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl, TruncationParams,
    truncate_encodings,
};

use super::template::Template;
use super::word_piece::{WordPiece, WordPieceParts};
use crate::error::{Error, Result};

/// Bytes of text looked at first, per token that the model takes: four times what English needs.
const BYTES_PER_TOKEN: usize = 24;

/// The most bytes of a text that are looked at: the crate needs some 400 bytes of memory for each. A text whose first
/// tokens need more than this (a word of a million letters) is the one case where the reference sees further.
const MAX_BYTES: usize = 1 << 20;

/// A text as the encoder takes it, special tokens included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    pub(crate) type_ids: Vec<u32>,
}

/// A tokenizer with its model's limits; holds no state between texts.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// A faster way to the same tokens, for most texts.
    fast: Option<Fast>,
    max_tokens: usize,
    drops_white_space: bool,
}

/// What does for a WordPiece tokenizer and a text in ASCII.
struct Fast {
    pieces: WordPiece,
    template: Template,
}

impl Fast {
    /// The template is what the crate makes of `sequences` texts whose tokens are told from all others.
    fn new(inner: &tokenizers::Tokenizer, pieces: Option<WordPiece>, sequences: usize) -> Result<Option<Self>> {
        let Some(pieces) = pieces else { return Ok(None) };
        let template = Template::probe(sequences, |texts| {
            let encoding = |ids: &Vec<u32>| {
                let token = |id: &u32| tokenizers::Token::new(*id, String::new(), (0, 0));
                Encoding::from_tokens(ids.iter().map(token).collect(), 0)
            };
            let mut encodings = texts.iter().map(encoding);
            post_process(inner, encodings.next().unwrap_or_default(), encodings.next())
        })?;
        Ok(template.map(|template| Self { pieces, template }))
    }
}

impl Tokenizer {
    /// `json` is the content of `tokenizer.json`; `vocabulary` the rows of the word table that its ids index.
    pub(crate) fn new(json: &[u8], max_tokens: usize, lowercase: bool, vocabulary: usize) -> Result<Self> {
        let (mut inner, pieces) = load(json, lowercase, vocabulary)?;
        let special_tokens = special_tokens(&run(&inner, "")?, vocabulary)?;
        let fast = Fast::new(&inner, pieces, 1)?;
        if special_tokens >= max_tokens {
            return Err(Error::model(format!(
                "tokenizer.json adds {special_tokens} special tokens, which leaves no room in a maximum of {max_tokens}"
            )));
        }
        let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        inner
            .with_truncation(Some(truncation))
            .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
        let drops_white_space = drops_white_space(&inner)?;
        Ok(Self { inner, fast, max_tokens, drops_white_space })
    }

    /// How many tokens a prompt puts before the first one of a text, as the reference counts: those of the prompt alone,
    /// without a special token at the end.
    pub(crate) fn prompt_tokens(&self, prompt: &str) -> Result<usize> {
        let ids = self.encode(prompt)?.ids;
        let added = self.inner.get_added_tokens_decoder();
        let ends_special = ids.last().and_then(|id| added.get(id)).is_some_and(|token| token.special);
        Ok(ids.len() - usize::from(ends_special))
    }

    /// The tokens of `text`, cut to the model's maximum as the reference cuts (from the right, special tokens kept).
    pub(crate) fn encode(&self, text: &str) -> Result<Tokens> {
        match self.encode_fast(text) {
            Some(tokens) => Ok(tokens),
            None => self.encode_by_reference(text),
        }
    }

    /// `None` if the text is not of the kind that the fast way is for.
    pub(super) fn encode_fast(&self, text: &str) -> Option<Tokens> {
        let Fast { pieces, template } = self.fast.as_ref().filter(|_| is_short(text, self.max_tokens))?;
        let ids = pieces.encode(text)?;
        let room = self.max_tokens.saturating_sub(template.special_tokens());
        Some(template.fill([ids.get(..room).unwrap_or(&ids)]))
    }

    fn encode_by_reference(&self, text: &str) -> Result<Tokens> {
        let text = trimmed(text, self.drops_white_space);
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

/// A tokenizer of pairs: two texts in one sequence, as the file's template joins them.
///
/// The crate is not told the maximum: from that, version 0.23.2 stops within a text, and no longer knows which of two long
/// ones is the longer. Other versions of it, and so the reference, do.
pub(crate) struct PairTokenizer {
    inner: tokenizers::Tokenizer,
    /// As in [`Tokenizer`].
    fast: Option<Fast>,
    max_tokens: usize,
    special_tokens: usize,
    drops_white_space: bool,
}

impl PairTokenizer {
    /// As [`Tokenizer::new`].
    pub(crate) fn new(json: &[u8], max_tokens: usize, lowercase: bool, vocabulary: usize) -> Result<Self> {
        let (inner, pieces) = load(json, lowercase, vocabulary)?;
        let special_tokens = special_tokens(&join(&inner, tokenize(&inner, "")?, tokenize(&inner, "")?)?, vocabulary)?;
        if special_tokens >= max_tokens {
            return Err(Error::model(format!(
                "tokenizer.json adds {special_tokens} special tokens to a pair, which leaves no room in a maximum of {max_tokens}"
            )));
        }
        let fast = Fast::new(&inner, pieces, 2)?;
        let drops_white_space = drops_white_space(&inner)?;
        Ok(Self { inner, fast, max_tokens, special_tokens, drops_white_space })
    }

    /// Special tokens that a pair has, whatever its texts.
    pub(crate) const fn special_tokens(&self) -> usize {
        self.special_tokens
    }

    /// Tokens that a pair may have.
    pub(crate) const fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The same with another maximum, which must be more than the special tokens.
    pub(crate) fn with_max_tokens(self, max_tokens: usize) -> Self {
        Self { max_tokens, ..self }
    }

    /// The tokens of a pair, cut to the maximum as the reference cuts (`longest_first`: from the right of the longer
    /// text until both are equally long, special tokens kept).
    pub(crate) fn encode(&self, first: &str, second: &str) -> Result<Tokens> {
        match self.encode_fast(first, second) {
            Some(tokens) => Ok(tokens),
            None => self.encode_by_reference(first, second),
        }
    }

    /// `None` if the texts are not of the kind that the fast way is for.
    pub(super) fn encode_fast(&self, first: &str, second: &str) -> Option<Tokens> {
        let short = |text| is_short(text, self.max_tokens);
        let Fast { pieces, template } = self.fast.as_ref().filter(|_| short(first) && short(second))?;
        let (first, second) = (pieces.encode(first)?, pieces.encode(second)?);
        let room = self.max_tokens.saturating_sub(template.special_tokens());
        let (a, b) = kept_of_pair(first.len(), second.len(), room);
        Some(template.fill([first.get(..a).unwrap_or(&first), second.get(..b).unwrap_or(&second)]))
    }

    fn encode_by_reference(&self, first: &str, second: &str) -> Result<Tokens> {
        let room = self.max_tokens.saturating_sub(self.special_tokens);
        let start = self.max_tokens.saturating_mul(BYTES_PER_TOKEN);
        let begin = |text| Side::begin(&self.inner, trimmed(text, self.drops_white_space), start);
        let (mut first, mut second) = (begin(first)?, begin(second)?);
        loop {
            let (a, b) = (first.count(), second.count());
            // Which of two texts that are both cut gets the odd token depends on which is longer.
            let ordered = room.is_multiple_of(2)
                || match (first.whole, second.whole) {
                    (true, true) => true,
                    (true, false) => b > a,
                    (false, true) => a > b,
                    (false, false) => false,
                };
            let grown = first.grow(&self.inner, room, ordered)? | second.grow(&self.inner, room, ordered)?;
            if !grown {
                break;
            }
        }
        let truncation = TruncationParams { max_length: room, ..TruncationParams::default() };
        let (mut first, second) = truncate_encodings(first.tokens, Some(second.tokens), &truncation)
            .map_err(|source| Error::model("the tokenizer refuses this pair").with_source(source))?;
        let mut second = second.unwrap_or_default();
        // What is cut off is kept in pieces, and the crate would join each of the first with each of the second.
        first.take_overflowing();
        second.take_overflowing();
        join(&self.inner, first, second)
    }
}

/// One text of a pair, as far as it has been looked at.
struct Side<'a> {
    text: &'a str,
    end: usize,
    tokens: Encoding,
    whole: bool,
}

impl<'a> Side<'a> {
    fn begin(tokenizer: &tokenizers::Tokenizer, text: &'a str, end: usize) -> Result<Self> {
        let prefix = whole_words(text, end);
        Ok(Self { text, end, tokens: tokenize(tokenizer, prefix)?, whole: prefix.len() == text.len() })
    }

    fn count(&self) -> usize {
        self.tokens.get_ids().len()
    }

    /// Looks at more of the text if that could change what is kept of it; says whether it did.
    fn grow(&mut self, tokenizer: &tokenizers::Tokenizer, room: usize, ordered: bool) -> Result<bool> {
        if self.whole || self.end >= MAX_BYTES || (self.count() >= room && ordered) {
            return Ok(false);
        }
        *self = Self::begin(tokenizer, self.text, self.end.saturating_mul(8))?;
        Ok(true)
    }
}

/// A tokenizer whose kind of model is known.
type Known<M> = TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// The tokenizer in `json`, which the crate reads three times over if it has to find out the kind of model. So it is
/// asked for the usual kinds first: whatever is not exactly of one of them, it judges by itself.
fn parse(json: &[u8]) -> tokenizers::Result<tokenizers::Tokenizer> {
    let word_piece = Known::<Reference>::from_bytes(json).map(Into::into);
    let known = word_piece.or_else(|_| Known::<BPE>::from_bytes(json).map(Into::into));
    known.or_else(|_| tokenizers::Tokenizer::from_bytes(json))
}

/// The tokenizer in `json` with nothing of its limits, and all its ids within the word table; and its pieces, if that is
/// all that there is to it.
fn load(json: &[u8], lowercase: bool, vocabulary: usize) -> Result<(tokenizers::Tokenizer, Option<WordPiece>)> {
    let mut inner = guarded("tokenizer.json makes the tokenizer crate panic", || parse(json))?
        .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
    // What the file bakes in is that of its training run: all-MiniLM-L6-v2 has 128 where the model has 256.
    inner.with_padding(None);
    inner.with_truncation(None).map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
    let lowercases = match (inner.get_normalizer(), inner.get_pre_tokenizer()) {
        (Some(NormalizerWrapper::BertNormalizer(bert)), Some(PreTokenizerWrapper::BertPreTokenizer(_))) => {
            Some(bert.lowercase || lowercase)
        }
        _ => None,
    };
    if lowercase {
        // In the tokenizer, as the reference does it, and not before: "[CLS]" in a text stays a special token.
        let steps = [Some(NormalizerWrapper::from(Lowercase)), inner.get_normalizer().cloned()];
        let normalizer = Sequence::new(steps.into_iter().flatten().collect());
        inner
            .with_normalizer(Some(normalizer))
            .map_err(|source| Error::model("tokenizer.json is malformed").with_source(source))?;
    }
    let tokens = inner.get_vocab(true);
    if let Some((token, &id)) = tokens.iter().max_by_key(|(_, id)| **id)
        && beyond(id, vocabulary)
    {
        return Err(Error::model(format!(
            "tokenizer.json gives token \"{token}\" the id {id}, but the model has {vocabulary} word embeddings"
        )));
    }
    let pieces = match (inner.get_model(), lowercases) {
        (ModelWrapper::WordPiece(model), Some(lowercase)) => WordPiece::new(WordPieceParts {
            vocabulary: tokens,
            added_tokens: inner.get_added_tokens_decoder().into_values().map(|token| token.content).collect(),
            unknown_token: &model.unk_token,
            continuing_prefix: &model.continuing_subword_prefix,
            longest_word: model.max_input_chars_per_word,
            lowercase,
        }),
        _ => None,
    };
    Ok((inner, pieces))
}

/// Whether nothing of `text` can be beyond what is looked at, so that its tokens may be counted.
fn is_short(text: &str, max_tokens: usize) -> bool {
    text.len() <= max_tokens.saturating_mul(BYTES_PER_TOKEN).min(MAX_BYTES)
}

/// How many tokens are kept of two texts with so many, if there is `room` for so many in all: the longer is cut until
/// both are equally long, and then both.
fn kept_of_pair(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first.saturating_add(second) <= room {
        return (first, second);
    }
    let (half, other_half) = (room / 2, room - room / 2);
    if first <= second {
        if first > half { (half, other_half) } else { (first, room - first) }
    } else if second > half {
        (other_half, half)
    } else {
        (room - second, second)
    }
}

/// How many special tokens there are in `tokens`, which are those of no text; at least one.
fn special_tokens(tokens: &Tokens, vocabulary: usize) -> Result<usize> {
    // The template has ids of its own, which need not be in the vocabulary.
    if let Some(id) = tokens.ids.iter().find(|id| beyond(**id, vocabulary)) {
        return Err(Error::model(format!(
            "tokenizer.json adds a special token with the id {id}, but the model has {vocabulary} word embeddings"
        )));
    }
    if tokens.ids.is_empty() {
        // The reference's own BERT tokenizer adds them even so; and a blank text would have no tokens at all.
        return Err(Error::model("tokenizer.json adds no special tokens: its \"post_processor\" has to"));
    }
    Ok(tokens.ids.len())
}

/// Whether white space around a text has no tokens: BERT's drops it, byte-level BPE does not.
fn drops_white_space(tokenizer: &tokenizers::Tokenizer) -> Result<bool> {
    Ok(run(tokenizer, "\u{1c}\u{85} \n\u{3000}a \t\u{a0}")? == run(tokenizer, "a")?)
}

/// A text as it is looked at, so that a blank megabyte before the first word does not hide it.
fn trimmed(text: &str, drops_white_space: bool) -> &str {
    if drops_white_space { text.trim_matches(is_python_whitespace) } else { text }
}

fn beyond(id: u32, vocabulary: usize) -> bool {
    usize::try_from(id).map_or(true, |id| id >= vocabulary)
}

fn run(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Tokens> {
    guarded("the tokenizer crate panics on this text", || tokenizer.encode_fast(text, true))?
        .map(Tokens::from)
        .map_err(|source| Error::model("the tokenizer refuses this text").with_source(source))
}

/// A text without special tokens.
fn tokenize(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Encoding> {
    guarded("the tokenizer crate panics on this text", || tokenizer.encode_fast(text, false))?
        .map_err(|source| Error::model("the tokenizer refuses this text").with_source(source))
}

/// Two texts without special tokens to a pair with them.
fn join(tokenizer: &tokenizers::Tokenizer, first: Encoding, second: Encoding) -> Result<Tokens> {
    post_process(tokenizer, first, Some(second))
}

/// A text, or two, to a sequence with special tokens.
fn post_process(tokenizer: &tokenizers::Tokenizer, first: Encoding, second: Option<Encoding>) -> Result<Tokens> {
    guarded("the tokenizer crate panics on this pair", || tokenizer.post_process(first, second, true))?
        .map(Tokens::from)
        .map_err(|source| Error::model("the tokenizer refuses this pair").with_source(source))
}

impl From<Encoding> for Tokens {
    fn from(encoding: Encoding) -> Self {
        Self { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec() }
    }
}

/// The prefix of about `end` bytes that ends before white space, or the whole text if that is no longer.
fn whole_words(text: &str, end: usize) -> &str {
    let limit = text.floor_char_boundary(MAX_BYTES);
    let within = text.get(..limit).unwrap_or(text);
    let from = text.ceil_char_boundary(end);
    // ASCII only: BERT's normalizer drops some of Unicode's white space (U+0085) and so joins the words around it. And
    // not inside of a run of it, of which byte-level BPE makes one piece.
    let mut inside = true;
    let end = within.get(from..).and_then(|rest| {
        rest.find(|c: char| {
            let ends = !inside && matches!(c, ' ' | '\n' | '\t' | '\r');
            inside = c.is_whitespace();
            ends
        })
    });
    match end {
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
