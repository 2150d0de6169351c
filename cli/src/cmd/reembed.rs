//! `marcato reembed`: a collection moved to another model.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, bail};
use marcato::{Collection, Stage};
use serde_json::json;

use crate::args::Reembed;
use crate::output::Output;
use crate::{open, progress};

pub(crate) fn run(args: &Reembed, output: &mut Output) -> Result<()> {
    if args.encoder.model.is_none() {
        bail!("name the model to move to with --model (\"{}\" for the one inside the program)", open::BUILTIN);
    }
    let started = Instant::now();
    let encoder = open::encoder(&args.encoder)?;
    let bar = progress::passages(0);
    bar.set_message("Encoding");
    let shown = bar.clone();
    let collection = Collection::options().encoder(encoder).on_progress(move |progress| {
        if progress.stage == Stage::Encode {
            shown.set_length(progress.total);
            shown.set_position(progress.done);
        }
        ControlFlow::Continue(())
    });
    let collection = collection.reembed(&args.collection);
    bar.finish_and_clear();
    let collection = collection?;
    let stats = collection.stats();
    collection.close()?;
    let seconds = started.elapsed().as_secs_f64();
    if output.json {
        return output.value(&json!({"passages": stats.passages, "encoder": stats.encoder, "seconds": seconds}));
    }
    let place = args.collection.display();
    output.line(format!("{} passages in {place} are of {} now ({seconds:.1} s)", stats.passages, stats.encoder))
}
