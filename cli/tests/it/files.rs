//! Every format that `add` reads.

use serde_json::{Value, json};

use crate::support::Place;

fn listed(place: &Place) -> Vec<Value> {
    place.run(&["list", "c", "--json"]).succeeded().json()
}

#[test]
fn tables_with_quotes_and_other_columns() {
    let place = Place::new();
    place.write("a.csv", "\u{feff}id,title,text,year\n1,T,\"two\nlines, \"\"quoted\"\"\",1999\n");
    place.write("b.tsv", "text\tlang\nb\ten\n");
    place.run(&["add", "c", "a.csv", "b.tsv"]).succeeded();
    let passages = listed(&place);
    assert_eq!(
        passages[0],
        json!({"id": "1", "title": "T", "text": "two\nlines, \"quoted\"", "metadata": {"year": "1999"}})
    );
    assert!(passages[1]["id"].as_str().unwrap().ends_with("b.tsv:2"), "{passages:?}");
    assert_eq!(passages[1]["metadata"], json!({"lang": "en"}));
}

#[test]
fn folders_by_paragraph_without_hidden_files() {
    let place = Place::new();
    place.write("notes/b.md", "# Head\n\none\n\ntwo\n");
    place.write("notes/deep/a.txt", "three\n\n\nfour");
    place.write("notes/.hidden.txt", "no");
    place.write("notes/picture.png", [0xff, 0xd8]);
    place.run(&["add", "c", "notes"]).succeeded();
    let passages = listed(&place);
    let texts: Vec<&str> = passages.iter().map(|passage| passage["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    assert_eq!(passages[0]["title"], "Head");
    let again = place.run(&["add", "c", "notes", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&again["added"], &again["updated"]), (&json!(0), &json!(4)), "the same files replace what they gave");
}

#[test]
fn a_collection_inside_a_folder_is_not_text() {
    let place = Place::new();
    place.write("notes/a.txt", "one");
    place.run(&["add", "notes/mine.marcato", "notes"]).succeeded();
    let again = place.run(&["add", "notes/mine.marcato", "notes", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(again["passages"], json!(1));
}

#[test]
fn an_id_that_comes_twice_leaves_the_last_and_a_note() {
    let place = Place::new();
    place.write(
        "a.jsonl",
        "{\"id\":\"x\",\"text\":\"first\"}\n{\"id\":\"y\",\"text\":\"other\"}\n{\"id\":\"x\",\"text\":\"last\"}\n",
    );
    let added = place.run(&["add", "c", "a.jsonl", "--json"]).succeeded();
    assert_eq!((&added.json()[0]["added"], &added.json()[0]["updated"]), (&json!(2), &json!(1)));
    assert!(added.stderr.contains("\"x\""), "{added:?}");
    assert_eq!(place.run(&["get", "c", "x", "--json"]).succeeded().json()[0]["text"], "last");
}

#[test]
fn a_text_of_ten_megabytes() {
    let place = Place::new();
    let text = "many words of no great interest ".repeat(320_000);
    place.write("big.jsonl", format!("{{\"id\": \"big\", \"text\": \"{text}\"}}\n"));
    place.run(&["add", "c", "big.jsonl"]).succeeded();
    assert_eq!(
        place.run(&["get", "c", "big", "--json"]).succeeded().json()[0]["text"].as_str().unwrap().len(),
        text.len()
    );
}
