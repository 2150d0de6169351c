//! `marcato stats`: what a collection is and how large.

use anyhow::Result;
use serde_json::json;

use crate::args::Stats;
use crate::open;
use crate::output::Output;

pub(crate) fn run(args: &Stats, output: &mut Output) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::without_encoder()))?;
    let stats = collection.stats();
    if output.json {
        return output.value(&json!({
            "passages": stats.passages,
            "dimension": stats.dimension,
            "similarity": stats.similarity.name(),
            "index": stats.index.name(),
            "index_setting": stats.index_setting.name(),
            "words": stats.language.map(|language| language.name()),
            "encoder": stats.encoder,
            "fingerprint": stats.fingerprint,
            "seq": stats.seq,
            "bytes": stats.bytes,
            "rebuilt": collection.open_report().rebuilt,
        }));
    }
    let encoder = if stats.encoder.is_empty() { "none (embeddings of the caller's own)" } else { &stats.encoder };
    output.line(format!("passages    {}", stats.passages))?;
    output.line(format!("dimension   {}", stats.dimension))?;
    output.line(format!("similarity  {}", stats.similarity))?;
    let chosen = if stats.index == stats.index_setting { "" } else { &format!(" ({})", stats.index_setting) };
    output.line(format!("index       {}{chosen}", stats.index))?;
    output.line(format!("words       {}", stats.language.map_or("not searched", |language| language.name())))?;
    output.line(format!("encoder     {encoder}"))?;
    output.line(format!("size        {}", indicatif::HumanBytes(stats.bytes)))
}
