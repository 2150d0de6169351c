//! `marcato export` and `marcato import`: passages as JSONL, out of a collection and into one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Cursor, Read, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::path::Path;
use std::process;
use std::time::Instant;

use anyhow::{Context, Result};
use marcato::{Collection, CollectionOptions, Ingested};
use serde_json::{Value, json};

use crate::args::{Export, Import};
use crate::output::Output;
use crate::{open, progress};

/// Longer lines are refused when they are imported.
const MAX_LINE: u64 = 256 << 20;

pub(crate) fn export(args: &Export) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
    let write = |out: &mut dyn Write| {
        Ok(if args.embeddings { collection.export_with_embeddings(out) } else { collection.export(out) }?)
    };
    match &args.output {
        None => write(&mut BufWriter::new(stdout().lock())).map(drop),
        Some(path) => {
            let count = replace(path, write).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{count} passages in {}", path.display());
            Ok(())
        }
    }
}

/// Writes a file that takes the place of an older one once it is whole. What is no file, as a pipe or a device, is
/// written as it comes, and so is `/dev/stdout`, which may lead to a file that others go on writing to.
fn replace<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    if path.starts_with("/dev") || path.metadata().is_ok_and(|there| !there.is_file()) {
        return write(&mut BufWriter::new(File::create(path)?));
    }
    // A link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // A name that nobody else has given a file.
    let unfinished = path.with_added_extension(format!("part-{}", process::id()));
    let file = File::create_new(&unfinished)?;
    let written = write(&mut BufWriter::new(&file)).and_then(|written| {
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        Ok(written)
    });
    written.inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

pub(crate) fn import(args: &Import, output: &mut Output) -> Result<()> {
    let started = Instant::now();
    let from_stdin = args.file.as_os_str() == "-";
    let name = if from_stdin { "standard input".to_owned() } else { args.file.display().to_string() };
    let bar = progress::reading(if from_stdin { None } else { args.file.metadata().ok().map(|file| file.len()) });
    let mut lines: Box<dyn BufRead> = if from_stdin {
        Box::new(BufReader::with_capacity(1 << 20, bar.wrap_read(stdin())))
    } else {
        let file = File::open(&args.file).with_context(|| format!("cannot read {name}"))?;
        Box::new(BufReader::with_capacity(1 << 20, bar.wrap_read(file)))
    };
    // Whole, however little of it a pipe gives at once.
    let mut first = Vec::new();
    lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut first).with_context(|| format!("cannot read {name}"))?;
    let own = embeddings_of_their_own(&first);
    let collection = options(args, own)?.open_or_create(&args.collection)?;
    open::report(&collection);
    open::report_made(&collection, &args.make);
    bar.set_message("Importing");
    let mut durable = Ingested::default();
    let outcome = collection
        .import(Cursor::new(first).chain(lines))
        .on_durable(|so_far| {
            durable = so_far;
            ControlFlow::Continue(())
        })
        .run();
    bar.finish_and_clear();
    outcome.with_context(|| {
        let done = durable.added + durable.updated;
        format!("{name}: stopped; {done} passages before it are in {}", args.collection.display())
    })?;
    let passages = collection.len();
    collection.close()?;
    let seconds = started.elapsed().as_secs_f64();
    let Ingested { added, updated, .. } = durable;
    if output.json {
        return output.value(&json!({"added": added, "updated": updated, "passages": passages, "seconds": seconds}));
    }
    let place = args.collection.display();
    output.line(format!("{added} added, {updated} updated; {passages} passages in {place} ({seconds:.1} s)"))
}

/// The numbers per embedding of an export from a collection without an encoder, which its first line tells; `None` for
/// any other.
fn embeddings_of_their_own(line: &[u8]) -> Option<usize> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let numbers = line.get("embedding")?.as_array()?.len();
    line.get("encoder").is_none().then_some(numbers)
}

fn options(args: &Import, own: Option<usize>) -> Result<CollectionOptions> {
    let options = match own {
        Some(numbers) if !is_collection(&args.collection) => {
            progress::on_open(Collection::options().embeddings(numbers, args.similarity))
        }
        Some(_) => open::without_encoder(),
        None => open::with_encoder(&args.encoder)?,
    };
    Ok(open::made(options, &args.make))
}

fn is_collection(path: &Path) -> bool {
    path.join("store.redb").exists()
}
