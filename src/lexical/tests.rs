//! The lexical view against BM25 written out, and against texts that nobody would type.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::query::{Piece, pieces};
use super::{Analysis, Document, LexicalIndex};
use crate::candidate::Candidate;
use crate::error::ErrorKind;
use crate::language::Language;
use crate::passage::RowId;

/// Repeatable numbers: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Words of which the first are the most frequent.
    fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| format!("w{}", self.below(30) * self.below(30) / 30)).collect::<Vec<_>>().join(" ")
    }
}

fn document(row: u64, text: &str) -> Document {
    Document { row: RowId(row), title: None, text: text.to_owned() }
}

fn update(index: &mut LexicalIndex, removed: &[u64], added: &[(u64, &str)]) {
    let removed: Vec<RowId> = removed.iter().copied().map(RowId).collect();
    index.update(&removed, added.iter().map(|(row, text)| Ok(document(*row, text))), added.len()).unwrap();
}

fn of(language: Language, texts: &[&str]) -> LexicalIndex {
    let mut index = LexicalIndex::new(language).unwrap();
    let added: Vec<(u64, &str)> = (0..).zip(texts.iter().copied()).collect();
    update(&mut index, &[], &added);
    index
}

fn rows(found: &[Candidate]) -> Vec<u64> {
    found.iter().map(|found| found.row.0).collect()
}

/// The rows found, ascending.
fn found(index: &LexicalIndex, query: &str) -> Vec<u64> {
    let mut rows = rows(&index.searcher().search(query, 100, None).unwrap());
    rows.sort_unstable();
    rows
}

/// Robertson's BM25 as Lucene has it, term by term; `b` is how much length counts.
fn bm25(texts: &BTreeMap<u64, String>, query: &str, b: f32) -> Vec<(u64, f32)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let passages = texts.len() as f32;
    let mean = texts.values().map(|text| words(text).len()).sum::<usize>() as f32 / passages;
    let mut scores: BTreeMap<u64, f32> = BTreeMap::new();
    for word in words(query) {
        let counts: Vec<(u64, f32, f32)> = texts
            .iter()
            .map(|(row, text)| {
                (*row, words(text).iter().filter(|w| **w == word).count() as f32, words(text).len() as f32)
            })
            .filter(|(_, count, _)| *count > 0.0)
            .collect();
        let frequency = counts.len() as f32;
        let rarity = (1.0 + (passages - frequency + 0.5) / (frequency + 0.5)).ln();
        for (row, count, length) in counts {
            *scores.entry(row).or_default() += rarity * 2.2 * count / (count + 1.2 * (1.0 - b + b * length / mean));
        }
    }
    let mut ranked: Vec<(u64, f32)> = scores.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// Texts of up to 39 words, whose lengths are kept exactly, in many segments.
fn sample(dice: &mut Dice) -> (LexicalIndex, BTreeMap<u64, String>) {
    let mut index = LexicalIndex::new(Language::None).unwrap();
    let mut texts = BTreeMap::new();
    for batch in 0..13u64 {
        let added: Vec<(u64, String)> = (batch * 30..(batch + 1) * 30)
            .map(|row| {
                let words = 1 + dice.below(39);
                (row, dice.text(words))
            })
            .collect();
        update(&mut index, &[], &added.iter().map(|(row, text)| (*row, text.as_str())).collect::<Vec<_>>());
        texts.extend(added);
    }
    (index, texts)
}

#[test]
fn scores_and_order_are_those_of_bm25() {
    let mut dice = Dice(1);
    let (index, texts) = sample(&mut dice);
    let mut controls = 0;
    for _ in 0..60 {
        let words = 1 + dice.below(6);
        let query = dice.text(words);
        let all = bm25(&texts, &query, 0.75);
        for k in [1, 10, 1000] {
            let found = index.searcher().search(&query, k, None).unwrap();
            let expected = &all[..k.min(all.len())];
            assert_eq!(found.len(), expected.len());
            for (found, (_, score)) in found.iter().zip(expected) {
                assert!((found.score - score).abs() < 1e-4 * score, "{query}: {found:?}, not {score}");
            }
            // Where rounding cannot have swapped them, the order is the same.
            for (at, found) in found.iter().enumerate() {
                let alone = all.iter().filter(|(_, score)| (score - all[at].1).abs() < 1e-4 * score).count() == 1;
                assert!(!alone || found.row.0 == all[at].0, "{query}");
            }
        }
        // A BM25 that does not know of lengths is told apart.
        let blind = bm25(&texts, &query, 0.0);
        let found = index.searcher().search(&query, 1000, None).unwrap();
        controls += usize::from(found.iter().zip(&blind).any(|(found, (_, score))| (found.score - score).abs() > 0.01));
    }
    assert_eq!(controls, 60);
}

/// Equal scores come by row, however rows are spread over segments, and wherever the list is cut.
#[test]
fn ties_are_broken_by_row() {
    let mut index = LexicalIndex::new(Language::None).unwrap();
    for rows in [[40, 41, 42], [0, 30, 2], [20, 1, 22], [10, 11, 12]] {
        update(&mut index, &[], &rows.map(|row| (row, "same words")));
    }
    let all = [0, 1, 2, 10, 11, 12, 20, 22, 30, 40, 41, 42];
    for k in 1..=12 {
        assert_eq!(rows(&index.searcher().search("words", k, None).unwrap()), all[..k]);
    }
}

#[test]
fn only_allowed_rows_are_found_and_as_many_as_there_are() {
    let mut dice = Dice(2);
    let (index, texts) = sample(&mut dice);
    for divisor in [1, 7, 100, 1000] {
        let query = dice.text(3);
        let allowed = |row: RowId| row.0 % divisor == 3 % divisor;
        let found = index.searcher().search(&query, 20, Some(&allowed)).unwrap();
        let mut expected = bm25(&texts, &query, 0.75);
        expected.retain(|(row, _)| allowed(RowId(*row)));
        assert_eq!(found.len(), expected.len().min(20));
        assert!(found.iter().all(|found| allowed(found.row)));
    }
}

/// Rows come, go and are never found again, through many merges; a searcher goes on seeing what it saw.
#[test]
fn rows_come_and_go() {
    let mut dice = Dice(3);
    let mut index = LexicalIndex::new(Language::None).unwrap();
    let mut texts: BTreeMap<u64, String> = BTreeMap::new();
    let mut next = 0;
    let before = index.searcher();
    for _ in 0..60 {
        let added: Vec<(u64, String)> = (0..dice.below(20)).map(|n| (next + n, dice.text(8))).collect();
        next += 20;
        let removed: Vec<u64> = texts.keys().copied().filter(|_| dice.below(5) == 0).collect();
        texts.retain(|row, _| !removed.contains(row));
        update(&mut index, &removed, &added.iter().map(|(row, text)| (*row, text.as_str())).collect::<Vec<_>>());
        texts.extend(added);
        assert_eq!(index.len(), texts.len() as u64);
        let word = dice.text(1);
        let expected = texts.iter().filter(|(_, text)| text.split(' ').any(|w| w == word)).map(|(row, _)| *row);
        let mut rows = rows(&index.searcher().search(&word, 10_000, None).unwrap());
        rows.sort_unstable();
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
    assert!(before.search("w0", 10, None).unwrap().is_empty());
}

#[test]
fn a_view_comes_back_from_its_bytes_and_goes_on() {
    let mut dice = Dice(4);
    let (mut index, _) = sample(&mut dice);
    update(&mut index, &[1, 2, 3, 100], &[]);
    let bytes = index.to_bytes().unwrap();
    let mut again = LexicalIndex::from_bytes(&bytes, Language::None, index.len()).unwrap();
    for _ in 0..20 {
        let query = dice.text(3);
        let ask = |index: &LexicalIndex| index.searcher().search(&query, 50, None).unwrap();
        assert_eq!(ask(&again), ask(&index));
    }
    for index in [&mut index, &mut again] {
        update(index, &[5], &[(1000, "fresh words")]);
        assert_eq!(rows(&index.searcher().search("fresh", 5, None).unwrap()), [1000]);
    }
    // What a long history leaves behind is not carried along for ever.
    for row in 2000..2100 {
        update(&mut again, &[row - 1], &[(row, "fresh words")]);
    }
    assert!(again.to_bytes().unwrap().len() < 2 * bytes.len());
}

#[test]
fn bytes_that_are_no_view_are_refused() {
    let index = of(Language::English, &["some words", "some more"]);
    let bytes = index.to_bytes().unwrap();
    for length in [1, 3, 4, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(LexicalIndex::from_bytes(&bytes[..length], Language::English, 2).is_err(), "{length}");
    }
    assert!(LexicalIndex::from_bytes(&[], Language::English, 0).is_err());
    let wrong = LexicalIndex::from_bytes(&bytes, Language::English, 3).err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::Corrupt);
    assert!(LexicalIndex::from_bytes(&bytes, Language::English, 2).is_ok());
    assert_ne!(LexicalIndex::engine(Language::English), LexicalIndex::engine(Language::German));
}

#[test]
fn english_words_are_found_by_their_stems() {
    let index =
        of(Language::English, &["The inhabitants of London", "Runs, running; RUNNER", "Café crème", "it's 9,787,426"]);
    assert_eq!(found(&index, "inhabitant"), [0]);
    assert_eq!(found(&index, "run"), [1]);
    assert_eq!(found(&index, "LONDON?"), [0]);
    assert_eq!(found(&index, "cafe"), [2]);
    assert_eq!(found(&index, "CAFÉ"), [2]);
    assert_eq!(found(&index, "787"), [3]);
    assert_eq!(found(&index, "nothing of it"), [0; 0]);
}

#[test]
fn another_language_has_its_own_stems_and_none_has_none() {
    let texts = ["Die Häuser der Städte", "die houses of cities"];
    assert_eq!(found(&of(Language::German, &texts), "Haus"), [0]);
    assert_eq!(found(&of(Language::German, &texts), "Stadt"), [0]);
    assert_eq!(found(&of(Language::English, &texts), "Haus Stadt"), [0; 0]);
    assert_eq!(found(&of(Language::English, &texts), "house city"), [1]);
    assert_eq!(found(&of(Language::None, &texts), "house city"), [0; 0]);
    assert_eq!(found(&of(Language::None, &texts), "die"), [0, 1]);
}

#[test]
fn phrases_must_occur_and_prefixes_begin_words() {
    let index = of(
        Language::English,
        &[
            "the census of London was taken",
            "London took a census of its own",
            "censorship and computation",
            "of London the census",
        ],
    );
    assert_eq!(found(&index, "\"census of London\""), [0]);
    assert_eq!(found(&index, "\"census of London\" computation"), [0]);
    assert_eq!(found(&index, "\"London census\""), [0; 0]);
    assert_eq!(found(&index, "\"census\""), [0, 1, 3]);
    assert_eq!(found(&index, "\"\" census"), [0, 1, 3]);
    assert_eq!(found(&index, "cens*"), [0, 1, 2, 3]);
    assert_eq!(found(&index, "CENSO*"), [2]);
    // By the word as it is written, not by its stem, which is shorter than this.
    assert_eq!(found(&index, "computat*"), [2]);
    assert_eq!(found(&index, "computatx*"), [0; 0]);
    // Stop words count where they are quoted, or alone.
    assert_eq!(found(&index, "\"of London the\""), [3]);
    assert_eq!(found(&index, "the of own"), [1]);
    assert_eq!(found(&index, "the of"), [0, 1, 3]);
    // A mark that is never closed is only a mark, and a star by itself only a star.
    assert_eq!(found(&index, "\"census"), [0, 1, 3]);
    assert_eq!(found(&index, "* ** census"), [0, 1, 3]);
    // The rarer the prefix, the more it counts.
    let best = index.searcher().search("cens* censo*", 1, None).unwrap();
    assert_eq!(rows(&best), [2]);
}

#[test]
fn titles_are_searched_and_no_phrase_crosses_their_end() {
    let mut index = LexicalIndex::new(Language::English).unwrap();
    let passage = Document { row: RowId(7), title: Some("London".into()), text: "census results".into() };
    index.update(&[], [Ok(passage)].into_iter(), 1).unwrap();
    assert_eq!(found(&index, "london"), [7]);
    assert_eq!(found(&index, "\"census results\""), [7]);
    assert_eq!(found(&index, "\"london census\""), [0; 0]);
}

#[test]
fn a_query_is_taken_apart() {
    let words = |text| Piece::Word(text);
    assert_eq!(pieces("a b"), [words("a"), words("b")]);
    assert_eq!(pieces("a \"b c\" d*"), [words("a"), Piece::Phrase("b c"), Piece::Prefix("d")]);
    assert_eq!(pieces("\"a\"\"b\""), [Piece::Phrase("a"), Piece::Phrase("b")]);
    assert_eq!(pieces("a\"b"), [words("a"), words("b")]);
    assert_eq!(pieces("* -* a**"), [words("*"), words("-*"), words("a**")]);
    assert_eq!(pieces(""), []);
    assert_eq!(
        pieces("title:x AND (y OR -z) ~ ^ \\"),
        ["title:x", "AND", "(y", "OR", "-z)", "~", "^", "\\"].map(words)
    );
}

#[test]
fn no_text_is_a_wrong_query_or_passage() {
    let long = "x".repeat(300);
    let many: String = (0..200_000).map(|n| format!("{n} ")).collect();
    let texts =
        ["", " ", "\0", "\u{feff}", "🙂🙂", "\u{301}\u{301}", "the of and", &long, "中文句子", "\u{202e}abc", &many];
    let index = of(Language::English, &texts);
    assert_eq!(index.len(), texts.len() as u64);
    for query in
        texts.into_iter().chain(["\"", "\"\"\"", "\"the of\"", "é*", "\u{10ffff}*", "z\u{10ffff}*", "\" * \"*"])
    {
        index.searcher().search(query, 10, None).unwrap();
    }
    assert_eq!(found(&index, "99999"), [10]);
    assert!(index.searcher().search("abc", 0, None).unwrap().is_empty());
    assert_eq!(rows(&index.searcher().search("abc", usize::MAX, None).unwrap()), [9]);
}

#[test]
fn matches_are_where_the_words_are() {
    let matches = |language, query, text: &str| -> Vec<String> {
        let ranges = Analysis::new(language).matches(query, text);
        ranges.into_iter().map(|range| text[range].to_owned()).collect()
    };
    let text = "Zürich's Inhabitants: the census of 2011";
    assert_eq!(
        matches(Language::English, "inhabitant \"census of\" zurich", text),
        ["Zürich", "Inhabitants", "census", "of"]
    );
    assert_eq!(matches(Language::English, "cens* 20*", text), ["census", "2011"]);
    assert_eq!(matches(Language::None, "inhabitant", text), [""; 0]);
    assert_eq!(matches(Language::English, "", text), [""; 0]);
}
