//! Words and meaning together: what each finds, what both find, and where in the text it is.
//!
//!     cargo run --release --example hybrid

use marcato::{Collection, Mode, Passage, Result};

fn main() -> Result<()> {
    let manual = Collection::in_memory()?;
    manual.add([
        Passage::new("The XJ-900 stops when its seal is worn. Replace the seal every 2,000 hours.").id("xj-900"),
        Passage::new("The XJ-700 needs no seal. It is cooled by air.").id("xj-700"),
        Passage::new("When a pump no longer delivers, first look whether water leaks from its shaft.").id("leaks"),
        Passage::new("Keep this manual in a dry place.").id("manual"),
    ])?;

    // By meaning: nothing that is said need be written there.
    let dense = manual.query("my machine is dripping").top(1).run()?;
    assert_eq!(dense.first().map(|hit| hit.id.as_str()), Some("leaks"));

    // By words: a name is found as it is written, and only where it is written.
    let lexical = manual.query("\"XJ-900\"").mode(Mode::Lexical).run()?;
    assert_eq!(lexical.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["xj-900"]);

    // By both: the right machine, and what is meant about it.
    let hits = manual.query("how often to change the gasket of an XJ-900").mode(Mode::Hybrid).highlight(true).run()?;
    for hit in &hits {
        let sentence = hit.highlight.as_ref().and_then(|highlight| hit.text.get(highlight.sentence.clone()));
        println!(
            "{:.3}  (meaning {:.3}, words {:.3})  {}",
            hit.score,
            hit.scores.dense.unwrap_or_default(),
            hit.scores.lexical.unwrap_or_default(),
            sentence.unwrap_or_default()
        );
    }
    assert_eq!(hits.first().map(|hit| hit.id.as_str()), Some("xj-900"));
    Ok(())
}
