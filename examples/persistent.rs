//! A collection on disk: made, closed, opened again, changed, and still there.
//!
//!     cargo run --release --example persistent

use marcato::{Collection, ErrorKind, Passage, Result};

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("marcato-example-{}", std::process::id()));

    let notes = Collection::create(&path)?;
    notes.add([
        Passage::new("The roof leaks above the kitchen; the slater comes on Monday").id("roof"),
        Passage::new("The boiler was serviced in March").id("boiler"),
    ])?;
    // Another handle, of this process or another, is refused at once and told why.
    let second = Collection::open(&path).map_err(|error| error.kind());
    assert_eq!(second.err(), Some(ErrorKind::Locked));
    notes.close()?;

    let notes = Collection::open(&path)?;
    assert_eq!(notes.len(), 2);
    notes.upsert([Passage::new("The slater has mended the roof").id("roof")])?;
    notes.delete(["boiler"])?;
    for hit in notes.query("is the house dry?").run()? {
        println!("{:.3}  {}  {}", hit.score, hit.id, hit.text);
    }
    assert_eq!(notes.get("roof")?.map(|roof| roof.text).as_deref(), Some("The slater has mended the roof"));
    notes.close()?;

    std::fs::remove_dir_all(&path).map_err(|error| marcato::Error::new(ErrorKind::Io, error.to_string()))
}
