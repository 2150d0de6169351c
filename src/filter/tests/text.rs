//! Text to filter and back; errors that point at the character.

use proptest::prelude::*;

use super::super::{Filter, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use super::any_filter;
use crate::error::ErrorKind;

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The message, whose last line has the caret under the character.
fn refused(text: &str) -> String {
    let error = text.parse::<Filter>().map(|filter| panic!("{text} is {filter}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    error.to_string()
}

#[test]
fn a_filter_prints_as_it_is_written() {
    for text in [
        "year >= 2011 and (lang = \"en\" or tag in [\"a\", \"b\"]) and not archived and author exists and title contains \"census\"",
        "a",
        "not a",
        "a = false",
        "a.b.c != -1.5",
        "a < 18446744073709551615",
        "a > -9223372036854775808",
        "when <= date(\"2011-03-27\")",
        "a in []",
        "(a or b) and (c or not (d and e))",
        "(a and b) or c",
        "`a b`.c = \"x\"",
        "`a``b` exists",
        "`not` = 1",
        "metadata.title = \"x\"",
        "a = \"\\\"\\\\\\n\\t\\r\\u{0}\"",
        "dc:title contains \"é\"",
        "größe-2 = 1",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
}

#[test]
fn the_same_may_be_written_otherwise() {
    for (text, canonical) in [
        ("a=1 AND b==2", "a = 1 and b = 2"),
        ("  a\n or\tb ", "a or b"),
        ("not not a", "a"),
        ("a not in [1]", "not a in [1]"),
        ("a not contains 'x'", "not a contains \"x\""),
        ("a not exists", "not a exists"),
        ("((a))", "a"),
        ("a and (b and c)", "a and b and c"),
        ("a or b and c", "a or (b and c)"),
        ("a = true", "a"),
        ("a in [2, 1, 2, 1.0]", "a in [1, 2]"),
        ("a = 1e2", "a = 100.0"),
        ("a = '\\u{1F600}'", "a = \"😀\""),
        ("metadata.year = 1", "year = 1"),
    ] {
        assert_eq!(parse(text).to_string(), canonical, "{text}");
        assert_eq!(parse(text), parse(canonical), "{text}");
    }
}

#[test]
fn errors_point_at_the_character_and_say_what_was_expected() {
    for (text, caret, parts) in [
        ("", 0, &["name of a field", "the end"][..]),
        ("year >=", 7, &["expected a string, a number", "the end"]),
        ("year >= and", 8, &["expected a string, a number", "\"and\""]),
        ("year => 5", 6, &["expected a string, a number", "\">\""]),
        ("year 5", 5, &["=, !=", "\"in\"", "the number 5"]),
        ("5 = year", 0, &["name of a field", "the number 5"]),
        ("lang = en", 7, &["the name en", "\"en\""]),
        ("lang = null", 7, &["not field exists"]),
        ("lang = \"en", 7, &["no closing \""]),
        ("lang = \"e\\q\"", 9, &["unknown escape"]),
        ("lang = '\\u{110000}'", 8, &["unknown escape"]),
        ("lang in \"en\"", 8, &["a list such as", "the string \"en\""]),
        ("lang in [\"en\" \"fr\"]", 14, &["\",\" or \"]\""]),
        ("lang in [\"en\",", 14, &["the end"]),
        ("(a or b", 7, &["\")\"", "the end"]),
        ("a or b)", 6, &["no ( to this )"]),
        ("a b", 2, &["found \"b\""]),
        ("a and or b", 6, &["name of a field"]),
        ("a not = 1", 6, &["\"in\", \"contains\" or \"exists\""]),
        ("a = 1 b = 2", 6, &["\"and\" or \"or\""]),
        ("a. = 1", 2, &["a name after the dot"]),
        ("`a = 1", 0, &["no closing `"]),
        ("a = 1.2.3", 4, &["no number"]),
        ("a = -", 4, &["no number"]),
        ("a = 2011-03-27", 4, &["no number", "date(\"2011-03-27\")"]),
        ("a = 18446744073709551616", 4, &["64 bits"]),
        ("a = 1e999", 4, &["too large"]),
        ("a < true", 0, &["neither less nor greater"]),
        ("a = date(\"27.3.2011\")", 9, &["no date", "2011-03-27"]),
        ("a = date(2011)", 9, &["a date such as"]),
        ("a = 1 & b = 2", 6, &["unexpected \"&\""]),
        ("größe § 1", 6, &["unexpected \"§\""]),
        ("a = 1 and\n  b ==== 2", 6, &["character 17"]),
    ] {
        let message = refused(text);
        for part in parts {
            assert!(message.contains(part), "{text}: \"{part}\" is not in {message}");
        }
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 3, "{message}");
        assert_eq!(lines[2], format!("  {}^", " ".repeat(caret)), "{message}");
    }
    let long = format!("{} and ?", "x = 1 and ".repeat(99).trim_end_matches(" and "));
    let message = refused(&long);
    assert!(message.len() < 400 && message.contains("character 991"), "{message}");
    let line: Vec<&str> = message.lines().collect();
    assert_eq!(line[1].chars().nth(line[2].chars().count() - 1), Some('?'), "{message}");
}

#[test]
fn no_text_is_too_deep_or_too_long_to_be_refused() {
    let parentheses = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    parse(&parentheses(MAX_FILTER_DEPTH));
    for text in [
        parentheses(1000),
        parentheses(100_000),
        "not ".repeat(100_000) + "a",
        "(".repeat(500_000),
        "not (".repeat(1000) + "a",
    ] {
        assert!(refused(&text).contains("nest 64 deep"));
    }
    let list = |n: usize| format!("a in [{}]", vec!["1"; n].join(","));
    parse(&list(MAX_FILTER_TERMS - 1));
    assert!(refused(&list(MAX_FILTER_TERMS + 1)).contains("100000"));
    assert!(refused(&("a or ".repeat(MAX_FILTER_TERMS) + "a")).contains("100000"));
    assert!(refused(&" ".repeat(MAX_FILTER_BYTES + 1)).contains("1048576 bytes"));
}

/// What calls build has the same limits, and drops without recursion that they do not bound.
#[test]
fn no_built_filter_is_too_deep() {
    let mut filter = Filter::field("a").is_true();
    for n in 0..200_000 {
        filter =
            if n % 2 == 0 { filter.and(Filter::field("b").exists()) } else { filter.or(Filter::field("c").exists()) };
    }
    let error = filter.check().unwrap_err();
    assert!(error.to_string().contains("nests more than 64"), "{error}");
    assert!(Filter::all([]).check().is_err() && Filter::any([]).check().is_err());
    for refused in [Filter::field("a").eq(f64::NAN), Filter::field("a").lt(f64::INFINITY), Filter::field("a").ge(true)]
    {
        assert!(refused.clone().check().is_err());
        assert!((!Filter::field("b").exists().or(refused)).check().is_err());
    }
    Filter::field("a").eq(f64::MAX).check().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_filter_comes_back_from_its_text(filter in any_filter()) {
        filter.check().unwrap();
        let text = filter.to_string();
        let parsed: Filter = text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(&parsed, &filter, "{}", text);
    }

    #[test]
    fn no_text_panics(text in r#"([a-c.`"'()\[\],=!<>0-9e\\ -]|and |or |not |in |exists |contains |date|null|é){0,24}"#, any in any::<String>()) {
        let _ = text.parse::<Filter>();
        let _ = any.parse::<Filter>();
    }
}
