//! What goes well, whatever happens on the way.

use std::fs;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::mock::{COMMIT, Hub, Reply, Repository};
use crate::support::{Outcome, Place, exists};

const WEIGHTS: &str = "model.safetensors";

fn tiny() -> Repository {
    Repository::golden("tiny/mean", "mean")
}

/// Pulls `tiny/mean`, and asserts that all of it is here as it was there.
#[track_caller]
fn pulled(place: &Place, hub: &Hub, repository: &Repository) -> Outcome {
    let outcome = place.run_online(&hub.url(), &["model", "pull", &repository.name, "--json"], &[]).succeeded();
    assert_whole(place, repository);
    outcome
}

#[track_caller]
fn assert_whole(place: &Place, repository: &Repository) {
    let path = place.path("home/models").join(format!("models--{}", repository.name.replace('/', "--")));
    assert!(!exists(&path.join("incoming")), "nothing is left over");
    let snapshot = path.join("snapshots").join(&repository.commit);
    for (name, content) in &repository.files {
        assert_eq!(&fs::read(snapshot.join(name)).unwrap(), content, "{name}");
    }
    place.run(&["model", "verify", &repository.name]).succeeded();
}

#[test]
fn a_pulled_model_is_used_by_its_name() {
    let place = Place::new();
    let repository = tiny();
    let hub = Hub::of(&repository);
    let outcome = pulled(&place, &hub, &repository);
    assert_eq!(outcome.stderr, "", "silence in a pipe");
    let line = outcome.json().pop().unwrap();
    let bytes: usize = repository.files.values().map(Vec::len).sum();
    assert_eq!((&line["name"], &line["commit"], &line["pulled"]), (&json!("tiny/mean"), &json!(COMMIT), &json!(true)));
    assert_eq!((&line["files"], &line["bytes"]), (&json!(repository.files.len()), &json!(bytes)));

    let info = place.run(&["model", "info", "tiny/mean", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(
        (&info["name"], &info["dimension"], &info["licence"]),
        (&json!("tiny/mean"), &json!(36), &json!("apache-2.0"))
    );
    let input = "{\"text\": \"How big is London?\"}\n";
    let by_name = place.run_with(&["encode", "--model", "tiny/mean"], input).succeeded().stdout;
    let directory = line["path"].as_str().unwrap();
    assert_eq!(by_name, place.run_with(&["encode", "--model", directory], input).succeeded().stdout);

    let before = hub.requests().len();
    let again = pulled(&place, &hub, &repository).json().pop().unwrap();
    assert_eq!((&again["pulled"], &again["path"]), (&json!(false), &line["path"]));
    assert_eq!(hub.requests().len(), before + 1, "the commit is asked for, and no file");
    let told = place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[]).succeeded().stdout;
    assert!(told.contains("was here already") && told.contains(COMMIT), "{told}");
}

#[test]
fn only_what_makes_the_model_is_asked_for() {
    let others = [
        "pytorch_model.bin",
        "onnx/model.onnx",
        "modeling.py",
        "train/data.json",
        "openvino/config.json",
        ".gitattributes",
    ];
    let whole = others.iter().fold(tiny(), |repository, name| repository.with(name, "no"));
    let hub = Hub::of(&whole);
    let place = Place::new();
    place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[]).succeeded();
    assert_whole(&place, &tiny());
    assert_eq!(hub.requests().len(), 1 + tiny().files.len());
    for name in others {
        assert!(hub.asked(&format!("/{name}")).is_empty(), "{name}");
    }
}

#[test]
fn parts_of_weights_come_with_their_index() {
    let parts = tiny()
        .with("model-00001-of-00002.safetensors", "a")
        .with("model-00002-of-00002.safetensors", "b")
        .with("model-extra.safetensors", "c")
        .with("model.safetensors.index.json", "{}")
        .without(WEIGHTS);
    let hub = Hub::of(&parts);
    let place = Place::new();
    place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[]).succeeded();
    assert_whole(&place, &parts.without("model-extra.safetensors"));
}

#[test]
fn a_token_goes_to_the_hub_and_no_further() {
    let repository = tiny();
    let served = repository.clone();
    let store = Hub::serve(move |request| served.answer(&request.at(request.path.split('?').next().unwrap())));
    let (served, elsewhere) = (repository.clone(), store.other_url());
    let hub = Hub::serve(move |request| match request.path.strip_prefix("/moved") {
        Some(path) => served.answer(&request.at(path)),
        None if request.path.ends_with(WEIGHTS) => Reply::redirect(format!("{elsewhere}{}?signature=x", request.path)),
        // As the hub does for a repository that was renamed.
        None if request.path.ends_with("/config.json") => Reply::redirect(format!("/moved{}", request.path)),
        None => served.answer(request),
    });
    let place = Place::new();
    let outcome =
        place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[("HF_TOKEN", "hf_secret")]).succeeded();
    assert_whole(&place, &repository);
    assert!(!outcome.stdout.contains("hf_secret") && !outcome.stderr.contains("hf_secret"));
    let authorization = |hub: &Hub| -> Vec<Option<String>> {
        hub.requests().iter().map(|request| request.headers.get("authorization").cloned()).collect()
    };
    assert!(authorization(&hub).iter().all(|header| header.as_deref() == Some("Bearer hf_secret")));
    assert_eq!(authorization(&store), [None]);
}

#[test]
fn a_token_from_a_file_or_none() {
    let place = Place::new();
    let hub = Hub::of(&tiny());
    let token = |variables: &[(&str, &str)]| {
        place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], variables).succeeded();
        hub.requests().pop().unwrap().headers.get("authorization").cloned()
    };
    assert_eq!(token(&[]), None);
    place.write("hf/token", "hf_kept\n");
    assert_eq!(token(&[]).as_deref(), Some("Bearer hf_kept"));
    let other = place.write("other", "hf_other");
    assert_eq!(token(&[("HF_TOKEN_PATH", other.to_str().unwrap())]).as_deref(), Some("Bearer hf_other"));
    assert_eq!(token(&[("HF_TOKEN", "hf_given")]).as_deref(), Some("Bearer hf_given"));
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
}

#[test]
fn a_cut_connection_goes_on_where_it_was() {
    let repository = tiny();
    let served = repository.clone();
    let hub = Hub::serve(move |request| match (request.path.ends_with(WEIGHTS), request.nth) {
        (true, 0) => served.answer(request).cut(70_000),
        (true, 1) => served.answer(request).cut(10_000),
        _ => served.answer(request),
    });
    pulled(&Place::new(), &hub, &repository);
    let ranges: Vec<_> = hub.asked(WEIGHTS).iter().map(|request| request.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=70000-".to_owned()), Some("bytes=80000-".to_owned())]);
}

#[test]
fn a_server_that_cannot_go_on_sends_the_whole_again() {
    let repository = tiny();
    let served = repository.clone();
    let hub = Hub::serve(move |request| {
        let mut without = request.clone();
        without.headers.remove("range");
        let reply = served.answer(&without);
        if request.path.ends_with(WEIGHTS) && request.nth == 0 { reply.cut(70_000) } else { reply }
    });
    pulled(&Place::new(), &hub, &repository);
    assert_eq!(hub.asked(WEIGHTS).len(), 2);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let repository = tiny();
    let served = repository.clone();
    let busy = |status| Reply::new(status, "busy").header("Retry-After", "0");
    let hub = Hub::serve(move |request| match request.nth {
        0 => busy(429),
        1 => busy(503),
        2 => busy(500),
        _ => served.answer(request),
    });
    pulled(&Place::new(), &hub, &repository);
    assert_eq!(hub.requests().len(), 4 * (1 + repository.files.len()));
}

#[test]
fn a_process_that_is_killed_leaves_a_beginning_and_no_model() {
    let place = Place::new();
    let repository = tiny();
    let served = repository.clone();
    let (over, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let hub = Hub::serve(move |request| match (request.path.ends_with(WEIGHTS), request.nth) {
        (true, 0) => {
            let wait = Arc::clone(&wait);
            served.answer(request).cut(70_000).then(move || {
                let _ = wait.lock().unwrap().recv();
            })
        }
        _ => served.answer(request),
    });
    let mut child = place.online(&hub.url(), &["model", "pull", "tiny/mean"]).spawn().unwrap();
    let part = place.path("home/models/models--tiny--mean/incoming").join(COMMIT).join(WEIGHTS);
    while fs::metadata(&part).map_or(0, |file| file.len()) < 70_000 {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(over);
    place.run(&["model", "info", "tiny/mean"]).failed(1, &["no model \"tiny/mean\""]);
    pulled(&place, &hub, &repository);
    assert_eq!(hub.asked(WEIGHTS).last().unwrap().headers["range"], "bytes=70000-");
    assert_eq!(
        hub.asked("/config.json").len(),
        2,
        "a whole file is not loaded again: config.json and 1_Pooling/config.json"
    );
}

#[test]
fn a_damaged_beginning_gets_a_fresh_start() {
    let place = Place::new();
    let repository = tiny();
    let part = format!("home/models/models--tiny--mean/incoming/{COMMIT}/{WEIGHTS}");
    for damaged in [vec![7; 1000], vec![7; repository.files[WEIGHTS].len()], vec![7; 1 << 20]] {
        place.write(&part, &damaged);
        place.write(&part.replace(WEIGHTS, "left/over.bin"), "x");
        let hub = Hub::of(&repository);
        pulled(&place, &hub, &repository);
        let snapshot = place.path("home/models/models--tiny--mean/snapshots").join(COMMIT);
        assert!(!exists(&snapshot.join("left/over.bin")));
        place.run(&["model", "remove", "tiny/mean"]).succeeded();
        assert!(!exists(&place.path("home/models/models--tiny--mean")));
    }
}

#[test]
fn two_processes_load_it_once() {
    let place = Place::new();
    let repository = tiny();
    let served = repository.clone();
    let ((asked, is_asked), (go_on, wait)) = (channel(), channel::<()>());
    let wait = Mutex::new(wait);
    let hub = Hub::serve(move |request| {
        if request.path.ends_with(WEIGHTS) {
            let _ = asked.send(());
            let _ = wait.lock().unwrap().recv();
        }
        served.answer(request)
    });
    let arguments = ["model", "pull", "tiny/mean", "--json"];
    let first = place.online(&hub.url(), &arguments).spawn().unwrap();
    is_asked.recv().unwrap();
    let mut second = place.online(&hub.url(), &arguments).spawn().unwrap();
    let mut note = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut note).unwrap();
    assert!(note.contains("another process") && note.contains("tiny/mean"), "{note}");
    drop(go_on);
    let pulled = |outcome: Outcome| -> Value { outcome.succeeded().json()[0]["pulled"].clone() };
    assert_eq!(pulled(Outcome::of(first.wait_with_output().unwrap())), json!(true));
    assert_eq!(pulled(Outcome::of(second.wait_with_output().unwrap())), json!(false));
    assert_eq!(hub.asked(WEIGHTS).len(), 1);
    assert_whole(&place, &repository);
}

#[test]
fn a_name_without_an_organisation_is_tried_as_the_reference_does() {
    let place = Place::new();
    let hub = Hub::of(&Repository::golden("cross-encoder/mean", "mean"));
    let line =
        place.run_online(&hub.url(), &["model", "pull", "mean", "--json"], &[]).succeeded().json().pop().unwrap();
    assert_eq!(line["name"], "cross-encoder/mean");
    assert!(hub.requests()[0].path.starts_with("/api/models/sentence-transformers/mean/"));
    let info = place.run(&["model", "info", "mean", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(info["name"], "cross-encoder/mean");
}

#[test]
fn revisions_are_pinned_and_live_side_by_side() {
    let place = Place::new();
    let old = Repository { commit: "f".repeat(40), ..Repository::golden("tiny/mean", "cls") };
    let new = tiny();
    let (of_old, of_new) = (old.clone(), new.clone());
    let hub =
        Hub::serve(move |request| match request.path.contains("refs%2Fpr%2F1") || request.path.contains("ffff") {
            true => of_old.answer(request),
            false => of_new.answer(request),
        });
    let pull = |name: &str| place.run_online(&hub.url(), &["model", "pull", name], &[]);
    let pooling = |name: &str| place.run(&["model", "info", name, "--json"]).succeeded().json()[0]["pooling"].clone();
    pull("tiny/mean@refs/pr/1").succeeded();
    place.run(&["model", "info", "tiny/mean"]).failed(1, &[&format!("tiny/mean@{}", old.commit)]);
    pull("tiny/mean").succeeded();
    assert_eq!((pooling("tiny/mean@refs/pr/1"), pooling("tiny/mean")), (json!("cls"), json!("mean")));
    let by_commit = format!("tiny/mean@{}", old.commit);
    pull(&by_commit).succeeded();
    assert_eq!(pooling(&by_commit), json!("cls"));
    // A hub that answers with another commit than the one that was asked for.
    pull(&format!("tiny/mean@{}", "e".repeat(40))).failed(1, &["not with the one asked for"]);
}

#[test]
fn a_proxy_is_used() {
    let repository = tiny();
    let proxy = Hub::of(&repository);
    let place = Place::new();
    let variables = [("HTTPS_PROXY", proxy.url())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    place.run_online("http://hub.invalid", &["model", "pull", "tiny/mean"], &variables).succeeded();
    assert_whole(&place, &repository);
}
