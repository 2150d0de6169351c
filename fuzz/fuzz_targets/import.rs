//! JSONL to import: passages that come out as they went in, or an error.
#![no_main]

use marcato::{Collection, Similarity};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = || Collection::options().embeddings(2, Similarity::Dot).without_words();
    let collection = options().in_memory().unwrap();
    let outcome = collection.import(bytes).batch(3).run();
    let mut lines = Vec::new();
    collection.export_with_embeddings(&mut lines).unwrap();
    let copy = options().in_memory().unwrap();
    copy.import(lines.as_slice()).run().unwrap();
    let mut again = Vec::new();
    copy.export_with_embeddings(&mut again).unwrap();
    assert_eq!(lines, again);
    if let Ok(done) = outcome {
        assert!(done.added + done.updated >= collection.len());
    }
});
