//! BERT's tokenization of ASCII text: equal to the reference's crate, at a fraction of its cost.
//!
//! The crate keeps track of where in the original text each piece came from, through every normalization; nobody here
//! asks for it. Of its steps ASCII text needs little: words end at white space, punctuation is a word of its own, and a
//! word is cut into the longest pieces of the vocabulary, from the left. A text with anything else in it (other
//! characters, control characters, what could be an added token) is left to the crate.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A WordPiece vocabulary laid out for texts in ASCII.
pub(super) struct WordPiece {
    /// Pieces that a word may begin with.
    beginnings: Pieces,
    /// Pieces that may follow, without their prefix.
    continuations: Pieces,
    unknown: u32,
    /// Bytes that a word may have before it counts as unknown.
    longest_word: usize,
    /// Bytes of the longest piece.
    longest_piece: usize,
    lowercase: bool,
    added_tokens: Vec<Box<[u8]>>,
    /// Of each byte, whether an added token may begin with it.
    begins_added_token: [bool; 256],
}

type Pieces = HashMap<Box<[u8]>, u32, BuildHasherDefault<PieceHasher>>;

/// What a WordPiece tokenizer is made of, as its file says it.
pub(super) struct WordPieceParts<'a> {
    /// Every token, the added ones too, with its id.
    pub(super) vocabulary: HashMap<String, u32>,
    pub(super) added_tokens: Vec<String>,
    pub(super) unknown_token: &'a str,
    pub(super) continuing_prefix: &'a str,
    pub(super) longest_word: usize,
    pub(super) lowercase: bool,
}

impl WordPiece {
    /// `None` if the tokenizer is one whose treatment of ASCII text we cannot tell.
    pub(super) fn new(parts: WordPieceParts<'_>) -> Option<Self> {
        let unknown = *parts.vocabulary.get(parts.unknown_token)?;
        // One that is normalized before it is looked for could be found in a text that does not contain it.
        let plain = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !parts.added_tokens.iter().all(plain) {
            return None;
        }
        let mut begins_added_token = [false; 256];
        let mark =
            |byte: u8| begins_added_token.get_mut(usize::from(byte)).into_iter().for_each(|begins| *begins = true);
        let first_bytes = parts.added_tokens.iter().filter_map(|token| token.bytes().next());
        first_bytes.flat_map(|byte| [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]).for_each(mark);

        let bytes = |text: &str| Box::from(text.as_bytes());
        let mut beginnings = Pieces::default();
        let mut continuations = Pieces::default();
        let mut longest_piece = 0;
        for (token, id) in parts.vocabulary.iter().filter(|(token, _)| token.is_ascii()) {
            longest_piece = longest_piece.max(token.len());
            beginnings.insert(bytes(token), *id);
            if let Some(rest) = token.strip_prefix(parts.continuing_prefix) {
                continuations.insert(bytes(rest), *id);
            }
        }
        Some(Self {
            beginnings,
            continuations,
            unknown,
            longest_word: parts.longest_word,
            longest_piece,
            lowercase: parts.lowercase,
            added_tokens: parts.added_tokens.iter().map(|token| bytes(token)).collect(),
            begins_added_token,
        })
    }

    /// The ids of `text` without special tokens; `None` if the text is for the crate.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        let mut word = Vec::with_capacity(self.longest_word);
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            if self.begins_added_token.get(usize::from(byte)) == Some(&true) && self.is_added_token(text, at) {
                return None;
            }
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.finish(&mut word, &mut ids),
                _ if byte.is_ascii_punctuation() => {
                    self.finish(&mut word, &mut ids);
                    self.cut(&[byte], &mut ids);
                }
                _ if byte.is_ascii_graphic() => {
                    word.push(if self.lowercase { byte.to_ascii_lowercase() } else { byte });
                }
                _ => return None,
            }
        }
        self.finish(&mut word, &mut ids);
        Some(ids)
    }

    /// Whether the text at `at` could begin with an added token, in whatever case: some are looked for in the normalized text.
    fn is_added_token(&self, text: &str, at: usize) -> bool {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        let begins = |token: &[u8]| rest.get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token));
        self.added_tokens.iter().any(|token| begins(token))
    }

    fn finish(&self, word: &mut Vec<u8>, ids: &mut Vec<u32>) {
        if !word.is_empty() {
            self.cut(word, ids);
            word.clear();
        }
    }

    fn cut(&self, word: &[u8], ids: &mut Vec<u32>) {
        if word.len() > self.longest_word {
            return ids.push(self.unknown);
        }
        let before = ids.len();
        let mut pieces = &self.beginnings;
        let mut rest = word;
        while !rest.is_empty() {
            let longest = rest.len().min(self.longest_piece);
            let split = |length| rest.split_at_checked(length);
            let known = |(piece, after)| pieces.get(piece).map(|id| (*id, after));
            let Some((id, after)) = (1..=longest).rev().filter_map(split).find_map(known) else {
                ids.truncate(before);
                return ids.push(self.unknown);
            };
            ids.push(id);
            (pieces, rest) = (&self.continuations, after);
        }
    }
}

/// For keys of a few bytes that come from a file: the standard hasher takes longer than the look-up.
#[derive(Default)]
struct PieceHasher(u64);

impl Hasher for PieceHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The length that a slice puts before its bytes, which the hash of the bytes depends on as it is.
    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
