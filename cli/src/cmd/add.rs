//! `marcato add`: passages from files into a collection, batch by durable batch.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use marcato::{Collection, Passage};
use serde_json::json;

use crate::args::Add;
use crate::output::Output;
use crate::read::{self, Item};
use crate::{open, progress};

/// Bytes of text that become durable together at most, so that memory stays bounded whatever a batch's number.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// What has been done.
#[derive(Default)]
struct Tally {
    added: u64,
    updated: u64,
    skipped: u64,
    repeated: u64,
    first_repeated: Option<String>,
    seen: HashSet<u64>,
    hasher: RandomState,
}

pub(crate) fn run(args: &Add, output: &mut Output) -> Result<()> {
    let started = Instant::now();
    let sources = read::sources(&args.paths)?;
    let options = open::with_encoder(&args.encoder)?.index(open::index(args.index));
    let collection = open::words(options, args.language).open_or_create(&args.collection)?;
    open::report(&collection);
    let bar = progress::reading(read::total_bytes(&sources));
    bar.set_message("Adding");
    let mut tally = Tally::default();
    let outcome = add_all(args, &collection, &sources, &bar, &mut tally);
    bar.finish_and_clear();
    if let Err(error) = outcome {
        let durable = tally.added + tally.updated;
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
    if let Some(id) = &tally.first_repeated {
        eprintln!(
            "note: {} ids came more than once, such as \"{id}\"; the last passage of each stands",
            tally.repeated
        );
    }
    if output.json {
        let mut line =
            json!({"added": tally.added, "updated": tally.updated, "passages": passages, "seconds": seconds});
        if let (true, Some(line)) = (args.skip_invalid, line.as_object_mut()) {
            line.insert("skipped".to_owned(), tally.skipped.into());
        }
        return output.value(&line);
    }
    let skipped = if args.skip_invalid { format!(", {} lines skipped", tally.skipped) } else { String::new() };
    output.line(format!(
        "{} added, {} updated{skipped}; {passages} passages in {} ({seconds:.1} s)",
        tally.added,
        tally.updated,
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
    let mut batch: Vec<Passage> = Vec::new();
    let mut bytes = 0;
    for source in sources {
        for item in source.passages(bar)? {
            match item? {
                Item::Passage(passage) => {
                    bytes += passage.text.len();
                    tally.notice(&passage);
                    batch.push(passage);
                }
                Item::Invalid(error) if args.skip_invalid => {
                    tally.skipped += 1;
                    if args.verbose {
                        eprintln!("skipped {error:#}");
                    }
                }
                Item::Invalid(error) => {
                    return Err(error.context("an invalid passage (--skip-invalid passes over such)"));
                }
            }
            if batch.len() >= args.batch as usize || bytes >= MAX_BATCH_BYTES {
                commit(args, collection, &mut batch, tally)?;
                bytes = 0;
            }
        }
    }
    commit(args, collection, &mut batch, tally)
}

fn commit(args: &Add, collection: &Collection, batch: &mut Vec<Passage>, tally: &mut Tally) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let written = collection.upsert(batch.drain(..)).context("cannot add a batch")?;
    tally.added += written.added;
    tally.updated += written.updated;
    if args.verbose {
        eprintln!("durable {}", tally.added + tally.updated);
    }
    Ok(())
}

impl Tally {
    /// Counts ids that this run has seen before; 8 bytes each, so that any input fits.
    fn notice(&mut self, passage: &Passage) {
        if let Some(id) = &passage.id
            && !self.seen.insert(self.hasher.hash_one(id.as_str()))
        {
            self.repeated += 1;
            self.first_repeated.get_or_insert_with(|| id.as_str().to_owned());
        }
    }
}
