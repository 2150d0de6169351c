//! `marcato add`: passages from files into a collection, read and encoded while the batch before becomes durable.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;
use marcato::{Collection, Ingested, Passage};
use serde_json::json;

use crate::args::Add;
use crate::output::Output;
use crate::read::{self, Item};
use crate::{open, progress};

/// What has been done.
#[derive(Default)]
struct Tally {
    durable: Ingested,
    seen: Seen,
}

/// What has been read.
#[derive(Default)]
struct Seen {
    skipped: u64,
    repeated: u64,
    first_repeated: Option<String>,
    ids: HashSet<u64>,
    hasher: RandomState,
}

pub(crate) fn run(args: &Add, output: &mut Output) -> Result<()> {
    let started = Instant::now();
    let sources = read::sources(&args.paths)?;
    let options = open::made(open::with_encoder(&args.encoder)?, &args.make);
    let collection = options.open_or_create(&args.collection)?;
    open::report(&collection);
    open::report_made(&collection, &args.make);
    let bar = progress::reading(read::total_bytes(&sources));
    bar.set_message("Adding");
    let mut tally = Tally::default();
    let outcome = add_all(args, &collection, &sources, &bar, &mut tally);
    bar.finish_and_clear();
    if let Err(error) = outcome {
        let durable = tally.durable.added + tally.durable.updated;
        return Err(
            error.context(format!("stopped; {durable} passages before it are in {}", args.collection.display()))
        );
    }
    let passages = collection.len();
    let closed = collection.close();
    let seconds = started.elapsed().as_secs_f64();
    if let Err(error) = closed {
        eprintln!(
            "note: the index's file was not brought up to date ({error}); it will be when the collection is opened"
        );
    }
    let Tally { durable, seen } = tally;
    if let Some(id) = &seen.first_repeated {
        eprintln!("note: {} ids came more than once, such as \"{id}\"; the last passage of each stands", seen.repeated);
    }
    if output.json {
        let mut line =
            json!({"added": durable.added, "updated": durable.updated, "passages": passages, "seconds": seconds});
        if let (true, Some(line)) = (args.skip_invalid, line.as_object_mut()) {
            line.insert("skipped".to_owned(), seen.skipped.into());
        }
        return output.value(&line);
    }
    let skipped = if args.skip_invalid { format!(", {} lines skipped", seen.skipped) } else { String::new() };
    output.line(format!(
        "{} added, {} updated{skipped}; {passages} passages in {} ({seconds:.1} s)",
        durable.added,
        durable.updated,
        args.collection.display()
    ))
}

fn add_all(
    args: &Add,
    collection: &Collection,
    sources: &[read::Source],
    bar: &ProgressBar,
    tally: &mut Tally,
) -> Result<()> {
    let durable = &mut tally.durable;
    let seen = &mut tally.seen;
    let passages = read::all(sources, bar).filter_map(|item| match item {
        Ok(Item::Passage(passage)) => {
            seen.notice(&passage);
            Some(Ok(passage))
        }
        Ok(Item::Invalid(error)) if args.skip_invalid => {
            seen.skipped += 1;
            if args.verbose {
                eprintln!("skipped {error:#}");
            }
            None
        }
        Ok(Item::Invalid(error)) => Some(Err(error.context("an invalid passage (--skip-invalid passes over such)"))),
        Err(error) => Some(Err(error)),
    });
    let ingest = collection.ingest(passages).batch(args.batch as usize).on_durable(|so_far| {
        *durable = so_far;
        if args.verbose {
            eprintln!("durable {}", so_far.added + so_far.updated);
        }
        ControlFlow::Continue(())
    });
    ingest.run().map(drop)
}

impl Seen {
    /// Counts ids that this run has seen before; 8 bytes each, so that any input fits.
    fn notice(&mut self, passage: &Passage) {
        if let Some(id) = &passage.id
            && !self.ids.insert(self.hasher.hash_one(id.as_str()))
        {
            self.repeated += 1;
            self.first_repeated.get_or_insert_with(|| id.as_str().to_owned());
        }
    }
}
