//! A cross-encoder reads a question and a passage together, and puts passages in order.
//!
//!     cargo run --release --example rerank -- path/to/ms-marco-MiniLM-L6-v2
//!
//! Without a path it runs one of the tiny models that Marcato is tested with, which shows the calls and knows nothing:
//! its weights are random.

use marcato::{CrossEncoder, ScoreActivation};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/cross_bert");

fn main() -> marcato::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| TINY.to_owned());
    // Scores between 0 and 1, whatever the model declares.
    let model = CrossEncoder::options().activation(ScoreActivation::Sigmoid).open(&path)?;

    let query = "How many people live in London?";
    let passages = [
        "Paris is the capital of France",
        "London has 9,787,426 inhabitants at the 2011 census",
        "London is known for its financial district",
    ];
    let ranked = model.rank(query, &passages, 2)?;
    assert_eq!(ranked.len(), 2);
    assert!(ranked.is_sorted_by(|a, b| a.score >= b.score));
    for hit in &ranked {
        let passage = passages.get(hit.index).copied().unwrap_or_default();
        println!("{:.3}  {passage}", hit.score);
        // The score of a pair is its own, whatever it is scored with.
        assert_eq!(model.score(&[(query, passage)])?, [hit.score]);
    }
    Ok(())
}
