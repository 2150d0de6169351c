//! What a query gives back.

use crate::passage::{Metadata, PassageId};

/// A passage that answers a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The passage's id.
    pub id: PassageId,
    /// The similarity of query and passage by the collection's measure, computed in f32 from the stored embedding;
    /// the same whichever index found it. Higher is better.
    pub score: f32,
    /// The passage's title, if it has one.
    pub title: Option<String>,
    /// The passage's text.
    pub text: String,
    /// What else is known of it.
    pub metadata: Metadata,
}
