//! A test collection in a folder: passages, queries and judgements, as BEIR and MS MARCO lay them out.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Qrels;
use super::lines::{Line, Lines};
use crate::Passage;
use crate::error::{Error, ErrorKind, Result};

/// A test collection: passages to search, and judged queries of one split (`test`, `dev`, `train`).
///
/// Two layouts are known, told apart by the file that holds the passages:
///
/// | | BEIR | MS MARCO |
/// |---|---|---|
/// | passages | `corpus.jsonl`: `_id`, `title`, `text` | `collection.tsv`: id, text; or else `top1000.SPLIT.tsv` |
/// | queries | `queries.jsonl`: `_id`, `text` | `queries.SPLIT.tsv` or `queries.tsv`: id, text |
/// | judgements | `qrels/SPLIT.tsv` | `qrels.SPLIT.tsv` or `qrels.tsv` |
///
/// Judgements and the queries they are for are held in memory, passages are read one at a time.
#[derive(Clone, Debug)]
pub struct Dataset {
    passages: PathBuf,
    layout: Layout,
    queries: BTreeMap<String, String>,
    qrels: Qrels,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Beir,
    Collection,
    Top1000,
}

impl Dataset {
    /// Reads the queries and judgements of `split`.
    ///
    /// # Errors
    /// `NotFound` for a folder that is neither of the layouts, and for a split that is not there, naming those that
    /// are; `Misuse` naming file and line of what is malformed, for qrels without a judgement, and for a judged query
    /// that has no text; `Io`.
    pub fn open(folder: impl AsRef<Path>, split: &str) -> Result<Self> {
        let folder = folder.as_ref();
        let top1000 = format!("top1000.{split}.tsv");
        let known = [
            ("corpus.jsonl", Layout::Beir),
            ("collection.tsv", Layout::Collection),
            (top1000.as_str(), Layout::Top1000),
        ];
        let Some((name, layout)) = known.into_iter().find(|(name, _)| folder.join(name).is_file()) else {
            return Err(not_found(
                folder,
                format!(
                    "{} is no test collection: it has neither corpus.jsonl (BEIR) nor collection.tsv (MS MARCO)",
                    folder.display()
                ),
            ));
        };
        let (qrels_names, queries_names) = match layout {
            Layout::Beir => (vec![format!("qrels/{split}.tsv")], vec!["queries.jsonl".to_owned()]),
            Layout::Collection | Layout::Top1000 => (
                vec![format!("qrels.{split}.tsv"), "qrels.tsv".to_owned()],
                vec![format!("queries.{split}.tsv"), "queries.tsv".to_owned()],
            ),
        };
        let Some(qrels_path) = first_file(folder, &qrels_names) else {
            return Err(not_found(
                folder,
                format!("{} has no split \"{split}\"; there are: {}", folder.display(), splits(folder, layout)),
            ));
        };
        let Some(queries_path) = first_file(folder, &queries_names) else {
            return Err(not_found(folder, format!("{} has no {}", folder.display(), queries_names.join(" or "))));
        };
        let qrels = Qrels::read(&qrels_path)?;
        if qrels.is_empty() {
            return Err(Error::misuse(format!("{} holds no judgement", qrels_path.display())).with_path(qrels_path));
        }
        let queries = queries(&queries_path, layout, &qrels).map_err(|error| error.with_path(&queries_path))?;
        if let Some(query) = qrels.queries().find(|query| !queries.contains_key(*query)) {
            return Err(Error::misuse(format!(
                "{} judges query \"{query}\", which is not in {}",
                qrels_path.display(),
                queries_path.display()
            ))
            .with_path(qrels_path));
        }
        Ok(Self { passages: folder.join(name), layout, queries, qrels })
    }

    /// The judgements.
    pub fn qrels(&self) -> &Qrels {
        &self.qrels
    }

    /// The judged queries by id, with their texts.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.queries.iter().map(|(id, text)| (id.as_str(), text.as_str()))
    }

    /// The text of a judged query.
    pub fn query(&self, id: &str) -> Option<&str> {
        self.queries.get(id).map(String::as_str)
    }

    /// The file that the passages are read from.
    pub fn passages_path(&self) -> &Path {
        &self.passages
    }

    /// The passages, in the order of the file, each with its id.
    ///
    /// # Errors
    /// The file's when it is opened. In the items `Misuse`, naming file and line, and `Io`.
    pub fn passages(&self) -> Result<impl Iterator<Item = Result<Passage>> + use<>> {
        let (layout, mut seen) = (self.layout, HashSet::new());
        let passages = Lines::open(&self.passages)?.map(move |line| passage(&line?, layout));
        // `top1000` names a passage once for each query; the files of all passages name it once.
        Ok(passages.filter(move |passage| match passage {
            Ok(Passage { id: Some(id), .. }) if layout == Layout::Top1000 => seen.insert(id.clone()),
            _ => true,
        }))
    }
}

/// A line of BEIR's `corpus.jsonl` and `queries.jsonl`.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "_id")]
    id: Id,
    #[serde(default)]
    title: Option<String>,
    text: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "\"_id\" is neither a string nor a whole number")]
enum Id {
    Text(String),
    Number(i64),
}

impl Entry {
    fn parse(line: &Line) -> Result<(String, Self)> {
        let mut entry: Self = serde_json::from_str(&line.text).map_err(|source| {
            // serde_json says "at line 1 column 9"; the line is known better here.
            let message = source.to_string();
            let plain = message.split(" at line ").next().unwrap_or(&message);
            line.malformed(format!("column {}: {plain}", source.column())).with_source(source)
        })?;
        let id = match &mut entry.id {
            Id::Text(id) => std::mem::take(id),
            Id::Number(id) => id.to_string(),
        };
        if id.is_empty() { Err(line.malformed("the id is empty")) } else { Ok((id, entry)) }
    }
}

fn passage(line: &Line, layout: Layout) -> Result<Passage> {
    let (id, text) = match layout {
        Layout::Beir => {
            let (id, entry) = Entry::parse(line)?;
            let passage = Passage::new(entry.text).id(id);
            return Ok(match entry.title.filter(|title| !title.is_empty()) {
                Some(title) => passage.title(title),
                None => passage,
            });
        }
        Layout::Collection => pair(line)?,
        Layout::Top1000 => match line.text.split('\t').collect::<Vec<_>>().as_slice() {
            [_, id, _, text] if !id.is_empty() => (*id, *text),
            _ => return Err(line.malformed("expected query, passage, and the texts of both between tabs")),
        },
    };
    Ok(Passage::new(text).id(id))
}

fn queries(path: &Path, layout: Layout, qrels: &Qrels) -> Result<BTreeMap<String, String>> {
    let mut queries = BTreeMap::new();
    for line in Lines::open(path)? {
        let line = line?;
        let (id, text) = match layout {
            Layout::Beir => Entry::parse(&line).map(|(id, entry)| (id, entry.text))?,
            Layout::Collection | Layout::Top1000 => pair(&line).map(|(id, text)| (id.to_owned(), text.to_owned()))?,
        };
        if queries.contains_key(&id) {
            return Err(line.malformed(format!("query \"{id}\" a second time")));
        }
        if qrels.contains(&id) {
            queries.insert(id, text);
        }
    }
    Ok(queries)
}

/// An id and a text between tabs.
fn pair(line: &Line) -> Result<(&str, &str)> {
    match line.text.split('\t').collect::<Vec<_>>().as_slice() {
        [id, text] if !id.is_empty() => Ok((*id, *text)),
        _ => Err(line.malformed("expected an id and a text with a tab between them")),
    }
}

fn first_file(folder: &Path, names: &[String]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The splits that the folder has, for a message.
fn splits(folder: &Path, layout: Layout) -> String {
    let (folder, before) = match layout {
        Layout::Beir => (folder.join("qrels"), ""),
        Layout::Collection | Layout::Top1000 => (folder.to_owned(), "qrels."),
    };
    let names =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut splits: Vec<String> =
        names.filter_map(|name| Some(name.strip_prefix(before)?.strip_suffix(".tsv")?.to_owned())).collect();
    splits.sort();
    if splits.is_empty() { "none".to_owned() } else { splits.join(", ") }
}

fn not_found(path: &Path, message: String) -> Error {
    Error::new(ErrorKind::NotFound, message).with_path(path)
}
