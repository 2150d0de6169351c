//! Which files may be missing, and which paths may not be followed.

use std::path::Path;

use serde_json::json;

use super::fixture::{Fixture, Placed, golden_path, names};
use crate::model::Model;
use crate::{Error, ErrorKind};

fn refused(placed: &Placed) -> Error {
    placed.open().err().expect("the model must be refused")
}

#[test]
fn files_that_a_model_cannot_do_without() {
    for file in ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"] {
        let mut fixture = Fixture::golden("mean");
        fixture.remove(file);
        let error = fixture.refused();
        assert_eq!(error.kind(), ErrorKind::Model, "{file}: {error}");
        assert!(names(&error, file), "{error}");
        assert!(error.path().is_some(), "{file}: no path");
    }
}

#[test]
fn files_that_a_model_can_do_without() {
    let limits = [
        (&["config_sentence_transformers.json"] as &[&str], 32),
        (&["tokenizer_config.json"], 32),
        // The position table has 64 rows, and the tokenizer's limit is cut to it.
        (&["sentence_bert_config.json"], 64),
        (&["sentence_bert_config.json", "tokenizer_config.json"], 64),
    ];
    for (files, max_tokens) in limits {
        let mut fixture = Fixture::golden("mean");
        files.iter().for_each(|file| fixture.remove(file));
        assert_eq!(fixture.open().unwrap().modules.max_tokens, max_tokens, "without {files:?}");
    }
}

#[test]
fn missing_weights() {
    let placed = Fixture::golden("mean").place_without_weights("model");
    let error = refused(&placed);
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(names(&error, "model.safetensors") && !names(&error, "pickle"), "{error}");
    std::fs::write(placed.path.join("pytorch_model.bin"), b"PK").unwrap();
    let error = refused(&placed);
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(names(&error, "pytorch_model.bin") && names(&error, "safe_serialization"), "{error}");
}

#[test]
fn nothing_there() {
    for path in [golden_path("none"), golden_path("mean").join("config.json/x")] {
        let error = Model::open(&path).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Io), "{error}");
        assert_eq!(error.path(), Some(path.as_path()));
    }
    let empty = tempfile::tempdir().unwrap();
    let error = Model::open(empty.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(names(&error, "config.json"), "{error}");
}

/// A file where a directory or an artifact is expected.
#[test]
fn files_that_are_no_artifact() {
    for file in ["config.json", "model.safetensors"] {
        let error = Model::open(&golden_path("mean").join(file)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
        assert!(names(&error, file), "{error}");
    }
}

#[test]
fn folders_where_files_are_expected() {
    for file in
        ["config.json", "tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json", "model.safetensors"]
    {
        let placed = Fixture::golden("mean").place();
        std::fs::remove_file(placed.path.join(file)).unwrap();
        std::fs::create_dir(placed.path.join(file)).unwrap();
        let error = refused(&placed);
        assert!(matches!(error.kind(), ErrorKind::Model | ErrorKind::Io), "{file}: {error}");
        assert!(names(&error, file), "{file}: {error}");
    }
}

/// Names come from the model's own JSON, so they must not lead out of it; not even to files that are there.
#[test]
fn paths_that_climb_out() {
    let climbing = ["../model/1_Pooling", "..", "/etc", "1_Pooling/../1_Pooling", "a\\b", "C:\\x", "C:x", "a\0b"];
    for path in climbing {
        let mut fixture = Fixture::golden("mean");
        fixture.edit("modules.json", |modules| modules[1]["path"] = json!(path));
        let error = fixture.refused();
        assert_eq!(error.kind(), ErrorKind::Model, "{path:?}: {error}");
        assert!(names(&error, &format!("\"{path}/config.json\"")), "{path:?}: {error}");
    }
    for path in ["../outside.safetensors", "/etc/passwd", "a\\b.safetensors"] {
        let mut fixture = Fixture::golden("mean");
        fixture.put("model.safetensors.index.json", json!({"weight_map": {"a": path}}).to_string());
        let placed = fixture.place_without_weights("model");
        std::fs::copy(golden_path("mean").join("model.safetensors"), placed.root.path().join("outside.safetensors"))
            .unwrap();
        let error = refused(&placed);
        assert_eq!(error.kind(), ErrorKind::Model, "{path:?}: {error}");
        assert!(names(&error, path), "{path:?}: {error}");
    }
}

/// A plain name of another folder is fine.
#[test]
fn a_pooling_folder_of_another_name() {
    let mut fixture = Fixture::golden("mean");
    let pooling = fixture.files.remove("1_Pooling/config.json").unwrap();
    fixture.put("some/where/config.json", pooling);
    fixture.edit("modules.json", |modules| modules[1]["path"] = json!("some/where"));
    assert!(fixture.open().is_ok());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;

    use super::*;

    fn replace_by_link(placed: &Placed, file: &str, target: &Path) {
        let file = placed.path.join(file);
        std::fs::remove_file(&file).unwrap();
        symlink(target, &file).unwrap();
    }

    #[test]
    fn links_that_lead_out() {
        for file in ["config.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors"] {
            let placed = Fixture::golden("mean").place();
            let outside = placed.root.path().join("outside");
            std::fs::copy(placed.path.join(file), &outside).unwrap();
            replace_by_link(&placed, file, &outside);
            let error = refused(&placed);
            assert_eq!(error.kind(), ErrorKind::Model, "{file}: {error}");
            assert!(names(&error, file) && names(&error, "leads out"), "{error}");
        }
    }

    #[test]
    fn links_that_stay_inside() {
        let placed = Fixture::golden("mean").place();
        std::fs::rename(placed.path.join("config.json"), placed.path.join("real.json")).unwrap();
        symlink("real.json", placed.path.join("config.json")).unwrap();
        assert!(placed.open().is_ok());
        let linked = placed.root.path().join("link");
        symlink(&placed.path, &linked).unwrap();
        assert!(Model::open(&linked).is_ok());
    }

    #[test]
    fn links_that_lead_nowhere_are_missing_files() {
        let placed = Fixture::golden("mean").place();
        replace_by_link(&placed, "tokenizer.json", Path::new("gone.json"));
        assert_eq!(refused(&placed).kind(), ErrorKind::Model);
        replace_by_link(&placed, "config.json", Path::new("config.json"));
        assert!(matches!(refused(&placed).kind(), ErrorKind::Io | ErrorKind::Model));
    }

    /// The Hugging Face cache keeps contents in `blobs` and links them from `snapshots`.
    #[test]
    fn a_snapshot_in_the_hugging_face_cache() {
        let placed = Fixture::golden("mean").place();
        let repository = placed.root.path().join("models--some-body--a-model-dot-v1");
        let snapshot = repository.join("snapshots").join("0123456789abcdef0123456789abcdef01234567");
        std::fs::create_dir_all(repository.join("blobs")).unwrap();
        std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
        std::fs::rename(&placed.path, &snapshot).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::rename(snapshot.join(file), repository.join("blobs").join(file)).unwrap();
            symlink(Path::new("../../blobs").join(file), snapshot.join(file)).unwrap();
        }
        let model = Model::open(&snapshot).unwrap();
        assert_eq!(model.name, "some-body/a-model-dot-v1");
    }

    /// Opening a pipe for reading waits for a writer: it has to be refused before.
    #[test]
    fn pipes_do_not_hang() {
        let placed = Fixture::golden("mean").place();
        let pipe = placed.path.join("tokenizer.json");
        std::fs::remove_file(&pipe).unwrap();
        if !std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            return;
        }
        for path in [placed.path.clone(), pipe] {
            let (done, waiting) = std::sync::mpsc::channel();
            std::thread::spawn(move || done.send(Model::open(&path).err().map(|error| error.kind())));
            let kind = waiting.recv_timeout(std::time::Duration::from_secs(20)).expect("opening a pipe hangs");
            assert_eq!(kind, Some(ErrorKind::Model));
        }
    }

    #[test]
    fn devices_are_no_models() {
        let error = Model::open(Path::new("/dev/zero")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    }
}
