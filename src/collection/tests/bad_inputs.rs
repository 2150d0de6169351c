//! Bad input through the library, by name, each with its kind of error and what its message says; and that none of it
//! changes anything. The command has a list of its own.

use std::path::Path;

use serde_json::{Value, json};

use super::{Collection, Index, TOY, Toy, WIDTH, bare, embedding, with_toy};
use crate::collection::{Fusion, Mode, Reranker};
use crate::embedding::Embedding;
use crate::error::ErrorKind::{self, Corrupt, Incompatible, Locked, Misuse, NotFound};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::filter::Filter;
use crate::language::Language;
use crate::passage::{
    MAX_BATCH_PASSAGES, MAX_ID_BYTES, MAX_METADATA_BYTES, MAX_METADATA_DEPTH, MAX_TEXT_BYTES, Passage,
};
use crate::similarity::Similarity;

/// A name, the kind of error, a part of its message, and what is done.
type Case<On> = (&'static str, ErrorKind, &'static str, fn(&On) -> Result<()>);

/// Every one is tried, whatever the others do.
fn try_all<On: ?Sized>(cases: &[Case<On>], on: &On) {
    let wrong = cases.iter().filter_map(|(name, kind, part, attempt)| match attempt(on) {
        Ok(()) => Some(format!("{name}: nothing was wrong")),
        Err(error) if error.kind() != *kind => Some(format!("{name}: {:?}, not {kind:?}: {error}", error.kind())),
        Err(error) if !error.to_string().contains(part) => Some(format!("{name}: \"{part}\" is not in: {error}")),
        Err(_) => None,
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn with_metadata(value: Value) -> Passage {
    Passage::new("x").field("m", value)
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn zero() -> Embedding {
    Embedding::new(vec![0.0; WIDTH]).unwrap()
}

#[test]
fn passages() {
    let collection = with_toy().in_memory().unwrap();
    collection.add([Passage::new("one").id("a")]).unwrap();
    let before = collection.stats();
    let cases: &[Case<Collection>] = &[
        ("an empty id", Misuse, "empty id", |c| c.add([Passage::new("x").id("")]).map(drop)),
        ("an id that is too long", Misuse, "1024 bytes", |c| {
            c.add([Passage::new("x").id("i".repeat(MAX_ID_BYTES + 1))]).map(drop)
        }),
        ("an id that is there", Misuse, "\"a\"", |c| c.add([Passage::new("x").id("a")]).map(drop)),
        ("an id twice in a batch", Misuse, "twice", |c| {
            c.add([Passage::new("x").id("b"), Passage::new("y").id("b")]).map(drop)
        }),
        ("a text that is too long", Misuse, "split it", |c| {
            c.add([Passage::new("x".repeat(MAX_TEXT_BYTES + 1))]).map(drop)
        }),
        ("a title that is too long", Misuse, "title", |c| {
            c.add([Passage::new("x").title("t".repeat(MAX_TEXT_BYTES))]).map(drop)
        }),
        ("metadata that nests too deep", Misuse, "may nest 32 deep", |c| {
            c.add([with_metadata(nested(MAX_METADATA_DEPTH + 1))]).map(drop)
        }),
        ("metadata that is too large", Misuse, "as JSON", |c| {
            c.add([with_metadata(json!("m".repeat(MAX_METADATA_BYTES)))]).map(drop)
        }),
        ("an embedding of no numbers", Misuse, "at least one number", |_| Embedding::new([]).map(drop)),
        ("an embedding with NaN", Misuse, "component 1 is NaN", |_| Embedding::new([0.0, f32::NAN]).map(drop)),
        ("an embedding with infinity", Misuse, "component 0 is inf", |_| Embedding::new([f32::INFINITY]).map(drop)),
        ("an embedding of another width", Misuse, "3 numbers", |c| {
            c.add([Passage::new("x").embedding(Embedding::new([1.0, 2.0, 3.0])?)]).map(drop)
        }),
        ("an embedding without direction", Misuse, "no cosine", |c| {
            c.add([Passage::new("x").embedding(zero())]).map(drop)
        }),
        ("the second of two", Misuse, "passage 1", |c| {
            c.add([Passage::new("x"), Passage::new("y").embedding(zero())]).map(drop)
        }),
        ("a replacement with an empty id", Misuse, "empty id", |c| c.upsert([Passage::new("x").id("")]).map(drop)),
        ("a batch that is too large", Misuse, "ingest", |c| {
            c.add((0..=MAX_BATCH_PASSAGES).map(|_| Passage::new(""))).map(drop)
        }),
        ("batches of nothing", Misuse, "at least one passage", |c| {
            c.ingest([Ok::<_, Error>(Passage::new("x"))]).batch(0).run().map(drop)
        }),
        ("a line that is no JSON", Misuse, "line 1", |c| c.import(&b"nonsense"[..]).run().map(drop)),
        ("a line without a text", Misuse, "line 1", |c| c.import(&b"{\"id\": \"x\"}"[..]).run().map(drop)),
        ("a line with a field too many", Misuse, "line 2", |c| {
            c.import(&b"\n{\"id\": \"x\", \"text\": \"y\", \"more\": 1}"[..]).run().map(drop)
        }),
        ("a line that is no UTF-8", Misuse, "line 1", |c| c.import(&b"{\"id\": \"\xff\"}"[..]).run().map(drop)),
        ("a line of another encoder", Incompatible, "encoder", |c| {
            let line = json!({"id": "x", "text": "y", "embedding": vec![1.0; WIDTH], "encoder": "another"});
            c.import(line.to_string().as_bytes()).run().map(drop)
        }),
    ];
    try_all(cases, &collection);
    assert_eq!(collection.stats(), before, "nothing of it is there");
}

/// Gives the score of one passage, whatever it is asked.
struct One(f32);

impl Reranker for One {
    fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>> {
        Ok(vec![self.0])
    }
}

#[test]
fn questions() {
    let collection = with_toy().in_memory().unwrap();
    collection.add([Passage::new("one").id("a"), Passage::new("two").id("b")]).unwrap();
    let before = collection.stats();
    let cases: &[Case<Collection>] = &[
        ("the best none", Misuse, "top must be at least 1", |c| c.query("x").top(0).run().map(drop)),
        ("a threshold that is no number", Misuse, "a number", |c| c.query("x").min_score(f32::NAN).run().map(drop)),
        ("a lambda beyond 1", Misuse, "from 0 to 1, not 1.5", |c| c.query("x").mmr(1.5).run().map(drop)),
        ("a lambda below 0", Misuse, "from 0 to 1, not -1", |c| c.query("x").mmr(-1.0).run().map(drop)),
        ("a lambda that is no number", Misuse, "not NaN", |c| c.query("x").mmr(f32::NAN).run().map(drop)),
        ("a weight beyond 1", Misuse, "from 0 to 1, not 2", |c| {
            c.query("x").mode(Mode::Hybrid).fusion(Fusion::Weighted { dense: 2.0 }).run().map(drop)
        }),
        ("a weight that is no number", Misuse, "not NaN", |c| {
            c.query("x").mode(Mode::Hybrid).fusion(Fusion::Weighted { dense: f32::NAN }).run().map(drop)
        }),
        ("a k of fusion below 0", Misuse, "from 0, not -1", |c| {
            c.query("x").mode(Mode::Hybrid).fusion(Fusion::ReciprocalRank { k: -1.0 }).run().map(drop)
        }),
        ("an infinite k of fusion", Misuse, "from 0, not inf", |c| {
            c.query("x").mode(Mode::Hybrid).fusion(Fusion::ReciprocalRank { k: f32::INFINITY }).run().map(drop)
        }),
        ("a question of another width", Misuse, "2 numbers", |c| {
            c.query_embedding(Embedding::new([1.0, 2.0])?).run().map(drop)
        }),
        ("words of an embedding", Misuse, "has no words", |c| {
            c.query_embedding(embedding(1)).mode(Mode::Lexical).run().map(drop)
        }),
        ("more like nobody", NotFound, "\"nobody\"", |c| c.query_like("nobody").run().map(drop)),
        ("a reranker that reads nothing", Misuse, "at least 1 candidate", |c| {
            c.query("x").rerank(&One(0.0), 0).run().map(drop)
        }),
        ("a reranker that says too little", Misuse, "1 scores for 2 passages", |c| {
            c.query("x").rerank(&One(0.0), 2).run().map(drop)
        }),
        ("a reranker's score that is no number", Misuse, "must be finite", |c| {
            c.query("x").rerank(&One(f32::NAN), 1).run().map(drop)
        }),
        ("a filter of no filters", Misuse, "", |c| c.query("x").filter(Filter::all([])).run().map(drop)),
        ("any of no filters", Misuse, "", |c| c.query("x").filter(Filter::any([])).run().map(drop)),
        ("a filter's number that is none", Misuse, "", |c| {
            c.query("x").filter(Filter::field("a").eq(f64::NAN)).run().map(drop)
        }),
        ("a filter that is cut off", Misuse, "character 8", |_| "year >=".parse::<Filter>().map(drop)),
        ("a filter of nothing", Misuse, "character 1", |_| "".parse::<Filter>().map(drop)),
        ("a filter that nests too deep", Misuse, "deep", |_| "(".repeat(10_000).parse::<Filter>().map(drop)),
        ("a mode that is none", Misuse, "dense, lexical or hybrid", |_| "magic".parse::<Mode>().map(drop)),
        ("a similarity that is none", Misuse, "\"cosine\" or \"dot\"", |_| "l2".parse::<Similarity>().map(drop)),
        ("a language that is none", Misuse, "klingon", |_| "klingon".parse::<Language>().map(drop)),
        ("an index that is none", Misuse, "auto, exact or hnsw", |_| "tree".parse::<Index>().map(drop)),
        ("a field too many", Misuse, "64", |c| {
            (0..=64).try_for_each(|n| c.create_field_index(Field::from(format!("f{n}"))).map(drop))
        }),
    ];
    try_all(cases, &collection);
    assert_eq!(collection.stats(), before);
}

#[test]
fn places() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    with_toy().create(place("toy")).unwrap().add(["one"]).unwrap();
    with_toy().without_words().create(place("no words")).unwrap().add(["one"]).unwrap();
    bare(Index::Exact).create(place("own")).unwrap().close().unwrap();
    std::fs::write(place("file"), "x").unwrap();
    std::fs::create_dir_all(place("foreign")).unwrap();
    std::fs::write(place("foreign/thesis.doc"), "x").unwrap();
    std::fs::create_dir_all(place("empty")).unwrap();
    std::fs::create_dir_all(place("damaged")).unwrap();
    std::fs::write(place("damaged/store.redb"), [7; 10_000]).unwrap();
    let held = with_toy().create(place("held")).unwrap();
    let cases: &[Case<Path>] = &[
        ("opening nothing", NotFound, "nowhere", |p| with_toy().open(p.join("nowhere")).map(drop)),
        ("opening an empty directory", NotFound, "empty", |p| with_toy().open(p.join("empty")).map(drop)),
        ("opening a file", NotFound, "file", |p| with_toy().open(p.join("file")).map(drop)),
        ("opening what is no store", Corrupt, "damaged", |p| with_toy().open(p.join("damaged")).map(drop)),
        ("reading nothing", NotFound, "nowhere", |p| with_toy().open_read_only(p.join("nowhere")).map(drop)),
        ("making it twice", Misuse, "open it", |p| with_toy().create(p.join("toy")).map(drop)),
        ("making it of a file", Misuse, "is a file", |p| with_toy().create(p.join("file")).map(drop)),
        ("making it among other files", Misuse, "thesis.doc", |p| with_toy().create(p.join("foreign")).map(drop)),
        ("making it below a file", Misuse, "is a file", |p| with_toy().create(p.join("file/deep")).map(drop)),
        ("making it without an encoder", Misuse, "needs an encoder", |p| {
            Collection::options().without_encoder().create(p.join("new")).map(drop)
        }),
        ("an encoder without a fingerprint", Misuse, "fingerprint", |p| {
            Collection::options().encoder(Toy { fingerprint: "", ..TOY }).create(p.join("new")).map(drop)
        }),
        ("embeddings of no width", Misuse, "not 0", |p| {
            Collection::options().embeddings(0, Similarity::Dot).create(p.join("new")).map(drop)
        }),
        ("embeddings that are too wide", Misuse, "numbers, not", |p| {
            Collection::options().embeddings(1 << 20, Similarity::Dot).create(p.join("new")).map(drop)
        }),
        ("another encoder", Incompatible, "reembed", |p| {
            Collection::options().encoder(Toy { fingerprint: "another", ..TOY }).open(p.join("toy")).map(drop)
        }),
        ("an encoder for embeddings of the caller's own", Incompatible, "without an encoder", |p| {
            with_toy().open(p.join("own")).map(drop)
        }),
        ("another width", Incompatible, "not 3", |p| {
            Collection::options().embeddings(3, Similarity::Cosine).open(p.join("own")).map(drop)
        }),
        ("another similarity", Incompatible, "dot", |p| {
            Collection::options().embeddings(WIDTH, Similarity::Dot).open(p.join("own")).map(drop)
        }),
        ("opening what is open", Locked, "held", |p| with_toy().open(p.join("held")).map(drop)),
        ("writing to what is read", Misuse, "read-only", |p| {
            with_toy().open_read_only(p.join("toy"))?.add(["x"]).map(drop)
        }),
        ("a text where there is no encoder", Misuse, "hand in embeddings", |p| {
            Collection::options().without_encoder().open(p.join("toy"))?.add(["x"]).map(drop)
        }),
        ("a question where there is no encoder", Misuse, "hand in embeddings", |p| {
            Collection::options().without_encoder().open(p.join("toy"))?.query("x").run().map(drop)
        }),
        ("words where none are searched", Misuse, "mode dense", |p| {
            with_toy().open(p.join("no words"))?.query("x").mode(Mode::Lexical).run().map(drop)
        }),
        ("a backup over a collection", Misuse, "open it", |p| with_toy().open(p.join("toy"))?.backup(p.join("own"))),
        ("a backup among other files", Misuse, "thesis.doc", |p| {
            with_toy().open(p.join("toy"))?.backup(p.join("foreign"))
        }),
        ("restoring nothing", NotFound, "nowhere", |p| Collection::restore(p.join("nowhere"), p.join("new"))),
        ("restoring over a collection", Misuse, "open it", |p| Collection::restore(p.join("own"), p.join("toy"))),
        ("restoring what is damaged", Corrupt, "damaged", |p| Collection::restore(p.join("damaged"), p.join("new"))),
        ("moving nothing to another encoder", NotFound, "nowhere", |p| with_toy().reembed(p.join("nowhere")).map(drop)),
        ("moving to no encoder", Misuse, "takes an encoder", |p| bare(Index::Exact).reembed(p.join("toy")).map(drop)),
    ];
    try_all(cases, folder.path());
    assert!(!place("new").join("store.redb").exists(), "nothing was made");
    held.close().unwrap();
    assert_eq!(with_toy().open(place("toy")).unwrap().len(), 1);
}
