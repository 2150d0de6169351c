//! What filters mean, case by case.

use serde_json::json;

use super::super::Filter;
use crate::field::Subject;
use crate::passage::Metadata;

fn metadata() -> Metadata {
    let value = json!({
        "year": 2011,
        "large": 9_007_199_254_740_993_u64,
        "third": 0.3,
        "lang": "en",
        "tag": ["a", "b", 3, ["nested"]],
        "archived": false,
        "draft": true,
        "nothing": null,
        "nothings": [null],
        "empty": [],
        "object": {},
        "author": {"name": "Ann Lee", "born": null},
        "editors": [{"name": "Bob"}, {"name": "Cid", "age": 40}],
        "published": "2011-03-27",
        "updated": "2011-03-27T23:30:00-02:00",
        "a.b": "dotted",
        "title": "another",
        "metadata": {"x": 1},
    });
    value.as_object().unwrap().clone()
}

fn holds(text: &str) -> bool {
    let metadata = metadata();
    let filter: Filter = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let subject = Subject { id: "p-1", title: Some("The census of 2011"), text: "London is big", metadata: &metadata };
    let held = filter.matches(subject);
    assert_eq!((!filter).matches(subject), !held, "{text}");
    held
}

#[test]
fn what_holds() {
    for text in [
        "year = 2011 and year = 2011.0 and year >= 2011 and year <= 2011 and year > 2010.5 and year < 2012",
        "year != 2012 and year != \"2011\"",
        "large = 9007199254740993 and large > 9007199254740992 and large > 9007199254740992.0",
        "third = 0.3 and third != 0.30000000000000004",
        "lang = 'en' and lang > 'EN' and lang < 'f' and lang contains 'e' and lang contains ''",
        "tag = 'a' and tag != 'a' and tag = 3 and tag = 'nested' and tag contains 'b' and tag contains 3",
        "tag in ['z', 'b'] and year in [1, 2011] and lang in [1, true, 'en']",
        "not archived and archived = false and draft and draft != false",
        "empty exists and object exists and nothings exists and not nothing exists and not nowhere exists",
        "author.name contains 'Lee' and not author.born exists and author exists",
        "editors.name = 'Bob' and editors.name contains 'id' and editors.age = 40",
        "published = date('2011-03-27') and published <= date('2011-03-27') and published < date('2011-03-28')",
        "published in [date('2011-03-27')] and published = date('2011-03-27T00:00:00Z') and published = '2011-03-27'",
        "updated = date('2011-03-28T01:30:00Z') and updated = date('2011-03-28') and updated > date('2011-03-27')",
        "lang != date('2011-03-27')",
        "`a.b` = 'dotted' and metadata.title = 'another' and metadata.metadata.x = 1 and metadata.year = 2011",
        "title contains 'census' and id = 'p-1' and text contains 'big'",
        "nowhere or year = 2011 and lang = 'en'",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn what_does_not_hold() {
    for text in [
        "year = \"2011\"",
        "year > \"2010\"",
        "year != 2011",
        "large = 9007199254740992",
        "large <= 9007199254740992.0",
        "lang = \"EN\"",
        "nowhere = 1",
        "nowhere != 1",
        "nothing != 1",
        "empty != 1",
        "object = 1",
        "author = \"Ann Lee\"",
        "tag contains \"neste\"",
        "year contains 2011",
        "year contains \"2011\"",
        "a.b = \"dotted\"",
        "lang.x exists",
        "published = date(\"2011-03-26\")",
        "published > date(\"2011-03-27\")",
        "updated < date(\"2011-03-28\")",
        "lang < date(\"2011-03-27\")",
        "lang in []",
        "title = \"another\"",
        "archived",
        "year",
    ] {
        assert!(!holds(text), "{text}");
    }
}
