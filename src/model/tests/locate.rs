//! Models by their names: what is a name, which folders the environment means, what is found in them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ErrorKind;
use crate::model::{ModelName, ModelSource, Models};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

/// A snapshot in a cache, and what refers to it.
fn put(cache: &Path, repository: &str, commit: &str, revisions: &[&str]) -> PathBuf {
    let root = cache.join(name(repository).folder());
    let snapshot = root.join("snapshots").join(commit);
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("config.json"), "{}").unwrap();
    fs::write(snapshot.join("model.safetensors"), "").unwrap();
    for revision in revisions {
        let path = root.join("refs").join(revision);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{commit}\n")).unwrap();
    }
    snapshot
}

fn models(folder: &Path) -> Models {
    Models::new(folder.join("own"), folder.join("hub"))
}

#[test]
fn names_and_what_is_none() {
    for (text, repository, revision) in [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2", None),
        ("a/b_c.d", "a/b_c.d", None),
        ("a/b@main", "a/b", Some("main")),
        ("a/b@refs/pr/1", "a/b", Some("refs/pr/1")),
    ] {
        let parsed = name(text);
        assert_eq!((parsed.repository(), parsed.revision()), (repository, revision));
        assert_eq!(parsed.to_string(), text);
    }
    let long = "x".repeat(97);
    for text in [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        ".",
        "..",
        "a/..",
        "../a",
        "./a",
        "a..b",
        "a--b",
        "a b",
        "a\\b",
        "C:a",
        "a\0",
        "ä/b",
        "a@",
        "a@..",
        "a@b//c",
        "a@/b",
        "a@b\\c",
        "a@b@c",
        "a@../../b",
        "~/a",
        &long,
    ] {
        assert_eq!(text.parse::<ModelName>().unwrap_err().kind(), ErrorKind::Misuse, "{text}");
    }
}

#[test]
fn a_name_without_an_organisation_may_be_of_either_reference() {
    let candidates: Vec<String> = name("x@v1").candidates().iter().map(ToString::to_string).collect();
    assert_eq!(candidates, ["sentence-transformers/x@v1", "cross-encoder/x@v1", "x@v1"]);
    assert_eq!(name("a/x").candidates(), [name("a/x")]);
}

#[test]
#[cfg(not(any(windows, target_os = "macos")))]
fn folders_by_the_first_variable_that_is_set() {
    let folders = |variables: &[(&str, &str)]| {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        let models = Models::from_variables(find).unwrap();
        (models.own().to_str().unwrap().to_owned(), models.hub_cache().to_str().unwrap().to_owned())
    };
    let pair = |own: &str, hub: &str| (own.to_owned(), hub.to_owned());
    let mut variables = vec![("HOME", "/home/a")];
    let (own, hub) = ("/home/a/.local/share/marcato/models", "/home/a/.cache/huggingface/hub");
    assert_eq!(folders(&variables), pair(own, hub));
    // From the last of the table to the first: each overrules those before it.
    for (set, own, hub) in [
        (("XDG_CACHE_HOME", "/cache"), own, "/cache/huggingface/hub"),
        (("HF_HOME", "~/hf"), own, "/home/a/hf/hub"),
        (("HUGGINGFACE_HUB_CACHE", "/old"), own, "/old"),
        (("HF_HUB_CACHE", "/new"), own, "/new"),
        (("XDG_DATA_HOME", "/data"), "/data/marcato/models", "/new"),
        (("MARCATO_HOME", "/m"), "/m/models", "/new"),
    ] {
        variables.insert(0, set);
        assert_eq!(folders(&variables), pair(own, hub), "{set:?}");
    }
    assert_eq!(folders(&[("HOME", "/h"), ("HF_HUB_CACHE", ""), ("MARCATO_HOME", "")]).1, "/h/.cache/huggingface/hub");
    let error = Models::from_variables(|_| None).unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("MARCATO_HOME"), "{error}");
}

#[test]
fn found_by_name_and_revision_in_the_order_of_the_folders() {
    let folder = tempfile::tempdir().unwrap();
    let models = models(folder.path());
    let hub = put(models.hub_cache(), "a/b", FIRST, &["main", "refs/pr/1"]);
    let found = models.find(&name("a/b")).unwrap();
    assert_eq!((&found.path, found.source, found.commit.as_str()), (&hub, ModelSource::HuggingFace, FIRST));
    assert_eq!(found.revisions, ["main", "refs/pr/1"]);
    let own = put(models.own(), "a/b", SECOND, &["v2"]);
    assert_eq!(models.find(&name("a/b")).unwrap().path, hub, "Marcato's own has no main");
    assert_eq!(models.find(&name("a/b@v2")).unwrap().path, own);
    put(models.own(), "a/b", SECOND, &["main"]);
    assert_eq!(models.find(&name("a/b")).unwrap().path, own, "Marcato's own comes first");
    for revision in ["refs/pr/1", FIRST] {
        assert_eq!(models.find(&name(&format!("a/b@{revision}"))).unwrap().path, hub);
    }
    put(models.hub_cache(), "cross-encoder/c", FIRST, &["main"]);
    assert_eq!(models.find(&name("c")).unwrap().repository, "cross-encoder/c");
    put(models.hub_cache(), "sentence-transformers/c", FIRST, &["main"]);
    assert_eq!(models.find(&name("c")).unwrap().repository, "sentence-transformers/c");
}

#[test]
fn what_is_not_there_is_told_with_the_places_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let models = models(folder.path());
    let refused = |text: &str| {
        let error = models.find(&name(text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        error.to_string()
    };
    let told = refused("a/b@v1");
    for part in [
        "\"a/b@v1\"",
        "marcato model pull a/b@v1",
        models.own().to_str().unwrap(),
        models.hub_cache().to_str().unwrap(),
    ] {
        assert!(told.contains(part), "{told}");
    }
    // Only a commit that nothing refers to: which one is meant is not for us to guess.
    put(models.own(), "a/b", FIRST, &[]);
    assert!(refused("a/b").contains(&format!("a/b@{FIRST}")));
    // References to what is not there, or that are no commits, lead nowhere.
    for (revision, commit) in [("main", SECOND), ("odd", "../../../../etc"), ("empty", "")] {
        let refs = models.own().join("models--a--b/refs");
        fs::create_dir_all(&refs).unwrap();
        fs::write(refs.join(revision), commit).unwrap();
        refused(&format!("a/b@{revision}"));
    }
}

#[test]
fn a_list_of_all_that_are_models() {
    let folder = tempfile::tempdir().unwrap();
    let models = models(folder.path());
    assert_eq!(models.list(), []);
    put(models.hub_cache(), "z", FIRST, &["main"]);
    put(models.own(), "a/b", SECOND, &[]);
    put(models.own(), "a/b", FIRST, &["main"]);
    fs::remove_file(put(models.hub_cache(), "a/tokenizer-only", FIRST, &["main"]).join("model.safetensors")).unwrap();
    fs::create_dir_all(models.hub_cache().join("datasets--a--b/snapshots").join(FIRST)).unwrap();
    fs::create_dir_all(models.own().join("models--a--b/snapshots/not-a-commit")).unwrap();
    fs::create_dir_all(models.own().join(".locks")).unwrap();
    let listed: Vec<_> =
        models.list().into_iter().map(|model| (model.repository, model.commit, model.source)).collect();
    let expected = [
        ("a/b", FIRST, ModelSource::Marcato),
        ("a/b", SECOND, ModelSource::Marcato),
        ("z", FIRST, ModelSource::HuggingFace),
    ];
    assert_eq!(listed, expected.map(|(name, commit, source)| (name.to_owned(), commit.to_owned(), source)));
}
