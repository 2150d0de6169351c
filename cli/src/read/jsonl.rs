//! JSONL: a passage a line, `{"id" or "_id", "text", "title"?, ...}`, the other fields metadata.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use marcato::Passage;
use serde_json::Value;

use super::Item;
use super::lines::Lines;
use super::object::object;

/// The passages of `reader`, whose `name` is used in messages. `derived` makes the id of a line that has none.
pub(super) fn passages<'a>(
    name: &'a str,
    reader: impl BufRead + 'a,
    derived: impl Fn(usize) -> Option<String> + 'a,
) -> impl Iterator<Item = Result<Item>> + 'a {
    Lines::new(reader).map(move |line| {
        let (number, line) = line.with_context(|| format!("cannot read {name}"))?;
        let parsed = parse(&line).map(|passage| match (&passage.id, derived(number)) {
            (None, Some(id)) => passage.id(id),
            _ => passage,
        });
        Ok(match parsed {
            Ok(passage) => Item::Passage(passage),
            Err(error) => Item::Invalid(error.context(format!("{name}:{number}"))),
        })
    })
}

fn parse(line: &[u8]) -> Result<Passage> {
    let mut fields = object(line)?;
    let text = match fields.shift_remove("text") {
        Some(Value::String(text)) => text,
        Some(_) => bail!("\"text\" is not a string"),
        None => bail!("there is no \"text\""),
    };
    let mut passage = Passage::new(text);
    let id = fields.shift_remove("_id");
    match fields.shift_remove("id").or(id) {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if id.is_empty() => bail!("the id is empty"),
        Some(Value::String(id)) => passage = passage.id(id),
        Some(Value::Number(id)) => passage = passage.id(id.to_string()),
        Some(_) => bail!("the id is neither a string nor a number"),
    }
    match fields.shift_remove("title") {
        None | Some(Value::Null) => {}
        Some(Value::String(title)) if title.is_empty() => {}
        Some(Value::String(title)) => passage = passage.title(title),
        Some(_) => bail!("\"title\" is not a string"),
    }
    // What `get` and `list` print can be added again.
    if let Some(Value::Object(metadata)) = fields.get("metadata")
        && fields.len() == 1
    {
        fields = metadata.clone();
    }
    Ok(passage.metadata(fields))
}
