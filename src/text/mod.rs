//! Words to token ids, exactly as the reference does it.

mod template;
mod tokenizer;
mod word_piece;

#[cfg(test)]
mod tests;

pub(crate) use tokenizer::{PairTokenizer, Tokenizer, Tokens};
