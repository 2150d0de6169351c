//! Ingest: what it leaves behind is what `upsert` of each batch would, whatever fails and wherever.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Collection, Index, TOY, all_ids, answers, bare, embedding, names, numbered, refused, with_toy};
use crate::bi_encoder::Encoder;
use crate::collection::Ingested;
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::Passage;
use crate::similarity::Similarity;

fn sound(passages: impl IntoIterator<Item = Passage>) -> impl Iterator<Item = Result<Passage>> {
    passages.into_iter().map(Ok)
}

fn ingested(added: u64, updated: u64) -> Ingested {
    Ingested { added, updated }
}

/// Fails, or panics, at a text that says so.
struct Moody;

impl Encoder for Moody {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        TOY.encode_queries(texts)
    }

    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        assert!(!texts.contains(&"panic"), "the encoder's own panic");
        if texts.contains(&"fail") { Err(Error::new(ErrorKind::Model, "moody")) } else { TOY.encode_passages(texts) }
    }

    fn dimension(&self) -> usize {
        TOY.dimension()
    }

    fn similarity(&self) -> Similarity {
        TOY.similarity()
    }

    fn fingerprint(&self) -> &str {
        TOY.fingerprint()
    }

    fn max_tokens(&self) -> usize {
        TOY.max_tokens()
    }
}

fn moody() -> Collection {
    Collection::options().encoder(Moody).in_memory().unwrap()
}

/// Seven passages, the one at `place` with the text `text`.
fn seven(place: usize, text: &str) -> impl Iterator<Item = Result<Passage>> {
    sound((0..7).map(move |n| if n == place { Passage::new(text).id(format!("id {n}")) } else { numbered(n as u64) }))
}

#[test]
fn it_does_what_upserts_would() {
    for index in [Index::Exact, Index::Hnsw] {
        let (one, other) = (bare(index).in_memory().unwrap(), bare(index).in_memory().unwrap());
        // Ids that come again in the same batch and in a later one.
        let passages: Vec<Passage> = (0..1000).map(|n| numbered(n * 7919 % 700)).collect();
        let mut by_hand = ingested(0, 0);
        for batch in passages.chunks(64) {
            let written = one.upsert(batch.to_vec()).unwrap();
            by_hand = ingested(by_hand.added + written.added, by_hand.updated + written.updated);
        }
        assert_eq!(other.ingest(sound(passages)).batch(64).run().unwrap(), by_hand);
        assert_eq!((by_hand.added, by_hand.updated), (700, 300));
        assert_eq!(one.stats(), other.stats(), "as many changes, too");
        assert_eq!(all_ids(&one), all_ids(&other));
        assert_eq!(answers(&one, true), answers(&other, true));
    }
}

#[test]
fn what_is_ingested_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = with_toy().create(&path).unwrap();
    let passages = (0..50).map(|n| Ok::<_, Error>(format!("text {n}")));
    assert_eq!(collection.ingest(passages).batch(20).run().unwrap(), ingested(50, 0));
    assert_eq!(collection.query("text 31").top(1).run().unwrap()[0].text, "text 31");
    drop(collection);
    let collection = with_toy().open(&path).unwrap();
    assert_eq!((collection.len(), collection.stats().seq), (50, 3));
    assert_eq!(collection.query("text 49").top(1).run().unwrap()[0].text, "text 49");
}

#[test]
fn an_error_while_reading_leaves_the_whole_batches_before_it() {
    #[derive(Debug, PartialEq)]
    struct Mine(&'static str);
    impl From<Error> for Mine {
        fn from(_: Error) -> Self {
            Self("Marcato's")
        }
    }
    for (good, durable) in [(0, 0), (2, 0), (3, 3), (7, 6)] {
        let collection = bare(Index::Exact).in_memory().unwrap();
        let mut lines = (0..good).map(numbered).map(Ok).chain([Err(Mine("line 8"))]);
        assert_eq!(collection.ingest(&mut lines).batch(3).run(), Err(Mine("line 8")));
        assert_eq!(collection.len(), durable, "after {good}");
        assert!(lines.next().is_none());
    }
}

#[test]
fn an_error_of_a_batch_leaves_those_before_it_and_none_after() {
    for (place, durable) in [(0, 0), (3, 2), (6, 6)] {
        let collection = moody();
        let error = refused(collection.ingest(seven(place, "fail")).batch(2).run());
        assert_eq!(error.kind(), ErrorKind::Model);
        assert_eq!(collection.len(), durable, "at {place}");
    }
    // An embedding that does not fit is noticed by the second thread, an empty id by the first.
    let collection = bare(Index::Exact).in_memory().unwrap();
    let narrow = Passage::new("narrow").id("narrow").embedding(Embedding::new([1.0]).unwrap());
    let error = refused(collection.ingest(sound((0..4).map(numbered).chain([narrow]))).batch(2).run());
    names(&error, &["\"narrow\"", "1 numbers"]);
    let error = refused(collection.ingest(sound((4..6).map(numbered).chain([Passage::new("").id("")]))).batch(2).run());
    names(&error, &["empty id"]);
    assert_eq!(collection.len(), 6);
}

#[test]
fn a_panic_of_the_encoder_is_the_callers() {
    let collection = moody();
    let panic = catch_unwind(AssertUnwindSafe(|| collection.ingest(seven(4, "panic")).batch(2).run())).unwrap_err();
    assert!(panic.downcast_ref::<&str>().is_some_and(|message| message.contains("the encoder's own panic")));
    assert_eq!(collection.len(), 4);
    assert_eq!(collection.ingest(seven(9, "")).run().unwrap(), ingested(3, 4), "and it can be used");
}

#[test]
fn it_can_be_stopped_after_a_batch() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let mut told = Vec::new();
    let error = refused(
        collection
            .ingest(sound((0..).map(numbered)))
            .batch(5)
            .on_durable(|so_far| {
                told.push(so_far);
                if so_far.added < 15 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .run(),
    );
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    names(&error, &["15 passages"]);
    assert_eq!(told, [ingested(5, 0), ingested(10, 0), ingested(15, 0)]);
    assert_eq!(collection.len(), 15, "an endless input has an end");
}

/// Reading goes on while a batch is being acknowledged, but two batches ahead and no further.
#[test]
fn it_reads_two_batches_ahead() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let read = AtomicUsize::new(0);
    let (ahead, seen) = channel();
    let passages = (0..40).map(|n| {
        read.fetch_add(1, Ordering::SeqCst);
        if n == 11 {
            ahead.send(()).unwrap();
        }
        Ok::<_, Error>(numbered(n))
    });
    let (asked, read) = (&collection, &read);
    let ingest = collection.ingest(passages).batch(4).on_durable(move |so_far| {
        if so_far.added == 4 {
            // Passage 11 ends the third batch: it is read although the first is not done with.
            seen.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        let (durable, read) = (so_far.added, read.load(Ordering::SeqCst) as u64);
        assert!(read <= durable + 8, "{read} were read when {durable} were durable");
        assert_eq!(asked.len(), durable, "durable means that it can be found");
        ControlFlow::Continue(())
    });
    assert_eq!(ingest.run().unwrap(), ingested(40, 0));
}

#[test]
fn large_passages_make_small_batches() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let large = |n| {
        let mut passage = numbered(n);
        passage.text = "x".repeat(3 << 20);
        passage
    };
    assert_eq!(collection.ingest(sound((0..7).map(large))).run().unwrap(), ingested(7, 0));
    assert_eq!(collection.stats().seq, 3, "three, three and one");
}

#[test]
fn nothing_and_a_batch_of_none() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    assert_eq!(collection.ingest(sound([])).run().unwrap(), ingested(0, 0));
    assert_eq!(collection.stats().seq, 0);
    assert_eq!(refused(collection.ingest(sound([numbered(1)])).batch(0).run()).kind(), ErrorKind::Misuse);
    assert!(collection.query_embedding(embedding(1)).run().unwrap().is_empty());
}
