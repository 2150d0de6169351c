//! SIGKILL in the middle of `add`: whatever was acknowledged is there afterwards, and batches are whole.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use marcato::{Collection, Filter};

use crate::support::Place;

const BATCH: u64 = 8;
const PASSAGES: u64 = 4000;
const KILLS: u64 = 20;

#[test]
fn twenty_kills_lose_no_acknowledged_batch() {
    let place = Place::new();
    let mut lines = String::new();
    for n in 0..PASSAGES {
        writeln!(lines, "{{\"id\": \"{n}\", \"text\": \"number {n}\", \"n\": {n}}}").unwrap();
    }
    place.write("many.jsonl", lines);
    // An index of a field is part of each batch too.
    Collection::options().index_field("n").create(place.path("c")).unwrap().close().unwrap();
    let (mut acknowledged, mut killed_midway) = (0, 0);
    for round in 0..KILLS {
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
    assert_eq!(killed_midway, KILLS, "a kill that comes too late proves nothing");
}
