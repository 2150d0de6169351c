//! Files that were changed by somebody else: whatever is answered is right, or it is an error with a name.

use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::workload::{PATH, Run, Step, open, passages, text};
use super::{Dice, Index, embedding};
use crate::collection::{Hit, Mode};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::kernels::similarity_f32;
use crate::passage::Passage;
use crate::similarity::Similarity;

/// Passages, so many that words have a snapshot too.
const COUNT: u64 = 1100;

/// Bits that are flipped, one at a time: `MARCATO_MUTATIONS` if it is set.
fn flips() -> usize {
    std::env::var("MARCATO_MUTATIONS").map_or(2000, |count| count.parse().expect("MARCATO_MUTATIONS is a number"))
}

const PAGE: usize = 4096;

/// A closed collection with snapshots of both views, an index of a field, and some history; each id is its number.
fn sample(offset: u64) -> Disk {
    let disk = Disk::default();
    let mut run = Run::create(&disk, Index::Hnsw).unwrap();
    let numbered = |range: std::ops::Range<u64>| Step::Upsert(range.map(|n| (n + offset, n + offset)).collect());
    let history =
        [Step::IndexField, numbered(0..700), numbered(300..COUNT), Step::Delete((0..50).map(|n| n + offset).collect())];
    history.iter().chain(&[Step::Words, Step::Flush]).for_each(|step| run.perform(step).unwrap());
    run.close();
    disk
}

fn is_told(error: &Error) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::Io, ErrorKind::Incompatible, ErrorKind::NotFound];
    assert!(kinds.contains(&error.kind()), "{error:?}");
}

/// What came, if it came; otherwise why not.
fn told<T>(outcome: Result<T>) -> Option<T> {
    outcome.inspect_err(is_told).ok()
}

/// The number of a passage that is as it was written.
fn number_of(id: &str, text_of: &str, offset: u64) -> u64 {
    let number: u64 = id.strip_prefix("id ").and_then(|number| number.parse().ok()).unwrap_or(u64::MAX);
    assert!((50..COUNT).contains(&(number - offset)), "{id} was never there");
    assert_eq!(text_of, text(number));
    number
}

fn right_hits(hits: &[Hit], query: Option<u64>, offset: u64) {
    for hit in hits {
        let number = number_of(hit.id.as_str(), &hit.text, offset);
        assert_eq!(hit.metadata["n"], number);
        if let Some(seed) = query {
            let stored = super::workload::stored(number);
            let score = similarity_f32(&embedding(seed), &stored, Similarity::Cosine);
            assert_eq!(hit.score.to_bits(), score.to_bits(), "the score of {number}");
        }
    }
}

/// The ids of the ten nearest, by brute force.
fn nearest(seed: u64, offset: u64) -> Vec<String> {
    let query = embedding(seed);
    let score = |number| similarity_f32(&query, &super::workload::stored(number), Similarity::Cosine);
    let mut scored: Vec<(f32, u64)> = (offset + 50..offset + COUNT).map(|number| (score(number), number)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(10).map(|(_, number)| format!("id {number}")).collect()
}

/// Everything that can be asked of the collection on `disk`, held against what was written. Says whether nothing was amiss.
fn ask(disk: &Disk, offset: u64, dice: &mut Dice) -> bool {
    let Some(collection) = told(open(disk, Index::Hnsw)) else { return false };
    let mut sound = true;
    let mut all = |fine: bool| sound &= fine;
    match told(collection.iter()) {
        None => all(false),
        Some(passages) => {
            let (mut count, mut refused) = (0, 0);
            for passage in passages {
                match told(passage) {
                    None => refused += 1,
                    Some(Passage { id, text, .. }) => {
                        number_of(id.unwrap().as_str(), &text, offset);
                        count += 1;
                    }
                }
            }
            assert!(count == COUNT - 50 || refused > 0, "{count} passages, and no word of the others");
            all(refused == 0);
        }
    }
    let seed = 1_000_000 + dice.bits() % 100;
    for exact in [true, false] {
        let hits = told(collection.query_embedding(embedding(seed)).top(10).exact(exact).run());
        all(hits.is_some());
        if let Some(hits) = hits {
            assert_eq!(hits.len(), 10);
            right_hits(&hits, Some(seed), offset);
            if exact {
                let found: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
                assert_eq!(found, nearest(seed, offset));
            }
        }
    }
    let below = collection.query_embedding(embedding(seed)).filter(Filter::field("n").lt(offset + 60));
    let hits = told(below.top(100).run());
    all(hits.is_some());
    if let Some(hits) = hits {
        assert_eq!(hits.len(), 10, "filtered");
        right_hits(&hits, Some(seed), offset);
    }
    if cfg!(feature = "lexical") {
        let hits = told(collection.query("third").mode(Mode::Lexical).top(2000).run());
        let thirds = (offset + 50..offset + COUNT).filter(|number| number.is_multiple_of(3)).count();
        all(hits.is_some());
        if let Some(hits) = hits {
            assert_eq!(hits.len(), thirds, "by words");
            right_hits(&hits, None, offset);
        }
    }
    let id = offset + 50 + dice.bits() % (COUNT - 50);
    match told(collection.get(format!("id {id}"))) {
        None => all(false),
        Some(found) => match found {
            Some(found) => assert_eq!(number_of(found.id.unwrap().as_str(), &found.text, offset), id),
            None => panic!("id {id} was lost without a word"),
        },
    }
    // Writing goes well too, or is refused by name.
    match collection.upsert(passages(&[(offset + 50, offset + 50)])) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Poisoned => {}
        Err(error) => is_told(&error),
    }
    sound
}

fn files() -> Vec<PathBuf> {
    let views = [("embeddings.hnsw", cfg!(feature = "usearch")), ("words.bm25", cfg!(feature = "lexical"))];
    let views = views.into_iter().filter(|(_, is_there)| *is_there);
    let views = views.map(|(name, _)| Path::new(PATH).join("views").join(name));
    std::iter::once(Path::new(PATH).join("store.redb")).chain(views).collect()
}

#[test]
fn the_sample_is_sound() {
    assert!(ask(&sample(0), 0, &mut Dice(0)));
    assert!(ask(&sample(5000), 5000, &mut Dice(0)));
}

#[test]
fn one_bit_anywhere() {
    let (disk, mut dice) = (sample(0), Dice(1));
    let files = files();
    let mut noticed = 0;
    for flip in 0..flips() {
        // Half of them in the store, and one in eight among the first bytes of a file, where every bit counts.
        let path = &files[if flip % 2 == 0 { 0 } else { flip / 2 % files.len() }];
        let mut bytes = disk.bytes(path);
        let bits = if flip % 8 == 0 { bytes.len().min(512) * 8 } else { bytes.len() * 8 };
        let bit = dice.bits() as usize % bits;
        bytes[bit / 8] ^= 1 << (bit % 8);
        noticed += usize::from(!ask(&disk.with(path, bytes), 0, &mut dice));
    }
    // Most bits are free space, or of a snapshot that is then rebuilt.
    assert!(noticed > flips() / 100, "{noticed} noticed: nothing was tried");
}

#[test]
fn cut_off_anywhere() {
    let (disk, mut dice) = (sample(0), Dice(2));
    for path in files() {
        let whole = disk.bytes(&path);
        for length in (0..whole.len()).step_by(PAGE) {
            ask(&disk.with(&path, whole[..length].to_vec()), 0, &mut dice);
        }
    }
}

#[test]
fn pages_of_zeros_and_pages_that_changed_places() {
    let (disk, mut dice) = (sample(0), Dice(3));
    for path in files() {
        let whole = disk.bytes(&path);
        let pages = whole.len() / PAGE;
        for page in 0..pages {
            let at = page * PAGE..(page + 1) * PAGE;
            let mut zeroed = whole.clone();
            zeroed[at.clone()].fill(0);
            ask(&disk.with(&path, zeroed), 0, &mut dice);
            let other = dice.bits() as usize % pages;
            let mut swapped = whole.clone();
            swapped[at.clone()].copy_from_slice(&whole[other * PAGE..(other + 1) * PAGE]);
            swapped[other * PAGE..(other + 1) * PAGE].copy_from_slice(&whole[at]);
            ask(&disk.with(&path, swapped), 0, &mut dice);
        }
    }
}

/// A file of another collection, of which all is right but that it belongs elsewhere; and one of the same from before.
#[test]
fn files_of_another_collection_and_of_another_time() {
    let (disk, other, mut dice) = (sample(0), sample(5000), Dice(4));
    for path in files().into_iter().skip(1) {
        assert!(ask(&disk.with(&path, other.bytes(&path)), 0, &mut dice), "{}", path.display());
    }
    // Its store under our snapshots is that collection.
    let store = Path::new(PATH).join("store.redb");
    assert!(ask(&disk.with(&store, other.bytes(&store)), 5000, &mut dice));

    // Any older file beside newer ones: views are brought up to date or made anew, an older store is the older collection.
    let later = disk.copy();
    let collection = open(&later, Index::Hnsw).unwrap();
    collection.upsert(passages(&(50..COUNT).map(|n| (n, n)).collect::<Vec<_>>())).unwrap();
    collection.close().unwrap();
    for path in files() {
        assert!(ask(&later.with(&path, disk.bytes(&path)), 0, &mut dice), "{}", path.display());
    }
}
