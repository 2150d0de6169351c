//! Snapshots on disk: what was written comes back, and nothing else does.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::super::{HnswIndex, VectorIndex};
use super::{Dice, Source, stored};
use crate::error::Error;
use crate::medium::FileSystem;
use crate::passage::RowId;
use crate::similarity::Similarity;
use crate::snapshot::{self, Expected, Header, Loading, Reason, Snapshot};

const DIMENSION: usize = 16;
const COLLECTION: [u8; 16] = *b"0123456789abcdef";

fn header(index: &HnswIndex) -> Header {
    Header {
        collection: COLLECTION,
        lineage: 0x1234_5678_9abc_def0,
        seq: 42,
        count: index.len() as u64,
        dimension: DIMENSION as u32,
        similarity: Similarity::Cosine,
        expansion_search: index.expansion_search() as u32,
        growth: 17,
        engine: HnswIndex::engine(),
    }
}

fn view() -> (HnswIndex, Source) {
    let mut source = Source::clustered(3, DIMENSION, 20, 0.8);
    let mut index = HnswIndex::new(DIMENSION, Similarity::Cosine).unwrap();
    for row in 0..300 {
        index.insert(RowId(row * 3), &stored(&source.draw())).unwrap();
    }
    for row in 0..40 {
        index.remove(RowId(row * 6)).unwrap();
    }
    (index, source)
}

/// A directory with the snapshot of a view in it.
fn written() -> (TempDir, PathBuf, HnswIndex, Source) {
    let (index, source) = view();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hnsw.view");
    write(&path, &header(&index), &index).unwrap();
    (directory, path, index, source)
}

fn write(path: &Path, header: &Header, index: &HnswIndex) -> crate::Result<()> {
    snapshot::write(&FileSystem, path, header, &mut |out| index.write_to(out))
}

fn open(path: &Path) -> Result<Snapshot, Reason> {
    let engine = HnswIndex::engine();
    let expected = Expected {
        collection: COLLECTION,
        dimension: DIMENSION as u32,
        similarity: Similarity::Cosine,
        engine: &engine,
    };
    snapshot::open(&FileSystem, path, &expected)
}

/// What is in it, read to its end; before that goes wrong, what `given` got.
fn read_into(path: &Path, given: &mut Vec<u8>) -> Result<Header, Reason> {
    let snapshot = open(path)?;
    let header = snapshot.header.clone();
    snapshot.read(|payload| payload.read_to_end(given).map(|_| header).map_err(|error| Error::io("read", path, error)))
}

fn read(path: &Path) -> Result<Header, Reason> {
    read_into(path, &mut Vec::new())
}

fn load(path: &Path) -> HnswIndex {
    loaded(path).unwrap()
}

fn loaded(path: &Path) -> Result<HnswIndex, Reason> {
    let snapshot = open(path)?;
    let Header { similarity, expansion_search, count, .. } = snapshot.header;
    snapshot
        .read(|payload| HnswIndex::read_from(payload, DIMENSION, similarity, count as usize, expansion_search as usize))
}

/// The checksum of a changed header, put right, so that what lies behind it is reached.
fn reseal(bytes: &mut [u8]) {
    let length = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    let checksum = xxh3_64(&bytes[..length - 8]).to_le_bytes();
    bytes[length - 8..length].copy_from_slice(&checksum);
}

#[test]
fn what_was_written_comes_back() {
    let (directory, path, index, mut source) = written();
    assert_eq!(read(&path).unwrap(), header(&index));
    let mut again = load(&path);
    assert_eq!((again.len(), again.dead_fraction()), (index.len(), index.dead_fraction()));
    for _ in 0..50 {
        let query = source.draw();
        assert_eq!(again.search(&query, 10).unwrap(), index.search(&query, 10).unwrap());
    }
    // It can still grow, and is written over in place.
    for row in 1000..3000 {
        again.insert(RowId(row), &stored(&source.draw())).unwrap();
    }
    write(&path, &header(&again), &again).unwrap();
    assert_eq!(load(&path).len(), 2260);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn an_empty_view_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hnsw.view");
    let index = HnswIndex::new(DIMENSION, Similarity::Cosine).unwrap();
    write(&path, &header(&index), &index).unwrap();
    let mut index = load(&path);
    assert_eq!(index.search(&[1.0; DIMENSION], 5).unwrap(), []);
    index.insert(RowId(0), &stored(&[1.0; DIMENSION])).unwrap();
    assert_eq!(index.search(&[1.0; DIMENSION], 5).unwrap().len(), 1);
}

#[test]
fn none_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(read(&directory.path().join("hnsw.view")), Err(Reason::Missing)));
    assert!(matches!(read(directory.path()), Err(Reason::Unreadable(_))), "a directory is no snapshot");
}

#[test]
fn a_cut_is_torn() {
    let (_directory, path, ..) = written();
    let whole = fs::read(&path).unwrap();
    let header_length = usize::from(u16::from_le_bytes([whole[10], whole[11]]));
    let mut dice = Dice(5);
    let cuts = (0..header_length + 20).chain((0..200).map(|_| dice.below(whole.len()))).chain([whole.len() - 1]);
    for cut in cuts {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(read(&path), Err(Reason::Torn(_))), "cut at {cut}");
    }
    for tail in [1, 4096] {
        fs::write(&path, [&whole[..], &vec![0; tail]].concat()).unwrap();
        assert!(matches!(read(&path), Err(Reason::Torn(_))), "{tail} bytes too many");
    }
    fs::write(&path, &whole).unwrap();
    assert!(read(&path).is_ok(), "the negative control");
}

#[test]
fn a_flipped_bit_is_torn() {
    let (_directory, path, ..) = written();
    let mut bytes = fs::read(&path).unwrap();
    let header_length = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    let mut dice = Dice(6);
    let (bits, end) = (bytes.len() * 8, (bytes.len() - 64) * 8);
    let places: Vec<usize> =
        (0..header_length * 8).chain((0..600).map(|_| dice.below(bits))).chain(end..bits).collect();
    for place in places {
        bytes[place / 8] ^= 1 << (place % 8);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(read(&path), Err(Reason::Torn(_))), "bit {place}");
        bytes[place / 8] ^= 1 << (place % 8);
    }
    fs::write(&path, &bytes).unwrap();
    assert!(read(&path).is_ok(), "the negative control");
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let (_directory, path, ..) = written();
    let mut bytes = fs::read(&path).unwrap();
    for (version, newer) in [(4, true), (u16::MAX, true), (2, false), (1, false), (0, false)] {
        bytes[8..10].copy_from_slice(&version.to_le_bytes());
        reseal(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let reason = read(&path).err().unwrap();
        assert!(matches!((&reason, newer), (Reason::Newer(_), true) | (Reason::Older(_), false)), "{reason}");
        assert!(reason.to_string().contains(&version.to_string()), "{reason}");
    }
}

/// Of another version nothing but the beginning and the checksum is known: both may be all there is.
#[test]
fn a_header_of_another_version_may_be_of_any_length() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hnsw.view");
    for (length, whole) in [(20_u16, true), (21, true), (19, false), (12, false), (0, false)] {
        let mut bytes = b"MARCVIEW".to_vec();
        bytes.extend([9, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.resize(usize::from(length).max(20) - 8, 7);
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes.extend([0; 64]);
        fs::write(&path, &bytes).unwrap();
        let reason = read(&path).err().unwrap();
        assert!(matches!((&reason, whole), (Reason::Newer(9), true) | (Reason::Torn(_), false)), "{length}: {reason}");
    }
}

/// Nothing of a piece that was changed is given out, and nothing behind it: with the negative control that the whole is.
#[test]
fn a_payload_of_any_size_comes_back_or_what_is_sound_of_it() {
    const PIECE: usize = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hnsw.view");
    let (index, _) = view();
    let mut dice = Dice(7);
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 77] {
        let payload: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
        let mut content = |out: &mut dyn Write| payload.chunks(70_001).try_for_each(|part| out.write_all(part));
        snapshot::write(&FileSystem, &path, &header(&index), &mut content).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut given = Vec::new();
        read_into(&path, &mut given).unwrap();
        assert!(given == payload, "{length}");
        // Taking less than all is no way around the checksums of the rest, and more than all is not there.
        assert_eq!(open(&path).unwrap().read(|_| Ok(1)).unwrap(), 1);
        let start = whole.len() - length - 16 * length.div_ceil(PIECE) - 32;
        for place in (0..length).step_by(PIECE).chain(length.checked_sub(1)) {
            let mut bytes = whole.clone();
            bytes[start + place] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let mut given = Vec::new();
            let reason = read_into(&path, &mut given).unwrap_err();
            assert!(reason.to_string().contains("the checksum of its payload is wrong"), "{reason}");
            assert!(given == payload[..place / PIECE * PIECE], "{length}, {place}: {}", given.len());
            assert!(matches!(open(&path).unwrap().read(|_| Ok(())), Err(Reason::Torn(_))));
            let insistent = open(&path).unwrap().read(|payload| {
                let mut again = Vec::new();
                assert!(io::copy(payload, &mut io::sink()).is_err() && payload.read_to_end(&mut again).is_err());
                assert!(again.is_empty());
                Ok(())
            });
            assert!(matches!(insistent, Err(Reason::Torn(_))));
        }
    }
    let mut failing = |out: &mut dyn Write| out.write_all(&[1; 3 << 20]).and(Err(io::Error::other("enough")));
    let error = snapshot::write(&FileSystem, &path, &header(&index), &mut failing).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("enough"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
}

/// What stands behind the payload, right by its own checksum, but of another length than the file: nothing is allocated.
#[test]
fn a_forged_length_is_torn() {
    let (_directory, path, ..) = written();
    let whole = fs::read(&path).unwrap();
    let trailer = whole.len() - 32;
    let length = u64::from_le_bytes(whole[trailer..trailer + 8].try_into().unwrap());
    let forge = |length: u64| {
        let mut bytes = whole.clone();
        bytes[trailer..trailer + 8].copy_from_slice(&length.to_le_bytes());
        let seal = xxh3_64(&bytes[trailer..trailer + 24]).to_le_bytes();
        bytes[trailer + 24..].copy_from_slice(&seal);
        fs::write(&path, &bytes).unwrap();
        read(&path)
    };
    for wrong in [0, 1, length - 1, length + 1, length + (1 << 20), 1 << 50, u64::MAX / 16, u64::MAX] {
        assert!(matches!(forge(wrong), Err(Reason::Torn("its length is wrong"))), "{wrong}");
    }
    forge(length).unwrap();
    // A checksum of a piece, and none of its bytes.
    let mut bytes = whole.clone();
    bytes[trailer - 1] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(&path), Err(Reason::Torn("the checksum of its checksums is wrong"))));
}

/// A graph of several pieces of which one is damaged: usearch has had those before it.
#[test]
fn a_graph_that_breaks_off_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hnsw.view");
    let (mut index, mut source) = view();
    for row in 1000..21_000 {
        index.insert(RowId(row), &stored(&source.draw())).unwrap();
    }
    write(&path, &header(&index), &index).unwrap();
    let whole = fs::read(&path).unwrap();
    let pieces = whole.len() >> 20;
    assert!(pieces >= 3, "{pieces}");
    for piece in 0..=pieces {
        let mut bytes = whole.clone();
        let place = (piece << 20) + (1 << 10);
        bytes[place.min(whole.len() - 4096)] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let reason = loaded(&path).err().unwrap();
        assert!(matches!(reason, Reason::Torn("the checksum of its payload is wrong")), "{piece}: {reason}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(load(&path).len(), index.len(), "the negative control");
}

/// usearch by itself, when what it reads ends anywhere: an error each time.
#[test]
fn a_graph_that_ends_early_is_an_error() {
    let (index, _) = view();
    let mut whole = Vec::new();
    index.write_to(&mut whole).unwrap();
    let read = |bytes: &[u8]| HnswIndex::read_from(&mut &bytes[..], DIMENSION, Similarity::Cosine, index.len(), 64);
    for end in (0..whole.len()).step_by(13) {
        assert!(read(&whole[..end]).is_err(), "{end} of {}", whole.len());
    }
    assert_eq!(read(&whole).unwrap().len(), index.len(), "the negative control");
}

#[test]
fn another_collection_or_parameter_is_refused() {
    let (_directory, path, index, _) = written();
    let refused = |change: fn(&mut Header)| {
        let mut header = header(&index);
        change(&mut header);
        write(&path, &header, &index).unwrap();
        read(&path).err().unwrap()
    };
    assert!(matches!(refused(|header| header.collection[15] ^= 1), Reason::Foreign));
    assert!(matches!(refused(|header| header.dimension += 1), Reason::OtherParameters { .. }));
    assert!(matches!(refused(|header| header.similarity = Similarity::Dot), Reason::OtherParameters { .. }));
    let reason = refused(|header| header.engine = "usearch 2.0.0".to_owned());
    assert!(reason.to_string().contains("\"usearch 2.0.0, dimension 16, cosine\""), "{reason}");
    // What differs from collection to collection, and from moment to moment, is for the caller to judge.
    write(&path, &Header { seq: 7, lineage: 8, ..header(&index) }, &index).unwrap();
    assert_eq!(read(&path).unwrap().seq, 7);
}

#[test]
fn loads_that_never_ended_are_tried_again_but_not_for_ever() {
    let (directory, path, index, _) = written();
    // A crash, or a process that somebody ended: nobody says `done`.
    let crash = || drop(Loading::begin(&FileSystem, &path).unwrap());
    crash();
    crash();
    Loading::begin(&FileSystem, &path).unwrap().done().unwrap();
    crash();
    crash();
    assert!(read(&path).is_ok(), "those before one that ended do not count");
    crash();
    assert!(matches!(read(&path), Err(Reason::Interrupted)));
    // The next snapshot is a new one, and is trusted again.
    write(&path, &header(&index), &index).unwrap();
    assert!(read(&path).is_ok());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no mark stays");
    fs::remove_file(&path).unwrap();
    (0..3).for_each(|_| crash());
    assert!(matches!(read(&path), Err(Reason::Missing)));
    let nowhere = directory.path().join("no such folder/hnsw.view");
    assert!(Loading::begin(&FileSystem, &nowhere).is_err());
}

#[test]
fn reading_ends_when_nobody_wants_it_any_more() {
    let (_directory, path, ..) = written();
    let wanted = Arc::new(AtomicBool::new(true));
    let read = || {
        let wanted = Arc::clone(&wanted);
        let snapshot = open(&path).unwrap().while_wanted(Arc::new(move || wanted.load(Ordering::Relaxed)));
        snapshot.read(|payload| {
            let mut given = Vec::new();
            payload.read_to_end(&mut given).map(|_| given).map_err(|error| Error::io("read", &path, error))
        })
    };
    assert!(!read().unwrap().is_empty());
    wanted.store(false, Ordering::Relaxed);
    assert!(matches!(read(), Err(Reason::Unreadable(_))));
}

#[test]
fn a_failed_write_leaves_the_old_snapshot() {
    let (directory, path, index, _) = written();
    let elsewhere = directory.path().join("no such folder/at all/hnsw.view");
    let error = write(&elsewhere, &header(&index), &index).unwrap_err();
    assert!(error.to_string().contains("no such folder"), "{error}");
    let long = Header { engine: "x".repeat(70_000), ..header(&index) };
    assert!(write(&path, &long, &index).is_err());
    // A directory in the way of the rename.
    let blocked = directory.path().join("blocked.view");
    fs::create_dir(&blocked).unwrap();
    assert!(write(&blocked, &header(&index), &index).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file stays");
    assert!(read(&path).is_ok());
}

#[test]
fn only_our_own_leftovers_are_swept() {
    let (directory, path, ..) = written();
    let kept = [
        "hnsw.view.tmp",
        "hnsw.view.tmp-1",
        "hnsw.view.tmp-1-",
        "hnsw.view.tmp--1",
        "hnsw.view.tmp-1-2-3",
        "hnsw.view.tmp-a-1",
        "hnsw.view.loading",
        "hnsw.view.loading-2",
        "other.tmp-1-2",
        "xhnsw.view.tmp-1-2",
        "hnsw.view.tmp-1-2.txt",
    ];
    let swept = ["hnsw.view.tmp-1-2", "hnsw.view.tmp-4294967295-0"];
    for name in kept.iter().chain(&swept) {
        fs::write(directory.path().join(name), "").unwrap();
    }
    fs::create_dir(directory.path().join("hnsw.view.tmp-5-5")).unwrap();
    snapshot::sweep(&FileSystem, &path).unwrap();
    assert!(kept.iter().all(|name| directory.path().join(name).exists()));
    assert!(swept.iter().all(|name| !directory.path().join(name).exists()));
    assert!(path.exists() && directory.path().join("hnsw.view.tmp-5-5").exists());
    snapshot::sweep(&FileSystem, &directory.path().join("no such folder/hnsw.view")).unwrap();
}
