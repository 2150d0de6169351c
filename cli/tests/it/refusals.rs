//! Files and collections that are wrong inside, each with its message and exit code.

use std::fs;

use serde_json::json;

use crate::support::{Outcome, Place, exists};

#[test]
fn files_that_cannot_be_read_leave_no_collection() {
    let place = Place::new();
    place.write("picture.png", "x");
    place.write("empty/picture.png", "x");
    place.run(&["add", "c", "nowhere.jsonl"]).failed(1, &["nowhere.jsonl", "No such file"]);
    place.run(&["add", "c", "picture.png"]).failed(1, &["picture.png", "unknown format", ".jsonl"]);
    place.run(&["add", "c", "empty"]).failed(1, &["empty", "holds no"]);
    assert!(!exists(&place.path("c")));
}

#[test]
fn a_broken_line_is_named_and_its_batch_not_added() {
    let place = Place::new();
    let line = |n| format!("{{\"id\": \"{n}\", \"text\": \"x\"}}\n");
    let mut lines: Vec<String> = (1..=9).map(line).collect();
    lines[6] = "{\"id\": \"7\", \"text\": oops}\n".to_owned();
    place.write("a.jsonl", lines.concat());
    place.run(&["add", "c", "a.jsonl"]).failed(1, &["a.jsonl:7", "not valid JSON", "--skip-invalid", "0 passages"]);
    assert_eq!(place.run(&["stats", "c", "--json"]).succeeded().json()[0]["passages"], json!(0));
    place.run(&["add", "c", "a.jsonl", "--batch", "3"]).failed(1, &["a.jsonl:7", "6 passages"]);
    assert_eq!(place.run(&["stats", "c", "--json"]).succeeded().json()[0]["passages"], json!(6));
    let skipped = place.run(&["add", "c", "a.jsonl", "--skip-invalid", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&skipped["skipped"], &skipped["passages"]), (&json!(1), &json!(8)));
}

#[test]
fn lines_that_are_no_passage() {
    let place = Place::new();
    for (line, why) in [
        (&b"[1]"[..], "not a JSON object"),
        (b"{\"id\": \"a\"}", "there is no \"text\""),
        (b"{\"text\": 5}", "\"text\" is not a string"),
        (b"{\"id\": \"\", \"text\": \"x\"}", "the id is empty"),
        (b"{\"id\": [1], \"text\": \"x\"}", "the id is neither"),
        (b"{\"title\": 1, \"text\": \"x\"}", "\"title\" is not a string"),
        (b"{\"text\": \"\xff\"}", "not valid UTF-8 at byte 11"),
        (b"{\"text\": \"x\"", "not valid JSON"),
    ] {
        place.write("a.jsonl", line);
        place.run(&["add", "c", "a.jsonl"]).failed(1, &["a.jsonl:1", why]);
    }
    place.write("a.txt", b"fine\n\nnot \xff fine");
    place.run(&["add", "c", "a.txt"]).failed(1, &["a.txt:3", "not valid UTF-8"]);
    place.write("a.csv", "id,body\n1,x\n");
    place.run(&["add", "c", "a.csv"]).failed(1, &["a.csv:1", "no column \"text\"", "id, body"]);
    place.write("a.csv", "id,text\n1,x,y\n");
    place.run(&["add", "c", "a.csv"]).failed(1, &["a.csv:2"]);
    let deep = format!("{{\"text\": \"x\", \"m\": {}{}}}", "[".repeat(40), "]".repeat(40));
    place.write("a.jsonl", deep);
    place.run(&["add", "c", "a.jsonl"]).failed(1, &["nest"]);
    for (input, why) in [("{\"text\": 1}", "standard input:1"), ("\n{}", "standard input:2"), ("x", "not valid JSON")] {
        place.run_with(&["encode"], input).failed(1, &[why]);
    }
}

#[test]
fn collections_that_are_not() {
    let place = Place::new();
    place.write("a.jsonl", "{\"text\": \"x\"}");
    place.write("folder/other.doc", "x");
    for command in ["query", "get", "delete"] {
        place.run(&[command, "nowhere", "x"]).failed(1, &["no collection in nowhere"]);
    }
    place.run(&["add", "folder", "a.jsonl"]).failed(1, &["other.doc", "directory of its own"]);
    place.run(&["add", "a.jsonl", "a.jsonl"]).failed(1, &["a.jsonl is a file"]);
    fs::create_dir_all(place.path("broken")).unwrap();
    for content in [&b""[..], b"not a database", &[0; 100_000]] {
        fs::write(place.path("broken/store.redb"), content).unwrap();
        place.run(&["query", "broken", "x"]).failed(1, &["store.redb", "damaged"]);
    }
}

#[test]
fn an_empty_collection_answers_nothing() {
    let place = Place::new();
    place.write("a.jsonl", "");
    place.run(&["add", "c", "a.jsonl"]).succeeded();
    assert_eq!(place.run(&["query", "c", "x", "--json"]).succeeded().stdout, "");
    place.run(&["get", "c", "x"]).failed(1, &["no passage \"x\""]);
}

#[test]
fn a_second_process_is_told_at_once() {
    let place = Place::new();
    place.write("a.jsonl", "{\"text\": \"x\"}");
    let held = marcato::Collection::create(place.path("c")).unwrap();
    for arguments in [&["add", "c", "a.jsonl"][..], &["query", "c", "x"], &["stats", "c"]] {
        let holder = format!("open in another process (pid {})", std::process::id());
        place.run(arguments).failed(1, &[&holder, "close that one"]);
    }
    held.close().unwrap();
    // Readers leave no name, and what a writer left is nobody's.
    let reader = marcato::Collection::options().open_read_only(place.path("c")).unwrap();
    let refused = place.run(&["add", "c", "a.jsonl"]).failed(1, &["open in another process", "close that one"]);
    assert!(!refused.stderr.contains("pid"), "{}", refused.stderr);
    reader.close().unwrap();
    place.run(&["add", "c", "a.jsonl"]).succeeded();
}

#[test]
fn another_model_is_refused_with_the_remedy() {
    let place = Place::new();
    let options = marcato::Collection::options().embeddings(3, marcato::Similarity::Dot);
    options.create(place.path("own")).unwrap().close().unwrap();
    place.write("a.jsonl", "{\"text\": \"x\"}");
    place.run(&["add", "own", "a.jsonl"]).failed(1, &["without an encoder"]);
    place
        .run(&["add", "c", "a.jsonl", "--model", "nowhere"])
        .failed(1, &["no model \"nowhere\"", "marcato model pull nowhere", "built-in"]);
    fs::create_dir_all(place.path("model")).unwrap();
    place.run(&["add", "c", "a.jsonl", "--model", "model"]).failed(1, &["config.json"]);
    place.run(&["encode", "--precision", "f32"]).failed(1, &["int8 weights only"]);
}

#[test]
fn a_level_of_instructions_that_is_none_is_named() {
    let place = Place::new();
    place.write("a.jsonl", "{\"text\": \"x\"}");
    let add = |level| Outcome::of(place.command(&["add", "c", "a.jsonl"]).env("MARCATO_ISA", level).output().unwrap());
    add("avx-2").failed(1, &["MARCATO_ISA", "\"avx-2\" is no level", "avx512, avx-vnni, avx2, portable"]);
    for level in ["", "portable"] {
        add(level).succeeded();
    }
}
