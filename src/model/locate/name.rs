//! What a model is called on the hub, checked so that it can be part of a path and of an address.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The organisations that a name without one may mean, most likely first. A bare name comes last: the hub has moved
/// all of those to an organisation.
const ORGANISATIONS: [&str; 2] = ["sentence-transformers", "cross-encoder"];

/// A model's name on the Hugging Face hub, with or without a revision: `sentence-transformers/all-MiniLM-L6-v2`,
/// `all-MiniLM-L6-v2`, `org/name@v1.0`, `org/name@<commit>`.
///
/// ```
/// use marcato::ModelName;
/// let name: ModelName = "cross-encoder/ms-marco-MiniLM-L6-v2@main".parse()?;
/// assert_eq!((name.repository(), name.revision()), ("cross-encoder/ms-marco-MiniLM-L6-v2", Some("main")));
/// assert!("../../etc".parse::<ModelName>().is_err());
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    repository: String,
    revision: Option<String>,
}

impl ModelName {
    /// `org/name`, or `name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The branch, tag or commit, where one was given; `main` is meant otherwise.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The names that it may stand for, in the order in which they are tried: itself, or for a name without an
    /// organisation those of sentence-transformers and cross-encoder before.
    pub fn candidates(&self) -> Vec<Self> {
        if self.repository.contains('/') {
            return vec![self.clone()];
        }
        let within = |organisation: &&str| Self {
            repository: format!("{organisation}/{}", self.repository),
            revision: self.revision.clone(),
        };
        ORGANISATIONS.iter().map(within).chain([self.clone()]).collect()
    }

    /// The folder of its repository in a cache: `models--org--name`.
    pub fn folder(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        // The hub's own rules; `--` and `..` are what the names of folders rely on.
        let plain = |part: &str, most: usize| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            (1..=most).contains(&part.len()) && part.chars().all(fits) && !part.starts_with('.')
        };
        let unambiguous = |text: &str| !text.contains("--") && !text.contains("..");
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| plain(part, 96)) || !unambiguous(repository) {
            return Err(Error::misuse(format!(
                "\"{text}\" is not a model's name; names look like \"sentence-transformers/all-MiniLM-L6-v2\", with or \
                 without @REVISION"
            )));
        }
        if let Some(revision) = revision
            && (!revision.split('/').all(|part| plain(part, 200)) || revision.contains(".."))
        {
            return Err(Error::misuse(format!("\"{revision}\" is not a revision; give a branch, a tag or a commit")));
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.map(str::to_owned) })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}
