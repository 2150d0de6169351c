//! What goes out as JSONL comes in as it was.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use serde_json::json;

use super::model::metadata;
use super::{Collection, Index, TOY, Toy, answers, bare, embedding, names, numbered, refused, with_toy};
use crate::error::ErrorKind;
use crate::passage::Passage;

fn lines(collection: &Collection) -> Vec<u8> {
    let mut lines = Vec::new();
    assert_eq!(collection.export_with_embeddings(&mut lines).unwrap(), collection.len());
    lines
}

#[test]
fn ids_titles_metadata_embeddings_and_their_order_come_back() {
    let from = bare(Index::Exact).in_memory().unwrap();
    from.add((0..500).map(|n| numbered(n).field("n", 0.1 * n as f64).title(if n % 2 == 0 { "" } else { "title" })))
        .unwrap();
    let odd =
        json!({"id": "x", "_id": 1, "text": 2, "metadata": {"metadata": null}, "embedding": [1e300, -0.0, u64::MAX]});
    let odd = odd.as_object().unwrap().clone();
    from.add([
        Passage::new("").metadata(odd).embedding(embedding(7)),
        Passage::new("\u{0}\n\"\u{fffd}\u{10ffff}").embedding(embedding(8)),
    ])
    .unwrap();
    from.upsert([numbered(3)]).unwrap();
    let to = bare(Index::Exact).in_memory().unwrap();
    let done = to.import(lines(&from).as_slice()).batch(100).run().unwrap();
    assert_eq!((done.added, done.updated), (502, 0));
    assert_eq!(lines(&to), lines(&from));
    assert_eq!(answers(&to, true), answers(&from, true));
    let again = to.import(lines(&from).as_slice()).run().unwrap();
    assert_eq!((again.added, again.updated, lines(&to) == lines(&from)), (0, 502, true));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn anything_comes_back(
        passages in prop::collection::vec((".{1,8}", prop::option::of(".{0,4}"), ".{0,12}", metadata(), any::<u64>()), 0..6),
    ) {
        let from = bare(Index::Exact).in_memory().unwrap();
        from.upsert(passages.into_iter().map(|(id, title, text, metadata, seed)| {
            let mut passage = Passage::new(text).id(id).metadata(metadata).embedding(embedding(seed));
            passage.title = title;
            passage
        })).unwrap();
        let to = bare(Index::Exact).in_memory().unwrap();
        to.import(lines(&from).as_slice()).run().unwrap();
        prop_assert_eq!(lines(&to), lines(&from));
    }
}

#[test]
fn texts_are_encoded_only_where_no_embedding_comes_along() {
    let from = with_toy().in_memory().unwrap();
    from.add(["oats are sown in spring", "london is large"]).unwrap();
    let with = lines(&from);
    assert!(std::str::from_utf8(&with).unwrap().contains(r#","encoder":"toy-fingerprint-1"}"#));
    let to = with_toy().in_memory().unwrap();
    to.import(with.as_slice()).run().unwrap();
    assert_eq!(lines(&to), with);
    let mut without = Vec::new();
    assert_eq!(from.export(&mut without).unwrap(), 2);
    let to = with_toy().in_memory().unwrap();
    to.import(without.as_slice()).run().unwrap();
    assert_eq!(lines(&to), with, "the same encoder makes the same embeddings");

    let other = Collection::options().encoder(Toy { fingerprint: "another-fingerprint", ..TOY }).in_memory().unwrap();
    let error = refused(other.import(with.as_slice()).run());
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    names(&error, &["line 1", "toy-fingerpr", "another-fing", "export without embeddings"]);
    other.import(without.as_slice()).run().unwrap();
    let bare = bare(Index::Exact).in_memory().unwrap();
    names(&refused(bare.import(with.as_slice()).run()), &["line 1", "of no encoder"]);
    let error = refused(other.import(&br#"{"id": "a", "text": "b", "embedding": [1.0]}"#[..]).run());
    names(&error, &["of no encoder", "another-fing"]);
}

#[test]
fn lines_that_are_not_of_an_export_are_refused_by_their_number() {
    let to = bare(Index::Exact).in_memory().unwrap();
    let good = std::str::from_utf8(&lines(&{
        let from = bare(Index::Exact).in_memory().unwrap();
        from.add([numbered(1)]).unwrap();
        from
    }))
    .unwrap()
    .to_owned();
    let bad = [
        "{}",
        "[]",
        "nonsense",
        r#"{"id": "a"}"#,
        r#"{"text": "a"}"#,
        r#"{"id": 1, "text": "a"}"#,
        r#"{"id": "a", "text": "b", "year": 2011}"#,
        r#"{"id": "a", "text": "b", "metadata": []}"#,
        r#"{"id": "a", "text": "b", "embedding": [1e999]}"#,
        r#"{"id": "a", "text": "b", "embedding": []}"#,
        r#"{"id": "a", "id": "b", "text": "b"}"#,
        "{\"id\": \"a\", \"text\": \"\u{1}\"}",
        &"[".repeat(100_000),
    ];
    for line in bad {
        let error = refused(to.import(format!("{good}\n{line}\n").as_bytes()).batch(1).run());
        assert_eq!(error.kind(), ErrorKind::Misuse, "{line}");
        names(&error, &["line 3"]);
        assert_eq!(to.len(), 1, "what came before is there");
    }
    let error = refused(to.import(&br#"{"id": "a", "text": "b", "embedding": [1.0, 2.0]}"#[..]).run());
    names(&error, &["\"a\"", "2 numbers"]);
    names(&refused(to.import(&b"{\"id\": \"a\", \"text\": \"\xff\"}"[..]).run()), &["line 1"]);
}

#[test]
fn what_cannot_be_read_or_written_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add([numbered(1)]).unwrap();
    assert_eq!(refused(collection.export(Broken)).kind(), ErrorKind::Full);
    let error = refused(collection.import(io::BufReader::new(Broken)).run());
    assert_eq!(error.kind(), ErrorKind::Io);
    names(&error, &["line 1"]);
}
