//! What a tokenizer puts around and between texts: special tokens, and the type of each token.

use super::Tokens;
use crate::error::Result;

/// Ids that no vocabulary has, which stand for tokens of a text.
const MARKS: [u32; 4] = [u32::MAX, u32::MAX - 1, u32::MAX - 2, u32::MAX - 3];

/// The special tokens of a sequence, learned from the tokenizer by what it makes of marked texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// What comes before each text, and after the last one.
    special: Vec<Tokens>,
    /// The type of each text's tokens.
    types: Vec<u32>,
}

impl Template {
    /// `post_process` makes a sequence of `sequences` texts (one or two), given by their ids. `None` if what it does is more
    /// than to put tokens between them.
    pub(super) fn probe(
        sequences: usize,
        post_process: impl Fn(&[Vec<u32>]) -> Result<Tokens>,
    ) -> Result<Option<Self>> {
        let marks = MARKS.get(..sequences).unwrap_or_default();
        let once: Vec<Vec<u32>> = marks.iter().map(|mark| vec![*mark]).collect();
        let Some(template) = Self::between(&post_process(&once)?, marks) else { return Ok(None) };
        let twice = once.iter().zip(MARKS.iter().rev()).map(|(text, mark)| [text.as_slice(), &[*mark]].concat());
        let twice: Vec<Vec<u32>> = twice.collect();
        let confirmed = post_process(&twice)? == template.fill(twice.iter().map(Vec::as_slice));
        Ok(confirmed.then_some(template))
    }

    /// The template of the sequence `tokens`, in which each of `marks` comes once, and in this order.
    fn between(tokens: &Tokens, marks: &[u32]) -> Option<Self> {
        let mut template = Self { special: vec![Tokens::default()], types: Vec::new() };
        for (id, type_id) in tokens.ids.iter().zip(&tokens.type_ids) {
            if marks.contains(id) {
                if marks.get(template.types.len()) != Some(id) {
                    return None;
                }
                template.types.push(*type_id);
                template.special.push(Tokens::default());
            } else if let Some(special) = template.special.last_mut() {
                special.ids.push(*id);
                special.type_ids.push(*type_id);
            }
        }
        (template.types.len() == marks.len()).then_some(template)
    }

    pub(super) fn special_tokens(&self) -> usize {
        self.special.iter().map(|special| special.ids.len()).sum()
    }

    /// The sequence of `texts`, given by their ids.
    pub(super) fn fill<'a>(&self, texts: impl IntoIterator<Item = &'a [u32]> + Clone) -> Tokens {
        let count = self.special_tokens() + texts.clone().into_iter().map(<[u32]>::len).sum::<usize>();
        let mut tokens = Tokens { ids: Vec::with_capacity(count), type_ids: Vec::with_capacity(count) };
        let mut texts = texts.into_iter().zip(&self.types);
        for special in &self.special {
            tokens.ids.extend_from_slice(&special.ids);
            tokens.type_ids.extend_from_slice(&special.type_ids);
            if let Some((ids, type_id)) = texts.next() {
                tokens.ids.extend_from_slice(ids);
                tokens.type_ids.extend(std::iter::repeat_n(*type_id, ids.len()));
            }
        }
        tokens
    }
}
