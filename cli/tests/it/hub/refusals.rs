//! What a hub can get wrong. Each is told, and nothing of it is kept.

use serde_json::{Value, json};

use super::mock::{Hub, Reply, Repository, git_blob, sha256};
use crate::support::{Place, exists};

const WEIGHTS: &str = "model.safetensors";

fn tiny() -> Repository {
    Repository::golden("tiny/mean", "mean")
}

/// Pulls `tiny/mean`, and asserts that this fails with a message of these parts and leaves no model.
#[track_caller]
fn refused(hub: &Hub, parts: &[&str]) {
    let place = Place::new();
    place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[("HF_TOKEN", "hf_secret")]).failed(1, parts);
    assert!(!exists(&place.path("home/models/models--tiny--mean/snapshots")));
    assert_eq!(place.run(&["model", "list", "--json"]).succeeded().json().len(), 1, "the built-in one");
}

/// A hub that answers what `wrong` gives, and else as it should.
fn hub_with(
    repository: Repository,
    ending: &'static str,
    wrong: impl Fn(Reply) -> Reply + Send + Sync + 'static,
) -> Hub {
    Hub::serve(move |request| {
        let reply = repository.answer(request);
        if request.path.ends_with(ending) { wrong(reply) } else { reply }
    })
}

/// A hub whose listing says something else.
fn hub_listing(repository: Repository, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Hub {
    Hub::serve(move |request| {
        if !request.path.starts_with("/api") {
            return repository.answer(request);
        }
        let mut listing = repository.listing();
        change(&mut listing);
        Reply::new(200, listing.to_string())
    })
}

fn file<'a>(listing: &'a mut Value, name: &str) -> &'a mut Value {
    let files = listing["siblings"].as_array_mut().unwrap();
    files.iter_mut().find(|file| file["rfilename"] == name).unwrap()
}

fn add(listing: &mut Value, name: &str, content: &[u8]) {
    let lfs = json!({"sha256": sha256(content), "size": content.len()});
    let file = json!({"rfilename": name, "size": content.len(), "blobId": git_blob(content), "lfs": lfs});
    listing["siblings"].as_array_mut().unwrap().push(file);
}

#[test]
fn another_content_than_was_listed() {
    for (name, part) in [(WEIGHTS, "sha256"), ("/tokenizer.json", "sha1")] {
        let changed = if name == WEIGHTS { WEIGHTS } else { "tokenizer.json" };
        let mut repository = tiny();
        let listing = repository.listing();
        repository.files.get_mut(changed).unwrap()[1000] ^= 1;
        let hub = hub_listing(repository, move |said| *said = listing.clone());
        refused(&hub, &[changed, part, "not what the hub lists"]);
    }
}

#[test]
fn what_the_hub_does_not_give() {
    let coded = |status, code: &'static str| move |_| Reply::new(status, "{}").header("X-Error-Code", code);
    refused(&hub_with(tiny(), "blobs=true", coded(404, "RepoNotFound")), &["no model \"tiny/mean\"", "404"]);
    refused(&hub_with(tiny(), "blobs=true", coded(401, "RepoNotFound")), &["no model \"tiny/mean\"", "HF_TOKEN"]);
    refused(&hub_with(tiny(), "blobs=true", coded(404, "RevisionNotFound")), &["no such revision"]);
    refused(&hub_with(tiny(), "blobs=true", coded(403, "GatedRepo")), &["gated", "accept its terms", "HF_TOKEN"]);
    refused(&hub_with(tiny(), WEIGHTS, coded(401, "GatedRepo")), &[WEIGHTS, "gated", "HF_TOKEN"]);
    refused(&hub_with(tiny(), WEIGHTS, coded(401, "")), &[WEIGHTS, "private or gated"]);
    refused(&hub_with(tiny(), WEIGHTS, coded(404, "EntryNotFound")), &[WEIGHTS, "404"]);
    refused(&hub_with(tiny(), WEIGHTS, coded(418, "")), &[WEIGHTS, "418"]);
}

#[test]
fn a_hub_that_stays_busy_or_breaks_off_is_given_up() {
    let hub = hub_with(tiny(), "blobs=true", |_| Reply::new(503, "").header("Retry-After", "0"));
    refused(&hub, &["503", "given up after 5 attempts"]);
    assert_eq!(hub.requests().len(), 5);
    let hub = hub_with(tiny(), WEIGHTS, |reply| reply.cut(0));
    refused(&hub, &[WEIGHTS, "given up after 5 attempts"]);
    assert_eq!(hub.asked(WEIGHTS).len(), 5);
}

#[test]
fn a_page_in_the_place_of_a_file() {
    let page = |_| Reply::new(200, "<html>Log in</html>").header("Content-Type", "text/html; charset=utf-8");
    refused(&hub_with(tiny(), WEIGHTS, page), &[WEIGHTS, "a page for people", "proxy"]);
    refused(&hub_with(tiny(), "blobs=true", page), &["a page for people", "proxy"]);
    refused(&hub_with(tiny(), "blobs=true", |_| Reply::new(200, "{\"sha\": 1}")), &["listing is malformed"]);
}

#[test]
fn lengths_that_lie() {
    refused(&hub_with(tiny(), WEIGHTS, |_| Reply::new(200, "short")), &[WEIGHTS, "announces 5 bytes"]);
    let endless = |_| Reply::new(200, vec![0; 1 << 20]).unannounced();
    refused(&hub_with(tiny(), WEIGHTS, endless), &[WEIGHTS, "more than the"]);
    let hub = hub_listing(tiny(), |listing| {
        let huge = file(listing, WEIGHTS);
        huge["lfs"]["size"] = json!(1u64 << 50);
    });
    refused(&hub, &[WEIGHTS, "1125899906842624 bytes", "may have"]);
    let hub = hub_listing(tiny(), |listing| file(listing, "tokenizer.json")["size"] = json!(1u64 << 40));
    refused(&hub, &["tokenizer.json", "may have"]);
    let hub = hub_listing(tiny().without(WEIGHTS), |listing| {
        add(listing, "model.safetensors.index.json", b"{}");
        for part in 1..=3 {
            let name = format!("model-0000{part}-of-00003.safetensors");
            add(listing, &name, b"x");
            file(listing, &name)["lfs"]["size"] = json!(8u64 << 30);
        }
    });
    refused(&hub, &["a model may have"]);
    assert!(hub.asked(".safetensors").is_empty(), "refused before anything large is loaded");
}

#[test]
fn names_that_climb_are_never_used() {
    let names = [
        "../../evil.json",
        "/evil.json",
        "1_Pooling/../../evil.json",
        "..\\evil.json",
        "C:evil.json",
        "../config.json",
        "1_Pooling/../config.json",
        "sentence_/../evil_config.json",
        "model-../../1-of-2.safetensors",
        "config.json\u{0}",
        "",
    ];
    let hub = hub_listing(tiny(), move |listing| names.iter().for_each(|name| add(listing, name, b"evil")));
    let place = Place::new();
    place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[]).succeeded();
    assert!(hub.requests().iter().all(|request| !request.path.contains("evil") && !request.path.contains("..")));
    for folder in ["..", "a/../..", "/etc", "a\\b", ".", "a/b"] {
        let modules =
            json!([{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "x", "path": folder}]);
        refused(&Hub::of(&tiny().with("modules.json", modules.to_string())), &["modules.json", "not a plain name"]);
    }
    refused(&Hub::of(&tiny().with("modules.json", "{}")), &["modules.json", "list of modules"]);
    for commit in ["../../../evil", "main", "", "0123456789ABCDEF0123456789ABCDEF01234567"] {
        refused(&hub_listing(tiny(), move |listing| listing["sha"] = json!(commit)), &["not a commit"]);
    }
}

#[test]
fn what_could_not_be_verified_or_used() {
    for key in ["blobId", "size"] {
        let hub =
            hub_listing(tiny(), move |listing| drop(file(listing, "config.json").as_object_mut().unwrap().remove(key)));
        refused(&hub, &["config.json", "could not be verified"]);
    }
    let hub = hub_listing(tiny(), |listing| file(listing, WEIGHTS)["lfs"]["sha256"] = json!("../../../etc/passwd"));
    refused(&hub, &[WEIGHTS, "could not be verified"]);
    let pickled = tiny().without(WEIGHTS).with("pytorch_model.bin", "pickle");
    let hub = Hub::of(&pickled);
    refused(&hub, &["pickled only", "safetensors", "refs/pr"]);
    assert!(hub.asked(".bin").is_empty());
    let dense = json!([{"type": "a", "path": ""}, {"type": "b", "path": "2_Dense"}]).to_string();
    let hub = Hub::of(&tiny().with("modules.json", dense).with("2_Dense/pytorch_model.bin", "pickle"));
    refused(&hub, &["2_Dense", "pickled only"]);
    assert!(hub.asked(WEIGHTS).is_empty(), "refused before anything large is loaded");
    refused(&Hub::of(&tiny().without(WEIGHTS)), &["no weights"]);
    refused(&Hub::of(&tiny().without("config.json").without("1_Pooling/config.json")), &["no config.json"]);
}

#[test]
fn redirects_that_lead_nowhere() {
    refused(&hub_with(tiny(), WEIGHTS, |_| Reply::redirect("http://")), &[WEIGHTS, "redirects to nowhere"]);
    refused(&hub_with(tiny(), WEIGHTS, |_| Reply::redirect("file:///etc/passwd")), &["redirects to"]);
    let hub = Hub::serve(|request| Reply::redirect(format!("{}x", request.path)));
    refused(&hub, &["redirects more than"]);
}

#[test]
fn offline_nothing_is_asked() {
    let hub = Hub::of(&tiny());
    let place = Place::new();
    for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        for value in ["1", "true", "ON"] {
            let outcome = place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[(variable, value)]);
            outcome.failed(1, &[variable, "not asked"]);
        }
    }
    assert!(hub.requests().is_empty());
    place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[("HF_HUB_OFFLINE", "0")]).succeeded();
}

#[test]
fn an_environment_that_makes_no_sense() {
    let place = Place::new();
    for endpoint in ["huggingface.co", "ftp://hub", "https://", "http://user:pass@hub", "https://hub/?x=1"] {
        place.run_online(endpoint, &["model", "pull", "tiny/mean"], &[]).failed(1, &["HF_ENDPOINT is not"]);
    }
    let hub = Hub::of(&tiny());
    let outcome = place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[("HF_TOKEN", "hf secret")]);
    assert!(!outcome.failed(1, &["HF_TOKEN holds no token"]).stderr.contains("secret"));
    let outcome = place.run_online(&hub.url(), &["model", "pull", "tiny/mean"], &[("HF_TOKEN_PATH", "nowhere")]);
    outcome.failed(1, &["cannot read the token in nowhere"]);
}
