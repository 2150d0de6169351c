//! What is read and written, and what is refused with its file and line.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::eval::{Dataset, Qrels, Run};
use crate::{ErrorKind, Passage, Result};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn ids(run: &Run, query: &str) -> Vec<String> {
    run.ranking(query).iter().map(|ranked| ranked.id.clone()).collect()
}

#[test]
fn qrels_in_every_form_are_the_same() {
    let expected = Qrels::parse_trec("q1 0 a 2\nq1 0 b -1\nq2 0 a 0\n").unwrap();
    let forms = folder(&[
        ("beir.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t-1\n\nq2\ta\t0\n"),
        ("bare.tsv", "q1\ta\t2\r\nq1\tb\t-1\r\nq2\ta\t0"),
        ("ms_marco.tsv", "\u{feff}q1\t0\ta\t2\nq1\t0\tb\t-1\nq2\t0\ta\t0\n"),
        ("trec.txt", "q1  0 a   2\nq1 0 b -1 \nq2 Q0 a 0\nq2 0 a 0\n"),
    ]);
    for name in ["beir.tsv", "bare.tsv", "ms_marco.tsv", "trec.txt"] {
        assert_eq!(Qrels::read(forms.path().join(name)).unwrap(), expected, "{name}");
    }
    let mut written = Vec::new();
    expected.write_trec(&mut written).unwrap();
    assert_eq!(Qrels::parse_trec(std::str::from_utf8(&written).unwrap()).unwrap(), expected);
    assert_eq!(expected.len(), 2);
    assert_eq!((expected.grade("q1", "b"), expected.grade("q1", "c"), expected.grade("q3", "a")), (-1, 0, 0));
}

#[test]
fn malformed_qrels_name_file_and_line() {
    for (content, line, why) in [
        ("h\th\th\nq\td", 2, "expected query"),
        ("h\th\th\nq\td\tx", 2, "whole number"),
        ("h\th\th\nq\td\t1.5", 2, "whole number"),
        ("q\td\t1.5\n", 1, "whole number"),
        ("h\th\th\nq\td\t1\t2", 2, "expected query"),
        ("q 0 d 1\nq 0 d\n", 2, "white space"),
        ("q 0 d 1\n\nq 0 d 2\n", 3, "graded 1 and 2"),
        ("h\th\th\n\td\t1", 2, "an id is empty"),
        ("query,passage,grade\n", 1, "not judgements"),
        ("q 0 d 99999999999999999999\n", 1, "whole number"),
    ] {
        let folder = folder(&[("qrels", content)]);
        let path = folder.path().join("qrels");
        let error = Qrels::read(&path).unwrap_err();
        assert_eq!(error.path(), Some(path.as_path()));
        let error = error.to_string();
        assert!(error.contains(&format!("qrels line {line}: ")) && error.contains(why), "{content:?}: {error}");
    }
    let error = Qrels::parse_tsv("h\th\th\nq\td").unwrap_err().to_string();
    assert!(error.starts_with("qrels line 2: "), "{error}");
    assert_eq!(Qrels::read("no/such/qrels").unwrap_err().kind(), ErrorKind::NotFound);
    let error = Qrels::read(folder(&[]).path()).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
}

#[test]
fn runs_in_every_form() {
    let forms = folder(&[
        ("trec", "q Q0 a 1 0.5 t\nq\tQ0\tb\t2\t7e-1\tt\nr 0 a 9 -1 t\n"),
        ("ranks", "q\tb\t1\nq\ta\t2\nr\ta\t1\n"),
        ("texts", "q\tb\tthe query\tthe text of b\nq\ta\tthe query\t\nr\ta\tanother query\ta text\n"),
    ]);
    for name in ["trec", "ranks", "texts"] {
        let run = Run::read(forms.path().join(name)).unwrap();
        assert_eq!(
            (ids(&run, "q"), ids(&run, "r")),
            (vec!["b".to_owned(), "a".to_owned()], vec!["a".to_owned()]),
            "{name}"
        );
        assert_eq!((run.len(), run.ranking("s").len()), (2, 0));
    }
}

#[test]
fn a_run_that_is_written_reads_back_equal() {
    let mut run = Run::default();
    let scores = [f32::MIN, -1.0, -0.0, 0.0, f32::MIN_POSITIVE, 1e-45, 0.1, 1.0 / 3.0, 16_777_217.0, 1e30, f32::MAX];
    run.insert("q", scores.iter().enumerate().map(|(n, score)| (format!("d{n}"), *score))).unwrap();
    run.insert("r", [("\u{4e00}", 1.0)]).unwrap();
    let mut written = Vec::new();
    run.write_trec(&mut written, "tag").unwrap();
    assert_eq!(Run::parse_trec(std::str::from_utf8(&written).unwrap()).unwrap(), run);
    for (query, id, tag) in [("q q", "d", "t"), ("q", "d\td", "t"), ("q", "d", "t t"), ("q", "d", "")] {
        let mut run = Run::default();
        run.insert(query, [(id, 1.0)]).unwrap();
        let error = run.write_trec(Vec::new(), tag).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
    }
}

#[test]
fn malformed_runs_name_file_and_line() {
    for (content, line, why) in [
        ("q Q0 d 1 0.5\n", 1, "not a run"),
        ("q Q0 d 1 0.5 t\nq Q0 d2 1 0.5\n", 2, "expected query, Q0"),
        ("q Q0 d 1 nan t\n", 1, "\"nan\" is not a finite number"),
        ("q Q0 d 1 inf t\n", 1, "not a finite number"),
        ("q Q0 d 1 1e39 t\n", 1, "not a finite number"),
        ("q Q0 d 1 high t\n", 1, "\"high\" is not a finite number"),
        ("q Q0 d 1 0.5 t\nq Q0 d 2 0.4 t\n", 2, "passage \"d\" is ranked twice for query \"q\""),
        ("q\td\t0\n", 1, "the rank \"0\""),
        ("q\td\tfirst\n", 1, "the rank \"first\""),
        ("\td\t1\n", 1, "an id is empty"),
    ] {
        let folder = folder(&[("run", content)]);
        let error = Run::read(folder.path().join("run")).unwrap_err().to_string();
        assert!(error.contains(&format!("run line {line}: ")) && error.contains(why), "{content:?}: {error}");
    }
    let folder = folder(&[]);
    fs::write(folder.path().join("run"), b"q Q0 d 1 0.5 t\nq Q0 \xff 1 0.5 t\n").unwrap();
    let error = Run::read(folder.path().join("run")).unwrap_err().to_string();
    assert!(error.contains("run line 2: not valid UTF-8 at byte 6"), "{error}");
}

#[test]
fn rankings_that_are_none_are_refused() {
    let refused = |query: &str, ranking: &[(&str, f32)]| {
        let mut run = Run::default();
        run.insert("known", [("a", 1.0)]).unwrap();
        let error = run.insert(query, ranking.iter().copied()).unwrap_err();
        assert_eq!((error.kind(), run.len()), (ErrorKind::Misuse, 1));
        error.to_string()
    };
    assert!(refused("q", &[("a", f32::NAN)]).contains("query \"q\": passage \"a\" has the score NaN"));
    assert!(refused("q", &[("a", f32::NEG_INFINITY)]).contains("-inf"));
    assert!(refused("q", &[("a", 1.0), ("a", 2.0)]).contains("ranked twice"));
    assert!(refused("q", &[("", 1.0)]).contains("empty id"));
    assert!(refused("", &[]).contains("empty"));
    assert!(refused("known", &[]).contains("already"));
}

#[test]
fn a_query_is_no_answer_to_itself() {
    let mut run = Run::parse_trec("a Q0 a 1 2 t\na Q0 b 2 1 t\nb Q0 a 1 1 t\n").unwrap();
    run.remove_identical_ids();
    assert_eq!((ids(&run, "a"), ids(&run, "b")), (vec!["b".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn reranking_moves_the_first_and_keeps_the_rest_behind() {
    let run = Run::parse_trec("q Q0 a 1 4 t\nq Q0 b 2 3 t\nq Q0 c 3 2 t\nq Q0 d 4 1 t\nr Q0 a 1 1 t\n").unwrap();
    let by_id = |_: &str, ranking: &[crate::eval::Ranked]| -> Result<Vec<f32>> {
        Ok(ranking.iter().map(|ranked| f32::from(ranked.id.as_bytes()[0]) - 1e6).collect())
    };
    assert_eq!(ids(&run.rerank(2, by_id).unwrap(), "q"), ["b", "a", "c", "d"]);
    assert_eq!(ids(&run.rerank(9, by_id).unwrap(), "q"), ["d", "c", "b", "a"]);
    assert_eq!(run.rerank(2, by_id).unwrap().ranking("q")[0].score, f32::from(b'b') - 1e6);
    let error = run.rerank(2, |_, _| Ok(vec![1.0])).unwrap_err().to_string();
    assert!(error.contains("query \"q\": 2 passages were given 1 scores"), "{error}");
    assert!(run.rerank(1, |_, _| Ok(vec![f32::NAN])).unwrap_err().to_string().contains("NaN"));
}

const BEIR: [(&str, &str); 4] = [
    (
        "corpus.jsonl",
        "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"one\", \"metadata\": {}}\n{\"_id\": 2, \"title\": \"\", \"text\": \"two\"}\n",
    ),
    ("queries.jsonl", "{\"_id\": \"q1\", \"text\": \"first\"}\n{\"_id\": \"q2\", \"text\": \"second\"}\n"),
    ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n"),
    ("qrels/dev.tsv", "query-id\tcorpus-id\tscore\nq2\t2\t1\n"),
];

const MS_MARCO: [(&str, &str); 5] = [
    ("collection.tsv", "7\tseven\n8\teight\n"),
    ("queries.dev.small.tsv", "1\twhat is seven\n2\twhat is eight\n"),
    ("qrels.dev.small.tsv", "1\t0\t7\t1\n"),
    ("queries.tsv", "1\tany\n"),
    ("top1000.dev.small.tsv", "1\t7\twhat is seven\tseven\n1\t8\twhat is seven\teight\n2\t7\twhat is eight\tseven\n"),
];

fn passages(dataset: &Dataset) -> Vec<Passage> {
    dataset.passages().unwrap().map(Result::unwrap).collect()
}

#[test]
fn datasets_are_read_in_both_layouts() {
    let beir = folder(&BEIR);
    let test = Dataset::open(beir.path(), "test").unwrap();
    assert_eq!(test.queries().collect::<Vec<_>>(), [("q1", "first")]);
    assert_eq!((test.query("q1"), test.query("q2")), (Some("first"), None));
    assert_eq!(passages(&test), [Passage::new("one").id("d1").title("T"), Passage::new("two").id("2")]);
    assert_eq!(Dataset::open(beir.path(), "dev").unwrap().qrels().grade("q2", "2"), 1);

    for without in ["nothing", "collection.tsv"] {
        let ms_marco = folder(&MS_MARCO.into_iter().filter(|(name, _)| *name != without).collect::<Vec<_>>());
        let dev = Dataset::open(ms_marco.path(), "dev.small").unwrap();
        assert_eq!(dev.queries().collect::<Vec<_>>(), [("1", "what is seven")]);
        assert_eq!(passages(&dev), [Passage::new("seven").id("7"), Passage::new("eight").id("8")], "{without}");
    }
}

#[test]
fn datasets_that_are_none_are_refused() {
    let changed = |name: &str, content: Option<&str>| {
        let files = BEIR.into_iter().filter(|(known, _)| *known != name);
        folder(&files.chain(content.map(|content| (name, content))).collect::<Vec<_>>())
    };
    let refused = |folder: &Path, split: &str, kind: ErrorKind, parts: &[&str]| {
        let error = Dataset::open(folder, split).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.path().is_some(), "{error}");
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    };
    use ErrorKind::{Misuse, NotFound};
    refused(Path::new("no/such/folder"), "test", NotFound, &["no/such/folder", "corpus.jsonl"]);
    refused(changed("corpus.jsonl", None).path(), "test", NotFound, &["no test collection"]);
    refused(changed("", None).path(), "train", NotFound, &["no split \"train\"", "dev, test"]);
    refused(changed("queries.jsonl", None).path(), "test", NotFound, &["queries.jsonl"]);
    refused(changed("qrels/test.tsv", Some("query-id\tcorpus-id\tscore\n")).path(), "test", Misuse, &["no judgement"]);
    refused(
        changed("qrels/test.tsv", Some("h\th\th\nq9\td1\t1\n")).path(),
        "test",
        Misuse,
        &["\"q9\"", "queries.jsonl"],
    );
    for (content, parts) in [
        (
            "{\"_id\": \"q1\", \"text\": \"x\"}\n{\"_id\": \"q1\", \"text\": \"y\"}\n",
            ["queries.jsonl line 2", "second time"],
        ),
        ("{\"_id\": \"q1\"}\n", ["queries.jsonl line 1", "missing field `text`"]),
        ("\n{\"_id\": \"q1\", oops}\n", ["queries.jsonl line 2", "column"]),
        ("{\"_id\": [1], \"text\": \"\"}\n", ["queries.jsonl line 1", "neither a string nor"]),
        ("{\"_id\": \"\", \"text\": \"\"}\n", ["queries.jsonl line 1", "id is empty"]),
    ] {
        refused(changed("queries.jsonl", Some(content)).path(), "test", Misuse, &parts);
    }
    let broken = changed("corpus.jsonl", Some("{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"b\"}\n"));
    let read: Vec<_> = Dataset::open(broken.path(), "test").unwrap().passages().unwrap().collect();
    assert!(read[0].is_ok());
    assert!(read[1].as_ref().unwrap_err().to_string().contains("corpus.jsonl line 2: "));
    let broken = folder(&[("collection.tsv", "7\tseven\n8 eight\n"), MS_MARCO[1], MS_MARCO[2]]);
    let read: Vec<_> = Dataset::open(broken.path(), "dev.small").unwrap().passages().unwrap().collect();
    assert!(read[1].as_ref().unwrap_err().to_string().contains("collection.tsv line 2: "));
}
