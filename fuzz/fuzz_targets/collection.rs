//! Operations on a whole collection, against a map.
#![no_main]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arbitrary::Arbitrary;
use marcato::{Collection, Embedding, Filter, Index, Mode, Passage, Similarity};

#[derive(Arbitrary, Debug)]
enum Step {
    Upsert(Vec<(u8, String, i8, i8)>),
    Delete(Vec<u8>),
    Query(i8, i8, u8),
    Filtered(u8),
    Words(String),
    Flush,
    Compact,
    IndexField,
    Reopen,
}

libfuzzer_sys::fuzz_target!(|input: (bool, Vec<Step>)| {
    let (approximate, steps) = input;
    let folder = tempfile::tempdir().unwrap();
    let index = if approximate { Index::Hnsw } else { Index::Exact };
    let open = || {
        let options = Collection::options().embeddings(2, Similarity::Dot).index(index);
        options.open_or_create(folder.path().join("c")).unwrap()
    };
    let (mut collection, mut model) = (open(), BTreeMap::new());
    for step in steps {
        match step {
            Step::Upsert(passages) => {
                let embedding = |x: i8, y: i8| Embedding::new([f32::from(x), f32::from(y)]).unwrap();
                let passage = |(id, text, x, y): &(u8, String, i8, i8)| {
                    Passage::new(text.clone()).id(id.to_string()).field("n", *id).embedding(embedding(*x, *y))
                };
                collection.upsert(passages.iter().map(passage)).unwrap();
                model.extend(passages.into_iter().map(|(id, text, ..)| (id, text)));
            }
            Step::Delete(ids) => {
                let there = collection.delete(ids.iter().map(u8::to_string)).unwrap();
                let before = model.len();
                ids.iter().for_each(|id| drop(model.remove(id)));
                assert_eq!(there, (before - model.len()) as u64);
            }
            Step::Query(x, y, top) => {
                let query = Embedding::new([f32::from(x), f32::from(y)]).unwrap();
                let hits = collection.query_embedding(query).top(usize::from(top).max(1)).run().unwrap();
                assert_eq!(hits.len(), model.len().min(usize::from(top).max(1)));
                hits.iter().for_each(|hit| assert_eq!(model[&hit.id.as_str().parse().unwrap()], hit.text));
            }
            Step::Filtered(below) => {
                let query = Embedding::new([1.0, 0.0]).unwrap();
                let filter = Filter::field("n").lt(u64::from(below));
                let hits = collection.query_embedding(query).filter(filter).top(1000).run().unwrap();
                assert_eq!(hits.len(), model.range(..below).count());
            }
            Step::Words(text) => {
                let hits = collection.query(text).mode(Mode::Lexical).top(1000).run().unwrap();
                hits.iter().for_each(|hit| assert_eq!(model[&hit.id.as_str().parse().unwrap()], hit.text));
            }
            Step::Flush => collection.flush().unwrap(),
            Step::Compact => collection.compact(|_| ControlFlow::Continue(())).unwrap(),
            Step::IndexField => drop(collection.create_field_index("n").unwrap()),
            Step::Reopen => {
                drop(collection);
                collection = open();
            }
        }
    }
    assert_eq!(collection.len(), model.len() as u64);
    assert!(collection.check(|_| ControlFlow::Continue(())).unwrap().is_sound());
});
