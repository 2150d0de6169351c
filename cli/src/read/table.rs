//! CSV and TSV with a header line: the columns `text`, `title` and `id` (or `_id`), the others metadata.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail};
use csv::StringRecord;
use marcato::Passage;

use super::Item;

/// The passages of `reader`, whose `name` is used in messages. `derived` makes the id of a row that has none.
pub(super) fn passages<'a>(
    name: &'a str,
    reader: impl Read + 'a,
    delimiter: u8,
    derived: impl Fn(usize) -> Option<String> + 'a,
) -> Result<impl Iterator<Item = Result<Item>> + 'a> {
    let mut rows = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(reader);
    let header = rows.headers().with_context(|| format!("{name}:1"))?.clone();
    let names: Vec<String> =
        header.iter().map(|column| column.trim().trim_start_matches('\u{feff}').to_owned()).collect();
    if !names.iter().any(|column| column == "text") {
        bail!("{name}:1: the header has no column \"text\", only {}", names.join(", "));
    }
    Ok(rows.into_records().map(move |row| {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        Ok(match row {
            Ok(row) => {
                let number = usize::try_from(line(row.position())).unwrap_or_default();
                match parse(&names, &row) {
                    Ok(passage) if passage.id.is_none() => match derived(number) {
                        Some(id) => Item::Passage(passage.id(id)),
                        None => Item::Passage(passage),
                    },
                    Ok(passage) => Item::Passage(passage),
                    Err(error) => Item::Invalid(error.context(format!("{name}:{number}"))),
                }
            }
            Err(error) if error.is_io_error() => return Err(anyhow!(error).context(format!("cannot read {name}"))),
            Err(error) => {
                let number = line(error.position());
                Item::Invalid(anyhow!(error).context(format!("{name}:{number}")))
            }
        })
    }))
}

fn parse(names: &[String], row: &StringRecord) -> Result<Passage> {
    let mut passage = Passage::new("");
    for (column, value) in names.iter().zip(row) {
        match column.as_str() {
            "text" => value.clone_into(&mut passage.text),
            "title" if value.is_empty() => {}
            "title" => passage = passage.title(value),
            "id" | "_id" if value.is_empty() => bail!("the id is empty"),
            "id" | "_id" => passage = passage.id(value),
            other => passage = passage.field(other, value),
        }
    }
    Ok(passage)
}
