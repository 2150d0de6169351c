//! Plain text and Markdown: a passage a paragraph. In Markdown the heading above a paragraph is its title, and a fenced
//! block is one paragraph whatever blank lines it has.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, anyhow};
use marcato::{MAX_TEXT_BYTES, Passage};

use super::Item;

/// The paragraphs of a file, read line by line, as passages with the ids `name#1`, `name#2` and so on.
pub(super) struct Paragraphs<R> {
    name: String,
    reader: R,
    splitter: Splitter,
    lines: usize,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Paragraphs<R> {
    /// The `name` is used in messages and ids.
    pub(super) fn new(name: String, reader: R, markdown: bool) -> Self {
        let splitter = Splitter { markdown, ..Splitter::default() };
        Self { name, reader, splitter, lines: 0, given: 0, ended: false }
    }

    /// The paragraph that the next line ends, if it ends one; or why that line is no text.
    fn line(&mut self) -> Result<Result<Option<Paragraph>>> {
        let mut line = Vec::new();
        let most = MAX_TEXT_BYTES - self.splitter.text.len().min(MAX_TEXT_BYTES);
        let mut reader = self.reader.by_ref().take(most as u64 + 1);
        reader.read_until(b'\n', &mut line).with_context(|| format!("cannot read {}", self.name))?;
        if line.is_empty() {
            self.ended = true;
            return Ok(Ok(self.splitter.end()));
        }
        self.lines += 1;
        if line.len() > most {
            return Ok(Err(anyhow!("a paragraph of more than {MAX_TEXT_BYTES} bytes; divide it by blank lines")));
        }
        let Ok(line) = std::str::from_utf8(&line) else { return Ok(Err(anyhow!("not valid UTF-8"))) };
        let line = if self.lines == 1 { line.trim_start_matches('\u{feff}') } else { line };
        let line = line.strip_suffix('\n').unwrap_or(line);
        Ok(Ok(self.splitter.push(line.strip_suffix('\r').unwrap_or(line))))
    }
}

impl<R: BufRead> Iterator for Paragraphs<R> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.line() {
                Ok(Ok(Some(Paragraph { title, text }))) => {
                    self.given += 1;
                    let id = format!("{}#{}", self.name, self.given);
                    let mut passage = Passage::new(text).id(id).field("source", self.name.as_str());
                    passage.title = title;
                    return Some(Ok(Item::Passage(passage)));
                }
                Ok(Ok(None)) => {}
                // What comes after a line that is no text cannot be told apart into paragraphs.
                Ok(Err(error)) => {
                    self.ended = true;
                    return Some(Ok(Item::Invalid(error.context(format!("{}:{}", self.name, self.lines)))));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

struct Paragraph {
    title: Option<String>,
    text: String,
}

/// Where a text is between its paragraphs.
#[derive(Default)]
struct Splitter {
    markdown: bool,
    title: Option<String>,
    /// The lines of the paragraph so far.
    text: String,
    fence: Option<&'static str>,
}

impl Splitter {
    /// Takes a line, and gives the paragraph that it ends.
    fn push(&mut self, line: &str) -> Option<Paragraph> {
        let marker = ["```", "~~~"].into_iter().find(|marker| self.markdown && line.trim_start().starts_with(marker));
        match (self.fence, marker, heading(line).filter(|_| self.markdown)) {
            (Some(open), Some(marker), _) if open == marker => self.fence = None,
            (None, Some(marker), _) => self.fence = Some(marker),
            (None, None, Some(heading)) => {
                let paragraph = self.end();
                self.title = Some(heading.to_owned());
                return paragraph;
            }
            (None, None, None) if line.trim().is_empty() => return self.end(),
            _ => {}
        }
        self.text.push_str(line);
        self.text.push('\n');
        None
    }

    /// The paragraph that the end of the text ends.
    fn end(&mut self) -> Option<Paragraph> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        (!text.is_empty()).then(|| Paragraph { title: self.title.clone(), text: text.to_owned() })
    }
}

/// The text of an ATX heading: one to six `#` and a space.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim().trim_end_matches('#').trim_end())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use marcato::Passage;

    use super::{Item, MAX_TEXT_BYTES, Paragraphs};

    fn passages(text: &[u8], markdown: bool) -> (Vec<Passage>, Option<String>) {
        let (mut passages, mut invalid) = (Vec::new(), None);
        for item in Paragraphs::new("a".to_owned(), text, markdown) {
            match item.unwrap() {
                Item::Passage(passage) => passages.push(passage),
                Item::Invalid(error) => invalid = Some(format!("{error:#}")),
            }
        }
        (passages, invalid)
    }

    fn texts(text: &str, markdown: bool) -> Vec<(Option<String>, String)> {
        let (passages, invalid) = passages(text.as_bytes(), markdown);
        assert_eq!(invalid, None);
        passages.into_iter().map(|passage| (passage.title, passage.text)).collect()
    }

    #[test]
    fn what_is_no_text_ends_a_file() {
        let (given, invalid) = passages(b"\xef\xbb\xbfa\n\nb\n\xff\n\nc", false);
        assert_eq!(given.iter().map(|passage| passage.text.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(given[0].id.as_ref().unwrap().as_str(), "a#1");
        assert_eq!(invalid.unwrap(), "a:4: not valid UTF-8");
        let mut large = "words of it\n".repeat(MAX_TEXT_BYTES / 12).into_bytes();
        assert_eq!(passages(&large, false).0.len(), 1);
        large.extend(b"more of it\n");
        assert!(passages(&large, false).1.unwrap().contains("divide it"));
        large.insert(12, b'\n');
        assert_eq!(passages(&large, false).0.len(), 2);
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
