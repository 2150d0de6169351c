//! `marcato get`: passages by their ids.

use anyhow::{Result, bail};

use crate::args::Get;
use crate::open;
use crate::output::{Output, PassageLine};

pub(crate) fn run(args: &Get, output: &mut Output) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
    let mut missing = Vec::new();
    for id in &args.ids {
        match collection.get(id)? {
            None => missing.push(format!("\"{id}\"")),
            Some(passage) if output.json => output.value(&PassageLine::from(&passage))?,
            Some(passage) => {
                output.line(format!(
                    "{id}{}",
                    passage.title.as_ref().map_or(String::new(), |title| format!("  {title}"))
                ))?;
                output.line(format!("{}\n", passage.text))?;
            }
        }
    }
    output.flush()?;
    if !missing.is_empty() {
        bail!("{} has no passage {}", args.collection.display(), missing.join(", "));
    }
    Ok(())
}
