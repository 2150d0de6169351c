//! Text in, answers out: the built-in model, a collection in memory, one question.
//!
//!     cargo run --release --example quickstart

use marcato::{Collection, Passage, Result};

fn main() -> Result<()> {
    let notes = Collection::in_memory()?;

    // A bare text is a passage; an id, a title and metadata are for the asking.
    notes.add(["Oats are sown in early spring, as soon as the soil can be worked"])?;
    notes.add([
        Passage::new("It has 9,787,426 inhabitants at the 2011 census")
            .id("london")
            .title("London")
            .field("year", 2011),
        Passage::new("It had 2,175,601 inhabitants on 1 January 2018").id("paris").title("Paris").field("year", 2018),
    ])?;

    let hits = notes.query("How many people live in the capital of England?").top(2).run()?;
    for hit in &hits {
        println!("{:.3}  {}  {}", hit.score, hit.id, hit.text);
    }
    assert_eq!(hits.first().map(|hit| hit.id.as_str()), Some("london"));
    Ok(())
}
