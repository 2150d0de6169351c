//! Copies of a collection, and collections from copies.

use crate::support::Place;

#[test]
fn a_backup_is_a_collection_and_restores() {
    let place = Place::new();
    place.write("notes.jsonl", "{\"id\": \"a\", \"text\": \"Oats are sown in spring\", \"year\": 2011}\n");
    place.run(&["add", "c", "notes.jsonl"]).succeeded();
    place.run(&["backup", "c", "monday"]).succeeded();
    place.run(&["delete", "c", "a"]).succeeded();
    let hits = place.run(&["query", "monday", "when to sow", "--json"]).succeeded().json();
    assert_eq!((hits.len(), hits[0]["id"].as_str(), &hits[0]["metadata"]["year"]), (1, Some("a"), &2011.into()));
    place.run(&["restore", "monday", "c2"]).succeeded();
    assert_eq!(place.run(&["list", "c2", "--json"]).succeeded().json().len(), 1);
    assert!(place.run(&["list", "c", "--json"]).succeeded().json().is_empty());
    place.run(&["backup", "c", "monday"]).failed(1, &["monday", "already"]);
    assert_eq!(place.run(&["list", "monday", "--json"]).succeeded().json().len(), 1);
    place.run(&["restore", "tuesday", "c3"]).failed(1, &["tuesday", "check the path"]);
    place.run(&["restore", "monday", "c2"]).failed(1, &["c2", "already"]);
}
