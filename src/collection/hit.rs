//! What a query gives back.

use super::highlight::Highlight;
use crate::field::Subject;
use crate::passage::{Metadata, PassageId};

/// A passage that answers a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The passage's id.
    pub id: PassageId,
    /// What the hit is ranked by; higher is better. By meaning: the similarity of query and passage by the collection's
    /// measure, computed in f32 from the stored embedding, the same whichever index found it. By words: BM25. By both:
    /// the fused score. After reranking: the reranker's.
    pub score: f32,
    /// What each stage said of it.
    pub scores: Scores,
    /// The passage's title, if it has one.
    pub title: Option<String>,
    /// The passage's text.
    pub text: String,
    /// What else is known of it.
    pub metadata: Metadata,
    /// Where in the text the answer is, if the query asked for it.
    pub highlight: Option<Highlight>,
}

impl Hit {
    /// What fields of it are looked up in.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { id: self.id.as_str(), title: self.title.as_deref(), text: &self.text, metadata: &self.metadata }
    }
}

/// The scores of a hit, stage by stage; a stage that did not look at it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// The similarity of query and passage.
    pub dense: Option<f32>,
    /// BM25 of the query's words in the passage.
    pub lexical: Option<f32>,
    /// Of meaning and words together.
    pub fused: Option<f32>,
    /// Of the last reranker that read it.
    pub rerank: Option<f32>,
}
