//! `marcato compact`: the space of deleted passages, given back.

use std::ops::ControlFlow;

use anyhow::Result;
use indicatif::HumanBytes;
use serde_json::json;

use crate::args::Compact;
use crate::open;
use crate::output::Output;

pub(crate) fn run(args: &Compact, output: &mut Output) -> Result<()> {
    let collection = open::without_encoder().open(&args.collection)?;
    open::report(&collection);
    let before = collection.stats().bytes;
    collection.compact(|_| ControlFlow::Continue(()))?;
    let after = collection.stats();
    let passages = after.passages;
    collection.close()?;
    if output.json {
        return output.value(&json!({"passages": passages, "bytes_before": before, "bytes": after.bytes}));
    }
    output.line(format!("{} before, {} now: {passages} passages", HumanBytes(before), HumanBytes(after.bytes)))
}
