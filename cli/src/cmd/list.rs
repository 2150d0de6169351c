//! `marcato list`: the passages of a collection.

use anyhow::Result;

use crate::args::List;
use crate::open;
use crate::output::{Output, PassageLine, excerpt};

pub(crate) fn run(args: &List, output: &mut Output) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
    for passage in collection.iter()?.take(args.limit.unwrap_or(usize::MAX)) {
        let passage = passage?;
        if output.json {
            output.value(&PassageLine::from(&passage))?;
        } else {
            let id = passage.id.as_ref().map_or("", |id| id.as_str());
            output.line(format!("{id}\t{}", excerpt(&passage.text_to_encode(), 80)))?;
        }
    }
    Ok(())
}
