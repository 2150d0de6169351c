//! Embeddings from elsewhere: Marcato as a durable index for vectors that you have already.
//!
//!     cargo run --release --example your_own_embeddings

use marcato::{Collection, Embedding, ErrorKind, Passage, Result, Similarity};

fn main() -> Result<()> {
    // No encoder: three numbers a passage, compared by the angle between them.
    let colours = Collection::options().embeddings(3, Similarity::Cosine).in_memory()?;
    for (name, rgb) in [("crimson", [0.86, 0.08, 0.24]), ("navy", [0.0, 0.0, 0.5]), ("olive", [0.5, 0.5, 0.0])] {
        colours.add([Passage::new(name).id(name).embedding(Embedding::new(rgb)?)])?;
    }

    let hits = colours.query_embedding(Embedding::new([1.0, 0.0, 0.1])?).top(1).run()?;
    println!("nearest to red: {}", hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>().join(", "));
    assert_eq!(hits.first().map(|hit| hit.id.as_str()), Some("crimson"));

    // What does not fit is refused, and nothing of its batch is added.
    let wrong = Passage::new("beige").embedding(Embedding::new([0.9, 0.9])?);
    assert_eq!(colours.add([wrong]).map_err(|error| error.kind()), Err(ErrorKind::Misuse));
    assert_eq!(colours.len(), 3);
    Ok(())
}
