//! Which model a name means, and the model that a collection was made with.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::mock::{Hub, Repository};
use crate::support::Place;

const TEXTS: &str = "{\"id\": \"a\", \"text\": \"How big is London?\"}\n{\"id\": \"b\", \"text\": \"word word\"}\n";

fn tiny() -> Repository {
    Repository::golden("tiny/mean", "mean")
}

fn pull(place: &Place, repository: &Repository) {
    let hub = Hub::of(repository);
    place.run_online(&hub.url(), &["model", "pull", &repository.name], &[]).succeeded();
}

#[test]
fn a_path_that_exists_comes_before_a_name() {
    let place = Place::new();
    pull(&place, &tiny());
    for (name, content) in &Repository::golden("tiny/mean", "cls").files {
        place.write(&format!("tiny/mean/{name}"), content);
    }
    let pooling = || place.run(&["model", "info", "tiny/mean", "--json"]).succeeded().json()[0]["pooling"].clone();
    assert_eq!(pooling(), json!("cls"));
    fs::remove_dir_all(place.path("tiny")).unwrap();
    assert_eq!(pooling(), json!("mean"));
}

#[test]
fn a_collection_finds_the_model_that_it_was_made_with() {
    let place = Place::new();
    pull(&place, &tiny());
    place.write("a.jsonl", TEXTS);
    for (collection, precision) in [("full", &[][..]), ("small", &["--precision", "int8"])] {
        place.run(&[&["add", collection, "a.jsonl", "--model", "tiny/mean"], precision].concat()).succeeded();
        let encoder = place.run(&["stats", collection, "--json"]).succeeded().json()[0]["encoder"].clone();
        assert_eq!(encoder, "tiny/mean");
        for more in [&[][..], &["--threads", "1"], &["--backend", "cpu"]] {
            let hits =
                place.run(&[&["query", collection, "How big is London?", "--json"], more].concat()).succeeded().json();
            assert_eq!((hits.len(), &hits[0]["id"]), (2, &json!("a")));
        }
        place.run_with(&["add", collection, "-"], "{\"text\": \"more\"}").succeeded();
    }
    place.run(&["query", "full", "x", "--model", "built-in"]).failed(1, &["tiny/mean", "not the one given"]);

    // Another revision is main now, and the one that it was made with is still here.
    let other = Repository { commit: "f".repeat(40), ..Repository::golden("tiny/mean", "cls") };
    pull(&place, &other);
    place.run(&["query", "full", "x"]).succeeded();
    place.run(&["query", "small", "x"]).succeeded();
    place.run(&["model", "remove", &format!("tiny/mean@{}", tiny().commit)]).succeeded();
    place
        .run(&["query", "full", "x"])
        .failed(1, &["\"tiny/mean\"", "no revision", "marcato model pull tiny/mean@REVISION"]);
    place.run(&["model", "remove", "tiny/mean"]).succeeded();
    place
        .run(&["query", "full", "x"])
        .failed(1, &["made with the encoder \"tiny/mean\"", "marcato model pull tiny/mean"]);
    assert_eq!(place.run(&["list", "full", "--json"]).succeeded().json().len(), 3, "passages are read without a model");
}

#[test]
fn a_collection_of_a_directory_asks_for_the_directory() {
    let place = Place::new();
    place.write("a.jsonl", TEXTS);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/mean");
    let directory = directory.to_str().unwrap();
    place.run(&["add", "c", "a.jsonl", "--model", directory]).succeeded();
    place.run(&["query", "c", "x"]).failed(1, &["made with the encoder \"mean\"", "open it with that encoder"]);
    place.run(&["query", "c", "x", "--model", directory]).succeeded();
}

#[test]
fn an_artifact_is_made_of_a_model_by_its_name() {
    let place = Place::new();
    pull(&place, &tiny());
    place.run(&["model", "quantize", "tiny/mean", "--output", "mean.marcato"]).succeeded();
    let info = place.run(&["model", "info", "mean.marcato", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&info["name"], &info["precision"]), (&json!("mean"), &json!("int8")));
}

#[test]
fn prompts_by_their_names() {
    let place = Place::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/prompts");
    let directory = directory.to_str().unwrap();
    let encode = |arguments: &[&str], text: &str| {
        let arguments = [&["encode", "--model", directory], arguments].concat();
        place.run_with(&arguments, &format!("{}\n", json!({"text": text})))
    };
    let config = fs::read_to_string(Path::new(directory).join("config_sentence_transformers.json")).unwrap();
    let prompts = serde_json::from_str::<serde_json::Value>(&config).unwrap()["prompts"].clone();
    for (name, prompt) in prompts.as_object().unwrap() {
        let by_name = encode(&["--prompt", name, "--batch-tokens", "7", "--threads", "1"], "big").succeeded().stdout;
        let query = encode(&["--kind", "query"], "big").succeeded().stdout;
        assert_eq!(by_name == query, name == "query", "{name}: {prompt}");
    }
    encode(&["--prompt", "nowhere"], "big").failed(1, &["no prompt \"nowhere\"", "document, query"]);
    encode(&["--prompt", "query", "--kind", "query"], "big").failed(2, &["--kind"]);
    encode(&["--batch-tokens", "0"], "big").failed(2, &["at least 1"]);
    place.run(&["encode", "--prompt", "nowhere"]).failed(1, &["no prompt \"nowhere\""]);
}
