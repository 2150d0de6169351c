//! Encoders that do as they like: a collection believes none of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Collection, Index, TOY, WIDTH, bare, embedding, names, numbered, refused, with_toy};
use crate::bi_encoder::Encoder;
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::Passage;
use crate::similarity::Similarity;

/// How an encoder misbehaves, for texts that say so; other texts are encoded as they should be.
struct Odd;

impl Encoder for Odd {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.encode_passages(texts)
    }

    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let mut embeddings = TOY.encode_passages(texts)?;
        let told = |what: &str| texts.iter().any(|text| text.contains(what));
        if told("fail") {
            return Err(Error::new(ErrorKind::NotFound, "the remote service is gone"));
        }
        if told("panic") {
            panic!("an encoder of little faith");
        }
        if told("few") {
            embeddings.pop();
        }
        if told("many") {
            embeddings.push(embedding(0));
        }
        if told("narrow") {
            embeddings.pop();
            embeddings.push(Embedding::new([1.0]).unwrap());
        }
        Ok(embeddings)
    }

    fn dimension(&self) -> usize {
        WIDTH
    }

    fn similarity(&self) -> Similarity {
        Similarity::Cosine
    }

    fn fingerprint(&self) -> &str {
        "odd"
    }

    fn max_tokens(&self) -> usize {
        10
    }
}

#[test]
fn an_encoder_that_misbehaves_adds_nothing() {
    let collection = Collection::options().encoder(Odd).in_memory().unwrap();
    collection.add(["there"]).unwrap();
    let before = collection.stats();
    for (text, kind, parts) in [
        ("fail", ErrorKind::NotFound, ["the remote service is gone", ""]),
        ("few", ErrorKind::Misuse, ["1 embeddings for 2 texts", "encoder"]),
        ("many", ErrorKind::Misuse, ["3 embeddings for 2 texts", "encoder"]),
        ("narrow", ErrorKind::Misuse, ["1 numbers", "have 16"]),
    ] {
        let error = refused(collection.add(["good", text]));
        assert_eq!(error.kind(), kind, "{text}");
        names(&error, &parts);
        assert_eq!(collection.stats(), before, "{text}");
    }
    // Too few of the second hand-over, after the first was in order.
    assert_eq!(
        refused(collection.add((0..300).map(|n| format!("{n} {}", ["", "few"][n / 299])))).kind(),
        ErrorKind::Misuse
    );
    assert_eq!(collection.stats(), before);
    collection.add(["it goes on"]).unwrap();
}

#[test]
fn an_encoder_that_misbehaves_answers_nothing() {
    let collection = Collection::options().encoder(Odd).in_memory().unwrap();
    collection.add(["there"]).unwrap();
    for (text, kind) in [("fail", ErrorKind::NotFound), ("few", ErrorKind::Misuse), ("narrow", ErrorKind::Misuse)] {
        assert_eq!(refused(collection.query(text).run()).kind(), kind, "{text}");
    }
    assert_eq!(collection.query("there").run().unwrap().len(), 1);
}

#[test]
fn a_panic_in_an_encoder_leaves_the_collection_usable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = Collection::options().encoder(Odd).create(&path).unwrap();
    collection.add(["before"]).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| collection.add(["panic"]))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| collection.query("panic").run())).is_err());
    let progress = |_| panic!("a callback too");
    assert!(catch_unwind(AssertUnwindSafe(|| collection.add_with_progress(["x"], progress))).is_err());
    collection.add(["after"]).unwrap();
    assert_eq!(collection.query("after").top(1).run().unwrap()[0].text, "after");
    collection.close().unwrap();
    assert_eq!(Collection::options().encoder(Odd).open(&path).unwrap().len(), 2);
}

#[test]
fn without_an_encoder_texts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    with_toy().create(&path).unwrap().add([Passage::new("one").id("a"), Passage::new("two").id("b")]).unwrap();
    let collection = Collection::options().without_encoder().open(&path).unwrap();
    for error in [refused(collection.query("one").run()), refused(collection.add(["three"]))] {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &["without an encoder", "hand in embeddings"]);
    }
    assert_eq!(collection.get("a").unwrap().unwrap().text, "one");
    assert_eq!(collection.delete(["a"]).unwrap(), 1);
    let stored = collection.embedding("b").unwrap().unwrap();
    assert_eq!(collection.query_embedding(stored).run().unwrap()[0].text, "two");
    collection.add([Passage::new("three").embedding(embedding(3))]).unwrap();
    assert_eq!(collection.stats().encoder, "toy");
}

#[test]
fn an_encoder_is_told_titles_too_and_only_what_needs_encoding() {
    struct Counting(Arc<AtomicUsize>);
    impl Encoder for Counting {
        fn encode_queries(&self, _: &[&str]) -> Result<Vec<Embedding>> {
            Ok(vec![embedding(1)])
        }
        fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            self.0.fetch_add(texts.len(), Ordering::SeqCst);
            assert_eq!(texts, ["Title text", "text alone", "no title"]);
            Ok(vec![embedding(1), embedding(2), embedding(3)])
        }
        fn dimension(&self) -> usize {
            WIDTH
        }
        fn similarity(&self) -> Similarity {
            Similarity::Cosine
        }
        fn fingerprint(&self) -> &str {
            "counting"
        }
        fn max_tokens(&self) -> usize {
            1
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let collection = Collection::options().encoder(Counting(Arc::clone(&count))).in_memory().unwrap();
    collection
        .add([
            Passage::new("text").title("Title"),
            numbered(7),
            Passage::new("text alone"),
            Passage::new("no title").title(""),
        ])
        .unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert_eq!(collection.query_embedding(embedding(7)).top(1).run().unwrap()[0].text, "text 7");
    assert_eq!(collection.query_embedding(embedding(2)).top(1).run().unwrap()[0].text, "text alone");
    collection.query("").run().unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3, "a query is no passage");
}

#[test]
fn an_encoder_without_a_fingerprint_makes_no_collection() {
    let nameless = super::Toy { fingerprint: "", name: "nameless" };
    let error = refused(Collection::options().encoder(nameless).in_memory());
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["nameless", "fingerprint"]);
}

#[test]
fn a_width_that_cannot_be_makes_no_collection() {
    let folder = tempfile::tempdir().unwrap();
    for width in [0, (1 << 16) + 1, usize::MAX] {
        let error = refused(Collection::options().embeddings(width, Similarity::Dot).create(folder.path().join("c")));
        assert_eq!(error.kind(), ErrorKind::Misuse);
        names(&error, &[&width.to_string(), "65536"]);
    }
    assert!(!folder.path().join("c").exists(), "and leaves nothing");
    let wide = Collection::options().embeddings(1 << 16, Similarity::Dot).in_memory().unwrap();
    wide.add([Passage::new("w").embedding(Embedding::new(vec![1.0; 1 << 16]).unwrap())]).unwrap();
    assert_eq!(wide.stats().dimension, 1 << 16);
}

#[test]
fn an_empty_collection_answers_without_its_encoder() {
    struct Unused;
    impl Encoder for Unused {
        fn encode_queries(&self, _: &[&str]) -> Result<Vec<Embedding>> {
            panic!("nothing to compare with")
        }
        fn encode_passages(&self, _: &[&str]) -> Result<Vec<Embedding>> {
            panic!("nothing to encode")
        }
        fn dimension(&self) -> usize {
            WIDTH
        }
        fn similarity(&self) -> Similarity {
            Similarity::Cosine
        }
        fn fingerprint(&self) -> &str {
            "unused"
        }
        fn max_tokens(&self) -> usize {
            1
        }
    }
    let collection = Collection::options().encoder(Unused).in_memory().unwrap();
    assert!(collection.query("anything").run().unwrap().is_empty());
    collection.add([numbered(1)]).unwrap();
    assert_eq!(collection.query_embedding(embedding(1)).run().unwrap().len(), 1);
    assert!(bare(Index::Exact).in_memory().unwrap().query("anything").run().unwrap().is_empty());
}
