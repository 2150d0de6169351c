//! Plain text and Markdown: a passage a paragraph. In Markdown the heading above a paragraph is its title, and a fenced
//! block is one paragraph whatever blank lines it has.

use std::io::Read;

use anyhow::{Context, Result, anyhow};
use marcato::Passage;

use super::Item;

/// The paragraphs of `reader`, whose `name` is used in messages and whose ids are `name#1`, `name#2` and so on.
pub(super) fn passages(name: &str, mut reader: impl Read, markdown: bool) -> Result<Vec<Item>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
            return Ok(vec![Item::Invalid(anyhow!("not valid UTF-8").context(format!("{name}:{line}")))]);
        }
    };
    let passage = |(number, paragraph): (usize, Paragraph)| {
        let mut passage = Passage::new(paragraph.text).id(format!("{name}#{}", number + 1)).field("source", name);
        passage.title = paragraph.title;
        Item::Passage(passage)
    };
    Ok(split(text, markdown).into_iter().enumerate().map(passage).collect())
}

struct Paragraph {
    title: Option<String>,
    text: String,
}

fn split(text: &str, markdown: bool) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut title = None;
    let mut lines: Vec<&str> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut end = |lines: &mut Vec<&str>, title: &Option<String>| {
        let text = lines.join("\n").trim().to_owned();
        if !text.is_empty() {
            paragraphs.push(Paragraph { title: title.clone(), text });
        }
        lines.clear();
    };
    for line in text.lines() {
        let marker = ["```", "~~~"].into_iter().find(|marker| markdown && line.trim_start().starts_with(marker));
        match (fence, marker, heading(line).filter(|_| markdown)) {
            (Some(open), Some(marker), _) if open == marker => {
                lines.push(line);
                fence = None;
            }
            (None, Some(marker), _) => {
                lines.push(line);
                fence = Some(marker);
            }
            (None, None, Some(heading)) => {
                end(&mut lines, &title);
                title = Some(heading.to_owned());
            }
            (None, None, None) if line.trim().is_empty() => end(&mut lines, &title),
            _ => lines.push(line),
        }
    }
    end(&mut lines, &title);
    paragraphs
}

/// The text of an ATX heading: one to six `#` and a space.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim().trim_end_matches('#').trim_end())
}

#[cfg(test)]
mod tests {
    use super::split;

    fn texts(text: &str, markdown: bool) -> Vec<(Option<String>, String)> {
        split(text, markdown).into_iter().map(|paragraph| (paragraph.title, paragraph.text)).collect()
    }

    #[test]
    fn blank_lines_separate_paragraphs() {
        let expected = [(None, "a\nb".to_owned()), (None, "c".to_owned())];
        assert_eq!(texts("\n\na\nb\n \n\nc\n", false), expected);
        assert_eq!(texts("a\r\nb\r\n\r\nc", false), expected);
        assert!(texts(" \n\n", false).is_empty());
    }

    #[test]
    fn markdown_headings_become_titles_and_fences_stay_whole() {
        let text = "# One\nx\n\n## Two ##\n```\n# no heading\n\ny\n```\n\n#hashtag";
        let two = Some("Two".to_owned());
        let expected = [
            (Some("One".to_owned()), "x".to_owned()),
            (two.clone(), "```\n# no heading\n\ny\n```".to_owned()),
            (two, "#hashtag".to_owned()),
        ];
        assert_eq!(texts(text, true), expected);
        assert_eq!(texts("# One", false), [(None, "# One".to_owned())]);
    }
}
