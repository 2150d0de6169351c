//! Many threads, one collection: a batch is seen whole or not at all, and never an error.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Collection, Hit, Index, bare, embedding, numbered, with_toy};
use crate::passage::Passage;

const TAGGED: usize = 10;

/// A batch of passages that share a tag and a version; on the same ids whenever the tag comes again.
fn batch(tag: u64, version: u64) -> Vec<Passage> {
    let passage = |n: usize| {
        Passage::new(format!("words of {tag} {n}")).id(format!("{tag}-{n}")).field("tag", tag).field("version", version)
    };
    (0..TAGGED).map(passage).collect()
}

/// How long writer and readers go on: `MARCATO_SECONDS` if it is set.
fn time() -> Duration {
    let seconds = std::env::var("MARCATO_SECONDS");
    seconds.map_or(Duration::from_millis(1500), |seconds| Duration::from_secs(seconds.parse().unwrap()))
}

/// Each tag is there with all of its passages, of one version.
fn whole(hits: &[Hit]) {
    let mut seen: HashMap<u64, (usize, u64)> = HashMap::new();
    for hit in hits {
        let (tag, version) = (hit.metadata["tag"].as_u64().unwrap(), hit.metadata["version"].as_u64().unwrap());
        assert!(hit.id.as_str().starts_with(&format!("{tag}-")) && hit.text.starts_with(&format!("words of {tag} ")));
        let (count, first) = seen.entry(tag).or_insert((0, version));
        *count += 1;
        assert_eq!(*first, version, "tag {tag} is seen in two versions at once");
    }
    for (tag, (count, _)) in seen {
        assert_eq!(count, TAGGED, "tag {tag} is seen in part");
    }
}

fn batches_are_atomic(collection: &Collection, time: Duration) {
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let written = thread::scope(|scope| {
        for reader in 0..8 {
            let (collection, done, asked) = (collection.clone(), &done, &asked);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let query = collection.query(format!("words of {reader}")).top(usize::MAX).exact(reader == 0);
                    whole(&query.run().unwrap());
                    if reader == 1 {
                        let listed: Vec<Passage> = collection.iter().unwrap().map(Result::unwrap).collect();
                        assert_eq!(listed.len() % TAGGED, 0);
                        assert_eq!(collection.len() % TAGGED as u64, 0);
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        let mut version = 0;
        // Ends on a panic of a reader too, which the scope then passes on.
        while start.elapsed() < time {
            version += 1;
            let tag = version % 23;
            if version % 3 == 0 {
                let ids: Vec<String> = (0..TAGGED).map(|n| format!("{tag}-{n}")).collect();
                assert_eq!(collection.delete(ids).unwrap() % TAGGED as u64, 0);
            } else {
                collection.upsert(batch(tag, version)).unwrap();
                assert!(collection.contains(format!("{tag}-9")).unwrap(), "what was written is there");
            }
            if version % 50 == 0 {
                collection.flush().unwrap();
            }
        }
        done.store(true, Ordering::Release);
        version
    });
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 20 && written > 20, "{asked} queries beside {written} batches are no test");
}

#[test]
fn readers_see_batches_whole_beside_an_exact_writer() {
    batches_are_atomic(&with_toy().index(Index::Exact).in_memory().unwrap(), time());
}

#[test]
fn readers_see_batches_whole_beside_an_approximate_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = with_toy().index(Index::Hnsw).create(&path).unwrap();
    batches_are_atomic(&collection, time());
    let before = collection.query("words").top(usize::MAX).run().unwrap();
    drop(collection);
    let collection = with_toy().open(&path).unwrap();
    assert_eq!(collection.query("words").top(usize::MAX).run().unwrap(), before);
}

#[test]
fn writers_take_turns() {
    let collection = with_toy().in_memory().unwrap();
    thread::scope(|scope| {
        for writer in 0..4u64 {
            let collection = collection.clone();
            scope.spawn(move || {
                for n in 0..15u64 {
                    let written = collection.add(batch(writer * 100 + n, n)).unwrap();
                    assert_eq!(written.added, TAGGED as u64);
                }
            });
        }
    });
    assert_eq!((collection.len(), collection.stats().seq), (600, 60));
    whole(&collection.query("words").top(usize::MAX).run().unwrap());
}

/// Of writers that want the same new id, one gets it.
#[test]
fn one_of_many_adds_a_new_id() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    let won = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| won.fetch_add(usize::from(collection.add([numbered(1)]).is_ok()), Ordering::SeqCst));
        }
    });
    assert_eq!((won.load(Ordering::SeqCst), collection.len()), (1, 1));
}

#[test]
fn the_last_handle_on_any_thread_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    for round in 0..5 {
        let collection = bare(Index::Hnsw).open_or_create(&path).unwrap();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let collection = collection.clone();
                thread::spawn(move || {
                    collection.add([numbered(round * 10 + worker)]).unwrap();
                    collection.query_embedding(embedding(1)).run().unwrap().len()
                })
            })
            .collect();
        drop(collection);
        for worker in workers {
            assert!(worker.join().unwrap() > 0);
        }
    }
    assert_eq!(bare(Index::Hnsw).open(&path).unwrap().len(), 20);
}
