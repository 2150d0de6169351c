//! What the hub says a model's repository holds at one commit, as far as it can be believed.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, anyhow};
use marcato::ModelName;
use serde::Deserialize;
use ureq::Body;
use ureq::http::Response;

use super::client::{Client, is_page};
use super::digest::Expected;
use super::failure::{Failure, patiently};

/// More than any listing has; a larger answer is refused.
const MAX_LISTING_BYTES: u64 = 16 << 20;

/// The files of a repository at a commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    /// By their names, which are the server's word: only names that were asked for are used.
    pub(super) files: BTreeMap<String, Listed>,
}

/// A file's size and content, where the hub says.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) bytes: Option<u64>,
    pub(super) content: Option<Expected>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Asks the hub; `Absent` if it has no such repository.
    pub(super) fn ask(client: &Client, name: &ModelName) -> Result<Self, Failure> {
        let revision = name.revision().unwrap_or("main").replace('/', "%2F");
        let path = format!("/api/models/{}/revision/{revision}?blobs=true", name.repository());
        let listing = patiently(|| {
            let response = client.get(&path, 0)?;
            let page = is_page(&response);
            let body = read(response)?;
            Self::parse(&body).map_err(|error| {
                let what = if page {
                    "the hub answers with a page for people, not with a listing; is there a proxy to log in to?"
                } else {
                    "the hub's listing is malformed"
                };
                Failure::fatal(error.context(what))
            })
        })?;
        let given = name.revision().filter(|revision| is_commit(revision));
        if given.is_some_and(|given| given != listing.commit) {
            return Err(Failure::fatal(anyhow!(
                "the hub answers with commit {}, not with the one asked for",
                listing.commit
            )));
        }
        Ok(listing)
    }

    fn parse(body: &[u8]) -> anyhow::Result<Self> {
        let Answer { sha, siblings } = serde_json::from_slice(body)?;
        // It becomes the name of a folder.
        if !is_commit(&sha) {
            return Err(anyhow!("its \"sha\" is not a commit"));
        }
        let mut files = BTreeMap::new();
        for Sibling { rfilename, size, blob_id, lfs } in siblings {
            let listed = match lfs {
                Some(Lfs { sha256, size }) => Listed {
                    bytes: Some(size),
                    content: Expected::from_hex(&sha256).filter(|content| matches!(content, Expected::Sha256(_))),
                },
                None => Listed {
                    bytes: size,
                    content: blob_id
                        .and_then(|blob| Expected::from_hex(&blob))
                        .filter(|content| matches!(content, Expected::GitBlob(_))),
                },
            };
            files.insert(rfilename, listed);
        }
        Ok(Self { commit: sha, files })
    }
}

fn read(response: Response<Body>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = response.into_body().into_reader().take(MAX_LISTING_BYTES + 1).read_to_end(&mut body);
    read.context("the hub's listing breaks off").map_err(|error| Failure::passing(error, None))?;
    if body.len() as u64 > MAX_LISTING_BYTES {
        return Err(Failure::fatal(anyhow!("the hub's listing has more than {MAX_LISTING_BYTES} bytes")));
    }
    Ok(body)
}

fn is_commit(text: &str) -> bool {
    matches!(Expected::from_hex(text), Some(Expected::GitBlob(_)))
}
