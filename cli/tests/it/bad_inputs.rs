//! Bad input through the command, by name, each with its exit code and what the message says; and that none of it changes
//! the collection. Files, lines and models that are wrong inside are in `refusals`, `filters`, `eval`, `score` and `hub`.

use std::fs;

use crate::support::Place;

/// A name, the exit code, the arguments, a part of the message.
type Case = (&'static str, i32, &'static [&'static str], &'static str);

const QUESTIONS: &[Case] = &[
    ("no question", 2, &["query", "c"], "<TEXT>"),
    ("the best none", 2, &["query", "c", "x", "-k", "0"], "at least 1"),
    ("fewer than none", 2, &["query", "c", "x", "-k", "-1"], "'-1' for '--top <N>'"),
    ("a count that is no number", 2, &["query", "c", "x", "-k", "ten"], "'ten' for '--top <N>'"),
    ("a count beyond all numbers", 2, &["query", "c", "x", "-k", "99999999999999999999"], "'--top <N>'"),
    ("a page before the first", 2, &["query", "c", "x", "--offset", "-1"], "'-1' for '--offset <N>'"),
    ("a mode that is none", 2, &["query", "c", "x", "--mode", "magic"], "dense, lexical, hybrid"),
    ("a fusion that is none", 2, &["query", "c", "x", "--mode", "hybrid", "--fusion", "sum"], "weighted, rrf"),
    ("a fusion of one", 1, &["query", "c", "x", "--fusion", "rrf"], "use --mode hybrid"),
    ("a threshold in words", 2, &["query", "c", "x", "--min-score", "high"], "'high' for '--min-score <SCORE>'"),
    ("a threshold that is no number", 1, &["query", "c", "x", "--min-score", "nan"], "must be a number"),
    ("a lambda beyond 1", 1, &["query", "c", "x", "--mmr", "1.5"], "from 0 to 1, not 1.5"),
    ("a lambda below 0", 1, &["query", "c", "x", "--mmr", "-0.1"], "from 0 to 1, not -0.1"),
    ("a lambda that is no number", 1, &["query", "c", "x", "--mmr", "nan"], "not NaN"),
    ("a filter of nothing", 2, &["query", "c", "x", "--filter", ""], "character 1"),
    ("a filter that is cut off", 2, &["query", "c", "x", "--filter", "year >="], "character 8"),
    ("a comparison that is none", 2, &["query", "c", "x", "--filter", "year ~ 3"], "unexpected \"~\""),
    ("a string without end", 2, &["query", "c", "x", "--filter", "lang = 'en"], "no closing '"),
    ("a parenthesis without end", 2, &["query", "c", "x", "--filter", "(year = 1"], "\")\""),
    ("a list without end", 2, &["query", "c", "x", "--filter", "year in [1, 2"], "\"]\""),
    ("a word for a field", 2, &["query", "c", "x", "--filter", "and = 1"], "the name of a field"),
    ("a number that is too large", 2, &["query", "c", "x", "--filter", "year = 1e999"], "too large for a number"),
    ("two values", 2, &["query", "c", "x", "--filter", "year = 1 2"], "found the number 2"),
    ("more like nobody", 1, &["query", "c", "--like", "nobody"], "no passage \"nobody\""),
    ("more like one and a question", 2, &["query", "c", "x", "--like", "a"], "--like <ID>"),
    ("a reranker that is none", 1, &["query", "c", "x", "--rerank", "nowhere"], "marcato model pull nowhere"),
    ("candidates without a reranker", 2, &["query", "c", "x", "--rerank-top", "5"], "--rerank <NAME_OR_DIR>"),
    ("no candidates", 2, &["query", "c", "x", "--rerank", "m", "--rerank-top", "0"], "at least 1"),
    ("an option that is none", 2, &["query", "c", "x", "--fast"], "--fast"),
    ("an option twice", 2, &["query", "c", "x", "-k", "1", "-k", "2"], "cannot be used multiple times"),
];

const ENCODERS: &[Case] = &[
    ("a model that is none", 1, &["query", "c", "x", "--model", "nowhere"], "marcato model pull nowhere"),
    ("a model in an empty directory", 1, &["query", "c", "x", "--model", "./empty"], "config.json"),
    ("a model that is a file", 1, &["query", "c", "x", "--model", "./file"], "file"),
    ("a precision that is none", 2, &["encode", "--precision", "f64"], "auto, f32, int8"),
    ("a precision that is not there", 1, &["encode", "--precision", "f32"], "int8 weights only"),
    ("a backend that is none", 2, &["encode", "--backend", "tpu"], "cpu, candle, cuda, metal"),
    ("no threads", 2, &["encode", "--threads", "0"], "at least 1"),
    ("threads that are no number", 2, &["encode", "--threads", "many"], "'many' for '--threads <N>'"),
    ("a kind of text that is none", 2, &["encode", "--kind", "poem"], "query, passage"),
    ("a prompt that is none", 1, &["encode", "--prompt", "poem"], "no prompt \"poem\"; it has: none"),
    ("batches of no tokens", 2, &["encode", "--batch-tokens", "0"], "at least 1"),
    ("scores without a model", 2, &["score"], "--model <NAME_OR_DIR>"),
    ("scores by a model that is none", 1, &["score", "--model", "nowhere"], "no model \"nowhere\""),
    ("scores by an activation that is none", 2, &["score", "--model", "m", "--activation", "relu"], "sigmoid"),
    ("pairs of no tokens", 2, &["score", "--model", "m", "--max-length", "0"], "at least 1"),
    ("speed at nothing", 1, &["bench", "--passages", "nowhere.jsonl"], "nowhere.jsonl"),
    ("speed in no rounds", 2, &["bench", "--rounds", "0"], "at least 1"),
    ("no model", 2, &["model", "pull"], "<NAME[@REVISION]>"),
    ("a model's name that is a path", 2, &["model", "pull", "../../etc"], "is not a model's name"),
    ("a model's name that is an address", 2, &["model", "pull", "https://host/a/b"], "is not a model's name"),
    ("a revision that is a path", 2, &["model", "remove", "a/b@.."], "is not a revision"),
    ("a hub that may not be asked", 1, &["model", "pull", "a/b"], "HF_HUB_OFFLINE"),
    ("removing a model that is not there", 1, &["model", "remove", "a/b"], "no model \"a/b\""),
    ("knowing nothing of a model", 1, &["model", "info", "nowhere"], "nowhere"),
    ("a similarity of a model that is none", 2, &["model", "info", "--similarity", "euclidean"], "--similarity"),
    ("a smaller model of nothing", 1, &["model", "quantize", "nowhere", "-o", "q"], "nowhere"),
    ("a smaller model nowhere", 2, &["model", "quantize", "m"], "--output <OUTPUT>"),
];

const PLACES: &[Case] = &[
    ("asking nothing", 1, &["query", "nowhere", "x"], "no collection in nowhere"),
    ("asking a file", 1, &["query", "file", "x"], "no collection in file"),
    ("asking other files", 1, &["query", "foreign", "x"], "no collection in foreign"),
    ("asking an empty directory", 1, &["query", "empty", "x"], "no collection in empty"),
    ("asking what is damaged", 1, &["query", "damaged", "x"], "restore the collection from a copy"),
    ("reading from nothing", 1, &["get", "nowhere", "x"], "no collection in nowhere"),
    ("reading what is not there", 1, &["get", "c", "nobody"], "no passage \"nobody\""),
    ("reading nothing", 2, &["get", "c"], "<IDS>"),
    ("deleting from nothing", 1, &["delete", "nowhere", "x"], "no collection in nowhere"),
    ("deleting nothing", 2, &["delete", "c"], "<IDS>"),
    ("listing nothing", 1, &["list", "nowhere"], "no collection in nowhere"),
    ("listing so many", 2, &["list", "c", "--limit", "all"], "'all' for '--limit <N>'"),
    ("the size of nothing", 1, &["stats", "nowhere"], "no collection in nowhere"),
    ("the size of what is damaged", 1, &["stats", "damaged"], "damaged/store.redb"),
    ("checking nothing", 1, &["check", "nowhere"], "no collection in nowhere"),
    ("checking what is damaged", 1, &["check", "damaged"], "damaged/store.redb"),
    ("mending what is damaged", 1, &["check", "damaged", "--repair"], "restore the collection from a copy"),
    ("compacting nothing", 1, &["compact", "nowhere"], "no collection in nowhere"),
    ("compacting what is damaged", 1, &["compact", "damaged"], "damaged/store.redb"),
    ("indexing nothing", 1, &["index", "nowhere", "year"], "no collection in nowhere"),
    ("dropping no index", 2, &["index", "c", "--drop"], "<FIELDS>"),
    ("copying nothing", 1, &["backup", "nowhere", "b"], "no collection in nowhere"),
    ("copying to nowhere", 2, &["backup", "c"], "<DESTINATION>"),
    ("copying onto itself", 1, &["backup", "c", "c"], "is a collection already"),
    ("copying among other files", 1, &["backup", "c", "foreign"], "thesis.doc"),
    ("copying into a file", 1, &["backup", "c", "file"], "is a file"),
    ("copying what is damaged", 1, &["backup", "damaged", "b"], "damaged/store.redb"),
    ("restoring nothing", 1, &["restore", "nowhere", "d"], "no collection in nowhere to restore from"),
    ("restoring over a collection", 1, &["restore", "c", "c"], "is a collection already"),
    ("restoring among other files", 1, &["restore", "c", "foreign"], "thesis.doc"),
    ("restoring what is damaged", 1, &["restore", "damaged", "d"], "damaged/store.redb"),
    ("writing nothing out", 1, &["export", "nowhere"], "no collection in nowhere"),
    ("writing into no directory", 1, &["export", "c", "-o", "no/such/file.jsonl"], "no/such/file.jsonl"),
    ("writing over a directory", 1, &["export", "c", "-o", "foreign"], "cannot write foreign"),
    ("reading nothing in", 1, &["import", "d", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
    ("reading a directory in", 1, &["import", "d", "foreign"], "cannot read foreign"),
    ("reading in among other files", 1, &["import", "foreign", "a.jsonl"], "thesis.doc"),
    ("a similarity that is none", 2, &["import", "d", "a.jsonl", "--similarity", "l2"], "\"cosine\" or \"dot\""),
    ("moving nothing to another model", 1, &["reembed", "nowhere", "--model", "built-in"], "no collection in nowhere"),
    ("moving to no model", 1, &["reembed", "c"], "--model"),
    ("moving to a model that is none", 1, &["reembed", "c", "--model", "nowhere"], "marcato model pull nowhere"),
    ("adding nothing", 2, &["add", "d"], "<PATHS>"),
    ("adding what is not there", 1, &["add", "d", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
    ("adding a file of no known format", 1, &["add", "d", "file"], "unknown format"),
    ("adding a directory without text", 1, &["add", "d", "foreign"], "foreign holds no"),
    ("adding among other files", 1, &["add", "foreign", "a.jsonl"], "thesis.doc"),
    ("adding to a file", 1, &["add", "file", "a.jsonl"], "file is a file"),
    ("adding to what is damaged", 1, &["add", "damaged", "a.jsonl"], "restore the collection from a copy"),
    ("adding by a model that is none", 1, &["add", "d", "a.jsonl", "--model", "nowhere"], "marcato model pull nowhere"),
    ("batches of nothing", 2, &["add", "d", "a.jsonl", "--batch", "0"], "not in 1..=100000"),
    ("batches that are too large", 2, &["add", "d", "a.jsonl", "--batch", "100001"], "not in 1..=100000"),
    ("an index that is none", 2, &["add", "d", "a.jsonl", "--index", "tree"], "auto, exact, hnsw"),
    ("a language that is none", 2, &["add", "d", "a.jsonl", "--language", "klingon"], "english"),
    ("a command that is none", 2, &["fly"], "'fly'"),
    ("a model's command that is none", 2, &["model", "fly"], "'fly'"),
    ("a shell that is none", 2, &["completions", "tcsh"], "bash"),
    ("measuring nothing", 2, &["eval"], "--data <DIR>"),
    ("measuring what is not there", 1, &["eval", "--data", "nowhere"], "is no test collection"),
    ("measuring other files", 1, &["eval", "--data", "foreign"], "is no test collection"),
    ("judgements of nothing", 2, &["eval", "--qrels", "a.jsonl"], "--run <FILE>"),
    ("judgements that are none", 1, &["eval", "--run", "a.jsonl", "--qrels", "a.jsonl"], "line 1: not judgements"),
    ("a measure that is none", 2, &["eval", "--data", "d", "--measure", "magic"], "no measure \"magic\""),
    ("reranking none", 2, &["eval", "--data", "d", "--rerank", "m", "--rerank-top", "0"], "at least 1"),
];

/// A collection, and what is none.
fn place() -> Place {
    let place = Place::new();
    place.write("a.jsonl", "{\"id\": \"a\", \"text\": \"one\", \"year\": 2011}\n");
    place.run(&["add", "c", "a.jsonl"]).succeeded();
    place.write("file", "x");
    place.write("foreign/thesis.doc", "x");
    place.write("damaged/store.redb", [7; 10_000]);
    fs::create_dir_all(place.path("empty")).unwrap();
    place
}

#[test]
fn each_has_its_message() {
    let place = place();
    let state = || place.run(&["export", "c", "--embeddings"]).succeeded().stdout;
    let before = state();
    let mut wrong = Vec::new();
    for (name, code, arguments, part) in [QUESTIONS, ENCODERS, PLACES].into_iter().flatten() {
        let outcome = place.run(arguments);
        if outcome.code != Some(*code) || !outcome.stderr.contains(part) || outcome.stderr.contains("panicked") {
            wrong.push(format!("{name}: expected {code} and \"{part}\": {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(state(), before);
    for name in ["b", "d", "q"] {
        assert!(!place.path(name).exists(), "{name} was made");
    }
}

#[test]
fn a_collection_keeps_what_it_was_made_with() {
    let place = place();
    for (option, other, same) in [("--language", "german", "english"), ("--index", "hnsw", "auto")] {
        let outcome = place.run(&["add", "c", "a.jsonl", option, other]).succeeded();
        for part in [&format!("{option} is for new collections"), &format!("stays with {same}")] {
            assert!(outcome.stderr.contains(part), "\"{part}\" is not in {outcome:?}");
        }
        assert_eq!(place.run(&["add", "c", "a.jsonl", option, same]).succeeded().stderr, "");
    }
    assert_eq!(place.run(&["add", "c", "a.jsonl"]).succeeded().stderr, "");
    let stats = place.run(&["stats", "c", "--json"]).succeeded().json();
    assert_eq!((&stats[0]["index"], &stats[0]["index_setting"]), (&"exact".into(), &"auto".into()));
}
