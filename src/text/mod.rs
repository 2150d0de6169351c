//! Words to token ids, exactly as the reference does it.

mod tokenizer;

#[cfg(test)]
mod tests;

pub(crate) use tokenizer::{PairTokenizer, Tokenizer, Tokens};
