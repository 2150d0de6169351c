//! What a collection asks of an encoder, so that an application can bring its own.

use crate::embedding::Embedding;
use crate::error::Result;
use crate::similarity::Similarity;

/// Turns queries and passages into embeddings of one width.
///
/// [`BiEncoder`](crate::BiEncoder) is the one that comes with Marcato. Implement it for a remote service, another
/// runtime, or a test:
///
/// ```
/// use marcato::{Collection, Embedding, Encoder, Result, Similarity};
///
/// /// Counts vowels: enough to show the shape.
/// struct Vowels;
///
/// impl Encoder for Vowels {
///     fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
///         self.encode_passages(texts)
///     }
///     fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
///         let count = |text: &str, vowel| 0.1 + text.matches(vowel).count() as f32;
///         texts.iter().map(|text| Embedding::new(['a', 'e', 'i', 'o', 'u'].map(|vowel| count(text, vowel)))).collect()
///     }
///     fn dimension(&self) -> usize { 5 }
///     fn similarity(&self) -> Similarity { Similarity::Cosine }
///     fn fingerprint(&self) -> &str { "vowels-1" }
///     fn max_tokens(&self) -> usize { usize::MAX }
/// }
///
/// let notes = Collection::options().encoder(Vowels).in_memory()?;
/// notes.add(["aaa", "eee"])?;
/// assert_eq!(notes.query("banana").top(1).run()?[0].text, "aaa");
/// # Ok::<(), marcato::Error>(())
/// ```
pub trait Encoder: Send + Sync {
    /// One embedding per query, in order.
    ///
    /// # Errors
    /// Whatever keeps it from encoding; [`Error::new`](crate::Error::new) makes one.
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>>;

    /// One embedding per passage, in order.
    ///
    /// # Errors
    /// Whatever keeps it from encoding; [`Error::new`](crate::Error::new) makes one.
    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>>;

    /// Numbers per embedding.
    fn dimension(&self) -> usize;

    /// The similarity that the embeddings are made for.
    fn similarity(&self) -> Similarity;

    /// Changes whenever the embedding of any text would. A collection stores it and refuses another encoder.
    fn fingerprint(&self) -> &str;

    /// Tokens of a text that reach its embedding.
    fn max_tokens(&self) -> usize;

    /// What people call it; a collection stores it for messages.
    fn name(&self) -> &str {
        "the application's own"
    }
}
