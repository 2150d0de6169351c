//! SIGKILL in the middle of every command that writes: whatever was acknowledged is there afterwards, batches are whole, and
//! what was under way is done by saying it again.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use marcato::{Collection, Filter};

use crate::support::{Outcome, Place};

const BATCH: u64 = 8;
const PASSAGES: u64 = 4000;

/// Kills of a run in all: `MARCATO_KILLS` if it is set.
fn kills() -> u64 {
    std::env::var("MARCATO_KILLS").map_or(200, |count| count.parse().expect("MARCATO_KILLS is a number"))
}

#[test]
fn kills_while_adding_and_replacing_lose_no_acknowledged_batch() {
    let place = Place::new();
    let mut lines = String::new();
    for n in 0..PASSAGES {
        writeln!(lines, "{{\"id\": \"{n}\", \"text\": \"number {n}\", \"n\": {n}}}").unwrap();
    }
    place.write("many.jsonl", lines);
    // An index of a field is part of each batch too.
    Collection::options().index_field("n").create(place.path("c")).unwrap().close().unwrap();
    let (kills, mut acknowledged, mut killed_midway) = (kills() / 8, 0, 0);
    for round in 0..kills {
        // Each round adds the same file again: passages that are there are replaced, which is acknowledged too.
        let arguments = ["add", "c", "many.jsonl", "--verbose", "--batch", &BATCH.to_string()];
        let mut child = place.command(&arguments).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let stop_after = 1 + round * 7 % 23;
        let mut seen = 0u64;
        for (count, line) in (1..).zip(stderr.lines()) {
            let line = line.unwrap();
            seen = line.strip_prefix("durable ").map_or(seen, |number| number.parse().unwrap());
            if count == stop_after {
                // Some way into the next batch, differently each round.
                std::thread::sleep(Duration::from_micros(round * 731 % 9000));
                child.kill().unwrap();
            }
        }
        killed_midway += u64::from(!child.wait().unwrap().success());
        acknowledged = acknowledged.max(seen);

        let collection = Collection::options().without_encoder().open(place.path("c")).unwrap();
        let held = collection.len();
        assert!(held >= acknowledged, "round {round}: {acknowledged} acknowledged, {held} there");
        assert!(held <= acknowledged + BATCH && held.is_multiple_of(BATCH), "round {round}: {held} for {acknowledged}");
        for n in 0..held {
            let passage = collection.get(n.to_string()).unwrap().unwrap();
            assert_eq!(passage.text, format!("number {n}"));
            assert_eq!(passage.metadata["n"], n);
        }
        let query = collection.query_embedding(collection.embedding("0").unwrap().unwrap()).top(PASSAGES as usize);
        let found = query.filter(Filter::field("n").lt(held)).explain().unwrap();
        assert_eq!((found.matches, found.read, found.hits.len() as u64), (Some(held), 0, held), "round {round}");
        acknowledged = held;
    }
    assert_eq!(killed_midway, kills, "a kill that comes too late proves nothing");
}

/// A collection with snapshots of both kinds, and dead weight in it.
fn filled(place: &Place, count: u64) {
    let mut lines = String::new();
    for n in 0..count {
        writeln!(lines, "{{\"id\": \"{n}\", \"text\": \"number {n}\", \"n\": {n}}}").unwrap();
    }
    place.write("some.jsonl", lines);
    place.run(&["add", "c", "some.jsonl", "--index", "hnsw"]).succeeded();
    place.run(&["query", "c", "number", "--mode", "lexical"]).succeeded();
    // To put passages back without encoding them.
    place.run(&["export", "c", "--embeddings", "-o", "all.jsonl"]).succeeded();
}

/// Kills the command until that came in time `kills` times, at another moment each, and then lets it come to its end.
fn kill_often(place: &Place, arguments: &[&str], kills: u64, mut check: impl FnMut(Outcome)) {
    let started = std::time::Instant::now();
    check(place.run(arguments));
    let mut whole = started.elapsed();
    let mut midway = 0;
    for round in 0..kills * 10 {
        if midway == kills {
            break;
        }
        let mut child = place.command(arguments).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(((round % kills) as f64 + 0.5) / kills as f64));
        child.kill().unwrap();
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        if outcome.code.is_none() {
            midway += 1;
        } else {
            // It takes less than was thought.
            whole = whole.mul_f64(0.9);
        }
        check(outcome);
    }
    assert_eq!(midway, kills, "a kill that comes too late proves nothing");
    place.run(arguments).succeeded();
}

fn ids(path: &Path) -> Vec<String> {
    let collection = Collection::options().without_encoder().open(path).unwrap();
    assert!(collection.check(|_| std::ops::ControlFlow::Continue(())).unwrap().is_sound());
    let ids = collection.iter().unwrap().map(|passage| passage.unwrap());
    ids.map(|passage| {
        let id = passage.id.unwrap().to_string();
        assert_eq!(passage.text, format!("number {id}"));
        id
    })
    .collect()
}

#[test]
fn kills_while_deleting_delete_all_or_none() {
    let place = Place::new();
    filled(&place, 1100);
    let before = ids(&place.path("c"));
    let gone: Vec<String> = (100..1000).map(|n| n.to_string()).collect();
    let arguments: Vec<&str> = ["delete", "c"].into_iter().chain(gone.iter().map(String::as_str)).collect();
    kill_often(&place, &arguments, kills() / 5, |outcome| {
        let there = ids(&place.path("c"));
        assert!(there.len() == 200 || there.len() == 1100 && outcome.code.is_none(), "{} there", there.len());
        if there.len() == 200 {
            place.run(&["import", "c", "all.jsonl"]).succeeded();
        }
    });
    assert_eq!(before.len(), 1100);
}

#[test]
fn kills_while_compacting_change_nothing() {
    let place = Place::new();
    filled(&place, 1100);
    place.run(&["import", "c", "all.jsonl"]).succeeded();
    let before = ids(&place.path("c"));
    kill_often(&place, &["compact", "c"], kills() / 5, |_| {
        assert_eq!(ids(&place.path("c")), before);
        // Something to compact.
        place.run(&["import", "c", "all.jsonl"]).succeeded();
        assert_eq!(ids(&place.path("c")), before);
    });
}

#[test]
fn kills_while_moving_to_another_model_leave_one_or_the_other() {
    let place = Place::new();
    filled(&place, 200);
    let before = ids(&place.path("c"));
    let other = crate::score::model("mean");
    for model in [other.as_str(), "built-in"] {
        let arguments = ["reembed", "c", "--model", model];
        kill_often(&place, &arguments, kills() / 8, |_| {
            assert_eq!(ids(&place.path("c")), before);
            // Moved already, which has to be undone to be done again.
            let back = if model == "built-in" { other.as_str() } else { "built-in" };
            place.run(&["reembed", "c", "--model", back]).succeeded();
        });
    }
}

#[test]
fn kills_while_opening_and_mending_lose_nothing() {
    let place = Place::new();
    filled(&place, 1100);
    let before = ids(&place.path("c"));
    let snapshot = place.path("c").join("views/embeddings.hnsw");
    kill_often(&place, &["check", "c", "--repair"], kills() / 4, |_| {
        assert_eq!(ids(&place.path("c")), before);
        // Something to mend, and a store that was not closed.
        let whole = std::fs::read(&snapshot).unwrap();
        std::fs::write(&snapshot, &whole[..whole.len() / 2]).unwrap();
        let mut child = place.command(&["index", "c", "n"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
