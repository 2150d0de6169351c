//! Keeping a collection: check, compact, export, import, reembed.

use std::fs;

use crate::score::model;
use crate::support::Place;

fn filled(place: &Place) {
    let lines: String =
        (0..1200).map(|n| format!("{{\"id\": \"{n}\", \"text\": \"number {n}\", \"n\": {n}}}\n")).collect();
    place.write("some.jsonl", lines);
    place.run(&["add", "c", "some.jsonl", "--index", "hnsw"]).succeeded();
}

#[test]
fn check_says_what_is_wrong_and_repair_mends_the_indexes() {
    let place = Place::new();
    filled(&place);
    assert!(place.run(&["check", "c"]).succeeded().stdout.starts_with("sound: 1200 passages, recall"));
    let found = place.run(&["check", "c", "--json"]).succeeded().json();
    assert_eq!((found.len(), &found[0]["problems"], &found[0]["repaired"]), (1, &0.into(), &false.into()));
    let snapshot = place.path("c/views/embeddings.hnsw");
    let whole = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &whole[..1000]).unwrap();
    let outcome = place.run(&["check", "c"]).failed(1, &["c has 1 problem,", "--repair"]);
    assert!(outcome.stdout.starts_with("index: the snapshot of the view is damaged"), "{}", outcome.stdout);
    let found = place.run(&["check", "c", "--json"]).failed(1, &[]).json();
    assert_eq!((found.len(), &found[0]["part"], &found[1]["problems"]), (2, &"index".into(), &1.into()));
    let outcome = place.run(&["check", "c", "--repair"]).succeeded();
    assert!(outcome.stdout.starts_with("sound after the indexes were made anew"), "{outcome:?}");
    assert!(place.run(&["check", "c"]).succeeded().stderr.is_empty());

    // Somewhere in a text: that is beyond repair.
    let store = place.path("c/store.redb");
    let mut whole = fs::read(&store).unwrap();
    let at = whole.windows(10).rposition(|bytes| bytes == b"number 777").unwrap();
    whole[at] ^= 1;
    fs::write(&store, whole).unwrap();
    let outcome = place.run(&["check", "c", "--repair"]).failed(1, &[]);
    let told = outcome.stdout.contains("damaged") || outcome.stderr.contains("damaged");
    assert!(told && format!("{outcome:?}").contains("restore the collection from a copy"), "{outcome:?}");
    place.run(&["check", "nowhere"]).failed(1, &["nowhere", "check the path"]);
}

#[test]
fn compact_makes_it_smaller() {
    let place = Place::new();
    filled(&place);
    for _ in 0..2 {
        place.run(&["add", "c", "some.jsonl"]).succeeded();
    }
    let gone: Vec<String> = (0..1100).map(|n| n.to_string()).collect();
    let arguments: Vec<&str> = ["delete", "c"].into_iter().chain(gone.iter().map(String::as_str)).collect();
    place.run(&arguments).succeeded();
    let told = place.run(&["compact", "c", "--json"]).succeeded().json().pop().unwrap();
    let (before, after) = (told["bytes_before"].as_u64().unwrap(), told["bytes"].as_u64().unwrap());
    assert!(after * 2 < before && told["passages"] == 100, "{told}");
    assert!(place.run(&["compact", "c"]).succeeded().stdout.contains("100 passages"));
    assert!(place.run(&["check", "c"]).succeeded().stdout.starts_with("sound: 100 passages"));
    let hits = place.run(&["query", "c", "number 1150", "-k", "3", "--json"]).succeeded().json();
    assert_eq!(hits[0]["id"], "1150");
    place.run(&["compact", "nowhere"]).failed(1, &["nowhere"]);
}

#[test]
fn what_is_exported_is_imported_the_same() {
    let place = Place::new();
    filled(&place);
    let plain = place.run(&["export", "c"]).succeeded().stdout;
    assert_eq!(plain.lines().count(), 1200);
    assert!(plain.starts_with("{\"id\":\"0\",\"text\":\"number 0\",\"metadata\":{\"n\":0}}\n"), "{plain:.100}");
    place.run(&["export", "c", "--embeddings", "-o", "all.jsonl"]).succeeded();
    let done = place.run(&["import", "copy", "all.jsonl", "--json"]).succeeded().json();
    assert_eq!((&done[0]["added"], &done[0]["passages"]), (&1200.into(), &1200.into()));
    place.run(&["export", "copy", "--embeddings", "-o", "again.jsonl"]).succeeded();
    assert_eq!(fs::read(place.path("again.jsonl")).unwrap(), fs::read(place.path("all.jsonl")).unwrap());

    let first: String = plain.split_inclusive('\n').take(20).collect();
    let outcome = place.run_with(&["import", "few", "-"], &first).succeeded();
    assert!(outcome.stdout.starts_with("20 added, 0 updated; 20 passages"), "{}", outcome.stdout);
    place
        .run_with(&["import", "few", "-"], &format!("{first}{{\"text\": 1}}\n"))
        .failed(1, &["standard input", "line 21"]);
    place.run(&["import", "few", "none.jsonl"]).failed(1, &["none.jsonl"]);
    place.run(&["export", "few", "-o", "no/such/folder/x"]).failed(1, &["no/such/folder/x"]);
    place
        .run(&["import", "new", "all.jsonl", "--model", &model("mean")])
        .failed(1, &["line 1", "export without embeddings"]);
}

/// An export takes the place of one file only, and of what is no file not at all.
#[cfg(unix)]
#[test]
fn an_export_leaves_all_else_as_it_is() {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::process::Command;

    let place = Place::new();
    place.write("own.jsonl", "{\"id\":\"a\",\"text\":\"east\",\"metadata\":{}}\n");
    place.run(&["add", "c", "own.jsonl"]).succeeded();
    let lines = place.run(&["export", "c"]).succeeded().stdout;
    for own in ["all.jsonl", "all.jsonl.part", "elsewhere"] {
        place.write(own, own);
    }
    symlink("elsewhere", place.path("link")).unwrap();
    place.run(&["export", "c", "-o", "all.jsonl"]).succeeded();
    place.run(&["export", "c", "-o", "link"]).succeeded();
    assert_eq!(fs::read_to_string(place.path("all.jsonl")).unwrap(), lines);
    assert_eq!(fs::read_to_string(place.path("all.jsonl.part")).unwrap(), "all.jsonl.part");
    assert_eq!(fs::read_to_string(place.path("elsewhere")).unwrap(), lines);
    assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());

    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open at both ends, nobody waits for anybody.
    let mut reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    place.run(&["export", "c", "-o", "pipe"]).succeeded();
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let mut written = vec![0; lines.len()];
    reader.read_exact(&mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), lines);
    assert_eq!(place.run(&["export", "c", "-o", "/dev/stdout"]).succeeded().stdout, lines);
    let names = fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.contains(".part-")));
}

/// Embeddings that no encoder made make a collection without one.
#[test]
fn embeddings_of_their_own_are_imported_as_they_are() {
    let place = Place::new();
    let lines = "{\"id\":\"a\",\"text\":\"east\",\"metadata\":{},\"embedding\":[3.0,4.5]}\n";
    place.write("own.jsonl", lines);
    place.run(&["import", "own", "own.jsonl", "--similarity", "dot"]).succeeded();
    assert_eq!(place.run(&["export", "own", "--embeddings"]).succeeded().stdout, lines);
    let stats = place.run(&["stats", "own", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&stats["dimension"], &stats["similarity"], &stats["encoder"]), (&2.into(), &"dot".into(), &"".into()));
    place.run(&["import", "own", "own.jsonl"]).succeeded();

    // A first line that is longer than what a pipe gives at once.
    let numbers = vec!["0.12345678"; 20_000].join(",");
    let long = format!("{{\"id\":\"a\",\"text\":\"east\",\"metadata\":{{}},\"embedding\":[{numbers}]}}\n");
    place.run_with(&["import", "long", "-"], &long).succeeded();
    let stats = place.run(&["stats", "long", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(stats["dimension"], 20_000);
}

#[test]
fn reembed_moves_a_collection_to_another_model() {
    let place = Place::new();
    place
        .run_with(&["add", "c", "-"], "{\"id\": \"a\", \"text\": \"oats\"}\n{\"id\": \"b\", \"text\": \"rye\"}\n")
        .succeeded();
    let other = model("mean");
    place.run(&["query", "c", "oats", "--model", &other]).failed(1, &["c was made with the encoder", "reembed"]);
    let outcome = place.run(&["reembed", "c", "--model", &other]).succeeded();
    assert!(outcome.stdout.starts_with("2 passages in c are of"), "{}", outcome.stdout);
    assert_eq!(place.run(&["query", "c", "oats", "--model", &other, "--json"]).succeeded().json()[0]["id"], "a");
    place.run(&["reembed", "c", "--model", "built-in", "--json"]).succeeded();
    assert_eq!(place.run(&["query", "c", "oats", "--json"]).succeeded().json()[0]["id"], "a");
    place.run(&["reembed", "c"]).failed(1, &["--model", "built-in"]);
    place.run(&["reembed", "nowhere", "--model", "built-in"]).failed(1, &["nowhere"]);
    place.run(&["reembed", "c", "--model", "no/such/model"]).failed(1, &["no/such/model"]);
}
