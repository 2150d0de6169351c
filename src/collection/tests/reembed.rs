//! Moving to another model: only the embeddings change, an interruption costs nothing, and until the end the collection is
//! what it was.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::disk::Disk;
use super::history::Loss;
use super::{Collection, CollectionOptions, Dice, TOY, Toy, names, refused, with_toy};
use crate::bi_encoder::Encoder;
use crate::embedding::Embedding;
use crate::error::{ErrorKind, Result};
use crate::field::Field;
use crate::filter::Filter;
use crate::passage::Passage;
use crate::similarity::Similarity;

/// Another width and another similarity than [`Toy`]'s; counts what it encodes.
#[derive(Clone, Default)]
struct Lengths {
    encoded: Arc<AtomicUsize>,
}

impl Encoder for Lengths {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.encode_passages(texts)
    }

    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.encoded.fetch_add(texts.len(), Ordering::Relaxed);
        texts.iter().map(|text| Embedding::new(vec![text.len() as f32, 1.0, -2.0])).collect()
    }

    fn dimension(&self) -> usize {
        3
    }

    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }

    fn fingerprint(&self) -> &str {
        "lengths"
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }

    fn name(&self) -> &str {
        "lengths"
    }
}

fn passage(number: usize) -> Passage {
    let passage = Passage::new("x ".repeat(number % 50)).id(format!("id {number}")).field("n", number);
    if number.is_multiple_of(3) { passage.title("title") } else { passage }
}

fn filled(options: CollectionOptions, path: &Path, count: usize) {
    let collection = options.index_field("n").create(path).unwrap();
    collection.add((0..count).map(passage)).unwrap();
    collection.delete(["id 7"]).unwrap();
    collection.upsert([passage(3)]).unwrap();
    collection.close().unwrap();
}

fn passages(collection: &Collection) -> Vec<Passage> {
    collection.iter().unwrap().map(|passage| passage.unwrap()).collect()
}

fn moved(collection: &Collection, before: &[Passage]) {
    assert_eq!(passages(collection), before);
    for passage in before.iter().take(20) {
        let embedding = collection.embedding(passage.id.as_ref().unwrap()).unwrap().unwrap();
        assert_eq!(embedding.into_vec(), [passage.text_to_encode().len() as f32, 1.0, -2.0]);
    }
    let stats = collection.stats();
    assert_eq!((stats.dimension, stats.similarity, stats.encoder.as_str()), (3, Similarity::Dot, "lengths"));
    assert_eq!(collection.field_indexes(), [Field::from("n")]);
    let hits = collection.query("xxxx").filter(Filter::field("n").lt(10)).top(100).run().unwrap();
    assert_eq!(hits.len(), 9);
    assert!(collection.check(|_| ControlFlow::Continue(())).unwrap().is_sound());
}

#[test]
fn only_the_embeddings_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    filled(with_toy(), &path, 2500);
    let before = passages(&with_toy().open(&path).unwrap());
    let encoder = Lengths::default();
    let collection = Collection::options().encoder(encoder.clone()).reembed(&path).unwrap();
    assert_eq!(encoder.encoded.load(Ordering::Relaxed), 2499);
    moved(&collection, &before);
    collection.add([passage(9999)]).unwrap();
    assert_eq!(refused(with_toy().reembed(&path)).kind(), ErrorKind::Locked);
    drop(collection);
    assert_eq!(refused(with_toy().open(&path)).kind(), ErrorKind::Incompatible);
    let again = Collection::options().encoder(encoder.clone()).reembed(&path).unwrap();
    assert_eq!((again.len(), encoder.encoded.load(Ordering::Relaxed)), (2500, 2499 + 2), "nothing is left to do");
    let mut files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert!(!files.iter().any(|name| name.to_string_lossy().starts_with("store.n")), "{files:?}");
}

#[test]
fn it_goes_on_where_it_was_unless_passages_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    filled(with_toy(), &path, 5000);
    let before = passages(&with_toy().open(&path).unwrap());
    let encoder = Lengths::default();
    let begin = |stop_at: u64| {
        let options = Collection::options().encoder(encoder.clone());
        options.on_progress(move |progress| match progress.done >= stop_at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    };
    assert_eq!(refused(begin(2000).reembed(&path)).kind(), ErrorKind::Cancelled);
    assert_eq!(passages(&with_toy().open(&path).unwrap()), before, "it is what it was");
    assert_eq!(refused(begin(4000).reembed(&path)).kind(), ErrorKind::Cancelled);
    assert_eq!(encoder.encoded.load(Ordering::Relaxed), 4096);
    with_toy().open(&path).unwrap().upsert([passage(4)]).unwrap();
    let before = passages(&with_toy().open(&path).unwrap());
    assert_eq!(refused(begin(1000).reembed(&path)).kind(), ErrorKind::Cancelled);
    assert_eq!(encoder.encoded.load(Ordering::Relaxed), 4096 + 1024, "begun anew");
    let collection = Collection::options().encoder(encoder.clone()).reembed(&path).unwrap();
    moved(&collection, &before);
    assert_eq!(encoder.encoded.load(Ordering::Relaxed), 4096 + 4999 + 1);
}

#[test]
fn collections_that_are_empty_or_of_their_own_embeddings_get_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    drop(with_toy().create(&path).unwrap());
    let collection = Collection::options().encoder(Lengths::default()).reembed(&path).unwrap();
    collection.add(["a"]).unwrap();
    assert_eq!(collection.stats().dimension, 3);
    let path = folder.path().join("own");
    let own = super::bare(super::Index::Exact).create(&path).unwrap();
    own.add([super::numbered(1)]).unwrap();
    drop(own);
    let error = refused(super::bare(super::Index::Exact).reembed(&path));
    assert_eq!(error.kind(), ErrorKind::Misuse);
    names(&error, &["takes an encoder"]);
    let collection = Collection::options().encoder(Lengths::default()).reembed(&path).unwrap();
    assert_eq!(collection.query("text 1").run().unwrap()[0].id.as_str(), "id 1");
    let error = refused(Collection::options().encoder(TOY).reembed(folder.path().join("none")));
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn an_encoder_that_fails_leaves_the_collection_as_it_was() {
    #[derive(Clone)]
    struct Broken(Lengths);
    impl Encoder for Broken {
        fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            self.0.encode_queries(texts)
        }
        fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            self.0.encode_passages(&texts[1..])
        }
        fn dimension(&self) -> usize {
            3
        }
        fn similarity(&self) -> Similarity {
            Similarity::Dot
        }
        fn fingerprint(&self) -> &str {
            "broken"
        }
        fn max_tokens(&self) -> usize {
            9
        }
        fn name(&self) -> &str {
            "broken"
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    filled(with_toy(), &path, 50);
    let before = passages(&with_toy().open(&path).unwrap());
    let error = refused(Collection::options().encoder(Broken(Lengths::default())).reembed(&path));
    names(&error, &["48 embeddings for 49 texts"]);
    assert_eq!(passages(&with_toy().open(&path).unwrap()), before);
}

/// Power is lost at any operation of it: the collection is the old one or the new one, and the work can be done.
#[test]
fn it_survives_the_loss_of_power() {
    let path = Path::new("/c");
    let with = |disk: &Disk, encoder: CollectionOptions| {
        let mut options = encoder;
        options.medium = disk.medium();
        options
    };
    let toy = Toy { ..TOY };
    let (disk, mut dice) = (Disk::default(), Dice(1));
    filled(with(&disk, Collection::options().encoder(toy.clone())), path, 60);
    let before = passages(&with(&disk, Collection::options().encoder(toy.clone())).open(path).unwrap());
    disk.record();
    drop(with(&disk, Collection::options().encoder(Lengths::default())).reembed(path).unwrap());
    disk.acknowledge();
    let (mut history, mut olds, mut news) = (disk.history(), 0, 0);
    while history.step() {
        for loss in Loss::ALL {
            let crashed = history.crash(loss, &mut dice);
            match with(&crashed, Collection::options().encoder(toy.clone())).open(path) {
                Ok(old) => {
                    assert_eq!(passages(&old), before);
                    assert_eq!(history.acknowledged, 0);
                    olds += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
                    news += 1;
                }
            }
            moved(&with(&crashed, Collection::options().encoder(Lengths::default())).reembed(path).unwrap(), &before);
        }
    }
    assert!(olds > 100 && news > 10, "{olds} old, {news} new");
}
