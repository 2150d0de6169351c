//! From text to durable and searchable, against the encoder by itself: through a collection on disk, batch by batch
//! with `upsert`, and as a pipeline with `ingest`.
//!
//!     cargo bench --bench ingest -- [passages] [folder]      1000, in the system's folder for temporary files
//!
//! The folder decides what durable costs: in memory (`/tmp` may be) an fsync is nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod corpus;

use std::sync::Arc;
use std::time::Instant;

use marcato::{BiEncoder, Collection, Encoder, Error, Passage};

const ROUNDS: usize = 5;
/// What `ingest` takes by default.
const BATCH: usize = 1024;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let count = arguments.next().map_or(1000, |count| count.parse().unwrap());
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let encoder: Arc<dyn Encoder> = Arc::new(BiEncoder::builtin().unwrap());
    let passages: Vec<Passage> = corpus::many(count).collect();
    let texts: Vec<String> = passages.iter().map(Passage::text_to_encode).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    encoder.encode_passages(&texts[..texts.len().min(64)]).unwrap();

    let names = ["encoder alone", "upsert by batches of 256", "upsert by batches of 1024", "ingest"];
    let mut rates = [const { Vec::new() }; 4];
    // By turns, so that a machine that slows down does so for all.
    for _ in 0..ROUNDS {
        let into_collection = |work: &dyn Fn(&Collection)| {
            let place = tempfile::tempdir_in(&folder).unwrap();
            let options = Collection::options().shared_encoder(Arc::clone(&encoder));
            let collection = options.create(place.path().join("c")).unwrap();
            work(&collection);
            assert_eq!(collection.len(), count as u64);
        };
        let by_batches = |size| {
            into_collection(&|collection| {
                passages.chunks(size).for_each(|batch| drop(collection.upsert(batch.to_vec()).unwrap()));
            });
        };
        let works: [&dyn Fn(); 4] =
            [&|| drop(encoder.encode_passages(&texts).unwrap()), &|| by_batches(256), &|| by_batches(BATCH), &|| {
                into_collection(&|collection| {
                    let passages = passages.iter().cloned().map(Ok::<_, Error>);
                    assert_eq!(collection.ingest(passages).run().unwrap().added, count as u64);
                });
            }];
        for (work, rates) in works.iter().zip(&mut rates) {
            let started = Instant::now();
            work();
            rates.push(count as f64 / started.elapsed().as_secs_f64());
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for (name, rate) in names.iter().zip(medians) {
        println!("{name:27} {rate:6.0} passages/s, {:5.1} % of the encoder", 100.0 * rate / medians[0]);
    }
}
