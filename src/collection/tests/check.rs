//! Checks: a sound collection passes, a view that lies is found out and made anew.

#[cfg(feature = "usearch")]
use std::fs;
use std::ops::ControlFlow;

use super::{Collection, Index, answers, bare, embedding, numbered, refused};
use crate::collection::{CheckReport, Part};
use crate::error::ErrorKind;
use crate::passage::RowId;
use crate::progress::Stage;

fn check(collection: &Collection) -> CheckReport {
    collection.check(|_| ControlFlow::Continue(())).unwrap()
}

fn parts(report: &CheckReport) -> Vec<Part> {
    report.problems.iter().map(|problem| problem.part).collect()
}

#[test]
fn a_sound_collection_has_no_problem() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).index_field("n").in_memory().unwrap();
        assert!(check(&collection).is_sound(), "nothing is sound");
        collection.add((0..600).map(|n| numbered(n).field("n", n % 7))).unwrap();
        collection.delete((0..100).map(|n| format!("id {n}"))).unwrap();
        let report = check(&collection);
        assert_eq!((report.problems.as_slice(), report.omitted, report.passages), ([].as_slice(), 0, 500));
        let approximate = collection.stats().index == Index::Hnsw;
        assert_eq!(report.recall.is_some(), approximate);
        assert!(report.recall.is_none_or(|recall| recall >= 0.97), "{report:?}");
    }
}

#[test]
fn it_says_how_far_it_is_and_can_be_stopped() {
    let collection = bare(Index::Exact).in_memory().unwrap();
    collection.add((0..2000).map(numbered)).unwrap();
    let mut seen = Vec::new();
    let report = collection.check(|progress| {
        assert_eq!((progress.stage, progress.total), (Stage::Check, 2000));
        seen.push(progress.done);
        ControlFlow::Continue(())
    });
    assert!(report.unwrap().is_sound() && seen.len() > 2 && seen.is_sorted(), "{seen:?}");
    assert_eq!(refused(collection.check(|_| ControlFlow::Break(()))).kind(), ErrorKind::Cancelled);
}

#[test]
fn a_view_that_lost_rows_is_found_out_and_made_anew() {
    for index in [Index::Exact, Index::Hnsw] {
        let collection = bare(index).in_memory().unwrap();
        collection.add((0..600).map(numbered)).unwrap();
        let right = answers(&collection, true);
        {
            use crate::index::VectorIndex;
            let mut live = collection.0.live.write();
            (10..300).for_each(|row| live.view.remove(RowId(row)).unwrap());
        }
        let report = check(&collection);
        assert!(parts(&report).iter().all(|part| *part == Part::Index) && !report.is_sound());
        assert!(report.problems[0].message.contains("290 passages") && Part::Index.is_view(), "{report:?}");
        collection.rebuild_indexes(|_| ControlFlow::Continue(())).unwrap();
        assert!(check(&collection).is_sound());
        assert_eq!(answers(&collection, true), right);
    }
}

/// A row that the store does not have, and one under another's number, which only the recall can tell.
#[test]
fn a_view_with_others_rows_is_found_out() {
    use crate::index::VectorIndex;
    let collection = bare(Index::Hnsw).in_memory().unwrap();
    collection.add((0..600).map(numbered)).unwrap();
    if collection.stats().index == Index::Exact {
        return;
    }
    let stored = |seed: u64| embedding(seed).iter().map(|value| half::f16::from_f32(*value)).collect::<Vec<_>>();
    collection.0.live.write().view.insert(RowId(7777), &stored(1)).unwrap();
    let report = check(&collection);
    assert!(report.problems.iter().any(|problem| problem.message.contains("601 rows")), "{report:?}");
    {
        let mut live = collection.0.live.write();
        live.view.remove(RowId(7777)).unwrap();
        for row in 0..300 {
            live.view.remove(RowId(row)).unwrap();
            live.view.insert(RowId(row), &stored(row + 5000)).unwrap();
        }
    }
    let report = check(&collection);
    assert!(report.problems.iter().any(|problem| problem.message.contains("true neighbours")), "{report:?}");
}

#[cfg(feature = "usearch")]
#[test]
fn a_damaged_snapshot_is_a_problem_to_readers_and_a_lost_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = bare(Index::Hnsw).create(&path).unwrap();
    collection.add((0..1100).map(|n| numbered(n).field("n", n))).unwrap();
    collection.close().unwrap();
    let views = path.join("views");
    let names = || fs::read_dir(&views).into_iter().flatten().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for snapshot in names() {
        let whole = fs::read(&snapshot).unwrap();
        fs::write(&snapshot, &whole[..whole.len() / 2]).unwrap();
    }
    let damaged = names().len();
    let reader = bare(Index::Hnsw).open_read_only(&path).unwrap();
    let report = check(&reader);
    assert_eq!(report.problems.len(), damaged, "{report:?}");
    assert!(report.problems.iter().all(|problem| problem.part.is_view() && problem.message.contains("damaged")));
    assert_eq!(refused(reader.rebuild_indexes(|_| ControlFlow::Continue(()))).kind(), ErrorKind::Misuse);
    drop(reader);
    let collection = bare(Index::Hnsw).open(&path).unwrap();
    collection.rebuild_indexes(|_| ControlFlow::Continue(())).unwrap();
    drop(collection);
    let reader = bare(Index::Hnsw).open_read_only(&path).unwrap();
    assert_eq!((check(&reader).problems, &reader.open_report().rebuilt), (Vec::new(), &None));
    drop(reader);
    fs::remove_dir_all(&views).unwrap();
    assert!(check(&bare(Index::Hnsw).open_read_only(&path).unwrap()).is_sound());
}

#[test]
fn problems_beyond_a_hundred_are_counted() {
    let mut report = CheckReport::default();
    (0..250).for_each(|n| report.note(Part::Store, n.to_string()));
    assert_eq!((report.problems.len(), report.omitted), (100, 150));
    assert!(!report.is_sound());
}
