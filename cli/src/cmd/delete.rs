//! `marcato delete`: passages out of a collection.

use anyhow::Result;
use serde_json::json;

use crate::args::Delete;
use crate::open;
use crate::output::Output;

pub(crate) fn run(args: &Delete, output: &mut Output) -> Result<()> {
    let collection = open::without_encoder().open(&args.collection)?;
    open::report(&collection);
    let deleted = collection.delete(&args.ids)?;
    let passages = collection.len();
    if output.json {
        output.value(&json!({"deleted": deleted, "passages": passages}))
    } else {
        output.line(format!("{deleted} deleted, {passages} left"))
    }
}
