//! `marcato index`: the fields that filters find without reading passages.

use anyhow::{Context, Result};
use marcato::Field;
use serde_json::json;

use crate::args::IndexFields;
use crate::open;
use crate::output::Output;

pub(crate) fn run(args: &IndexFields, output: &mut Output) -> Result<()> {
    if args.fields.is_empty() {
        let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
        return list(&collection.field_indexes(), output);
    }
    let collection = open::without_encoder().open(&args.collection)?;
    open::report(&collection);
    for field in args.fields.iter().map(|field| Field::from(field.as_str())) {
        if args.drop {
            if !collection.drop_field_index(field.clone()).with_context(|| format!("cannot drop {field}"))? {
                eprintln!("note: {field} has no index");
            }
        } else if !collection.create_field_index(field.clone()).with_context(|| format!("cannot index {field}"))? {
            eprintln!("note: {field} has an index already");
        }
    }
    let fields = collection.field_indexes();
    collection.close()?;
    list(&fields, output)
}

fn list(fields: &[Field], output: &mut Output) -> Result<()> {
    for field in fields.iter().map(Field::to_string) {
        if output.json { output.value(&json!({ "field": field }))? } else { output.line(field)? }
    }
    Ok(())
}
