//! List, info, verify, remove, in both folders.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::mock::{COMMIT, Hub, Repository};
use crate::support::{Place, exists};

fn pull(place: &Place, repository: &Repository) {
    let hub = Hub::of(repository);
    place.run_online(&hub.url(), &["model", "pull", &repository.name], &[]).succeeded();
}

/// The repository in Hugging Face's cache, as its own programs lay it out.
#[cfg(unix)]
fn cache(place: &Place, repository: &Repository) -> PathBuf {
    use super::mock::{git_blob, sha256};
    let root = format!("hf/hub/models--{}", repository.name.replace('/', "--"));
    for (name, content) in &repository.files {
        let blob = if name.ends_with(".safetensors") { sha256(content) } else { git_blob(content) };
        place.write(&format!("{root}/blobs/{blob}"), content);
        let link = place.path(&format!("{root}/snapshots/{}/{name}", repository.commit));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let up = "../".repeat(2 + name.matches('/').count());
        std::os::unix::fs::symlink(format!("{up}blobs/{blob}"), link).unwrap();
    }
    place.write(&format!("{root}/refs/main"), &repository.commit);
    place.path(&root)
}

fn listed(place: &Place) -> Vec<(Value, Value)> {
    let lines = place.run(&["model", "list", "--json"]).succeeded().json();
    lines.into_iter().map(|mut line| (line["name"].take(), line["source"].take())).collect()
}

#[test]
fn a_pulled_model_is_listed_verified_and_removed() {
    let place = Place::new();
    let repository = Repository::golden("tiny/mean", "mean");
    assert_eq!(listed(&place), [(json!("built-in"), json!("built-in"))]);
    pull(&place, &repository);
    let line = place.run(&["model", "list", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(
        (&line["name"], &line["commit"], &line["revisions"]),
        (&json!("tiny/mean"), &json!(COMMIT), &json!(["main"]))
    );
    let told = place.run(&["model", "list"]).succeeded().stdout;
    assert!(told.contains("tiny/mean") && told.contains("marcato") && told.contains("main"), "{told}");

    let snapshot = PathBuf::from(line["path"].as_str().unwrap());
    let verified = place.run(&["model", "verify", "tiny/mean", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&verified["files"], &verified["problems"]), (&json!(repository.files.len()), &json!([])));
    let weights = &repository.files["model.safetensors"];
    let mut flipped = weights.clone();
    flipped[5000] ^= 1;
    fs::write(snapshot.join("model.safetensors"), flipped).unwrap();
    fs::write(snapshot.join("vocab.txt"), "new").unwrap();
    fs::write(snapshot.join("config.json"), "{}").unwrap();
    fs::remove_file(snapshot.join("README.md")).unwrap();
    let outcome = place.run(&["model", "verify", "tiny/mean", "--json"]).failed(1, &["tiny/mean", "pull it again"]);
    let problems = &outcome.json()[0]["problems"];
    let problem = |place: usize| format!("{}: {}", problems[place]["file"], problems[place]["problem"]);
    assert_eq!(problems.as_array().unwrap().len(), 4, "{problems}");
    assert_eq!(problem(0), "\"README.md\": \"is missing\"");
    assert!(problem(1).starts_with("\"config.json\": \"has 2 bytes"));
    assert_eq!(problem(2), "\"model.safetensors\": \"has another content\"");
    assert_eq!(problem(3), "\"vocab.txt\": \"was not pulled\"");
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &[]);

    let removed = place.run(&["model", "remove", "tiny/mean", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(removed, json!({"name": "tiny/mean", "removed": [COMMIT]}));
    assert_eq!(listed(&place).len(), 1);
    assert!(!exists(&place.path("home/models/models--tiny--mean")));
    place.run(&["model", "remove", "tiny/mean"]).failed(1, &["no model \"tiny/mean\""]);
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["no model \"tiny/mean\""]);
    pull(&place, &repository);
    place.run(&["model", "verify", "mean"]).failed(1, &["no model \"mean\""]);
}

#[test]
fn a_damaged_list_is_no_proof() {
    let place = Place::new();
    let repository = Repository::golden("tiny/mean", "mean");
    pull(&place, &repository);
    let list = place.path("home/models/models--tiny--mean/snapshots").join(COMMIT).join("marcato.json");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("tiny/mean", "tiny/other")).unwrap();
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["tiny/other"]);
    fs::write(&list, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["version 2"]);
    fs::write(&list, "{").unwrap();
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["marcato.json is damaged"]);
    // Pulled again, it is made anew.
    pull(&place, &repository);
    place.run(&["model", "verify", "tiny/mean"]).succeeded();
    fs::remove_file(&list).unwrap();
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["is not what it was"]);
}

#[test]
fn a_revision_is_removed_alone() {
    let place = Place::new();
    let repository = Repository::golden("tiny/mean", "mean");
    let other = Repository { commit: "f".repeat(40), ..repository.clone() };
    pull(&place, &repository);
    pull(&place, &other);
    assert_eq!(listed(&place).len(), 3);
    place.run(&["model", "remove", "tiny/mean@v9"]).failed(1, &["tiny/mean@v9"]);
    place.run(&["model", "remove", &format!("tiny/mean@{COMMIT}")]).succeeded();
    assert_eq!(listed(&place).len(), 2);
    place.run(&["model", "info", "tiny/mean"]).succeeded();
    place.run(&["model", "remove", "tiny/mean@main"]).succeeded();
    assert_eq!(listed(&place).len(), 1);
}

#[test]
#[cfg(unix)]
fn hugging_faces_cache_is_read_and_never_written() {
    let place = Place::new();
    let repository = Repository::golden("tiny/mean", "mean");
    let root = cache(&place, &repository);
    assert_eq!(listed(&place)[1], (json!("tiny/mean"), json!("huggingface")));
    let info = place.run(&["model", "info", "tiny/mean", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&info["name"], &info["licence"]), (&json!("tiny/mean"), &json!("apache-2.0")));
    place.run(&["model", "verify", "tiny/mean"]).succeeded();
    place.run(&["model", "remove", "tiny/mean"]).failed(1, &["Hugging Face's cache", "hf cache rm"]);
    let blob = fs::canonicalize(root.join("snapshots").join(COMMIT).join("tokenizer.json")).unwrap();
    let mut content = fs::read(&blob).unwrap();
    content[100] ^= 1;
    fs::write(&blob, content).unwrap();
    let outcome = place.run(&["model", "verify", "tiny/mean", "--json"]).failed(1, &["tiny/mean"]);
    assert_eq!(outcome.json()[0]["problems"], json!([{"file": "tokenizer.json", "problem": "has another content"}]));
    // A file that is no link says nothing of what it was.
    place.write(&format!("hf/hub/models--tiny--mean/snapshots/{COMMIT}/vocab.txt"), "x");
    place.run(&["model", "verify", "tiny/mean"]).failed(1, &["2 of 10 files"]);
}

#[test]
fn the_similarity_of_the_callers_choice() {
    let place = Place::new();
    let similarity = |arguments: &[&str]| place.run(arguments).succeeded().json()[0]["similarity"].clone();
    assert_eq!(similarity(&["model", "info", "--json"]), "cosine");
    assert_eq!(similarity(&["model", "info", "--json", "--similarity", "dot"]), "dot");
}
