//! Where a value is: a field of a passage by its dotted path.

use std::fmt;

use serde_json::Value;

use crate::atom::Atom;
use crate::passage::Metadata;

/// A field of a passage, as filters and field indexes name it.
///
/// `year` is a field of the metadata, `author.name` one of an object in it. Lists on the way are passed through: of
/// `{"author": [{"name": "A"}, {"name": "B"}]}` the field `author.name` has both values. `id`, `title` and `text` are the
/// passage's own; a field of the metadata with such a name is reached by `metadata.title`.
///
/// ```
/// use marcato::Field;
/// assert_eq!(Field::from("author.name"), Field::path(["author", "name"]));
/// assert_eq!(Field::path(["version 1.0"]).to_string(), "`version 1.0`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Place);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Id,
    Title,
    Text,
    Metadata(Vec<String>),
}

/// What a field is looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: Option<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) metadata: &'a Metadata,
}

/// What is found in a field, one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// The field is there, with anything but null.
    Present,
    /// It has this value, by itself or in a list.
    Atom { atom: Atom<'a>, listed: bool },
}

impl Field {
    /// The field with these names on its path, whatever characters are in them.
    pub fn path<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            names.push(String::new());
        }
        match names.as_slice() {
            [name] if name == "id" => Self(Place::Id),
            [name] if name == "title" => Self(Place::Title),
            [name] if name == "text" => Self(Place::Text),
            [root, _, ..] if root == "metadata" => Self(Place::Metadata(names.split_off(1))),
            _ => Self(Place::Metadata(names)),
        }
    }

    /// The names that [`path`](Self::path) makes it of.
    pub(crate) fn names(&self) -> Vec<&str> {
        match &self.0 {
            Place::Id => vec!["id"],
            Place::Title => vec!["title"],
            Place::Text => vec!["text"],
            Place::Metadata(names) => {
                let own = matches!(names.as_slice(), [name] if ["id", "title", "text"].contains(&name.as_str()));
                let root = own || names.len() > 1 && names.first().is_some_and(|name| name == "metadata");
                root.then_some("metadata").into_iter().chain(names.iter().map(String::as_str)).collect()
            }
        }
    }

    pub(crate) fn is_id(&self) -> bool {
        self.0 == Place::Id
    }

    /// All that the field has in `subject`, as one text that equals another where the values do; `None` if it is not
    /// there, or null.
    pub(crate) fn written(&self, subject: Subject<'_>) -> Option<String> {
        match &self.0 {
            Place::Id => Some(subject.id.to_owned()),
            Place::Title => subject.title.map(str::to_owned),
            Place::Text => Some(subject.text.to_owned()),
            Place::Metadata(names) => {
                let (first, rest) = names.split_first()?;
                let mut found = Vec::new();
                values(subject.metadata.get(first)?, rest, &mut |value| {
                    found.push(value);
                    false
                });
                match found.as_slice() {
                    [] => None,
                    [value] => Some(value.to_string()),
                    several => serde_json::to_string(several).ok(),
                }
            }
        }
    }

    /// Hands what the field has in `subject` to `see`, until it returns true; whether it did.
    pub(crate) fn find<'a>(&self, subject: Subject<'a>, see: &mut dyn FnMut(Found<'a>) -> bool) -> bool {
        let text = match &self.0 {
            Place::Id => Some(subject.id),
            Place::Title => subject.title,
            Place::Text => Some(subject.text),
            Place::Metadata(names) => {
                let Some((first, rest)) = names.split_first() else { return false };
                let Some(value) = subject.metadata.get(first) else { return false };
                return values(value, rest, &mut |value| atoms(value, false, see));
            }
        };
        text.is_some_and(|text| see(Found::Present) || see(Found::Atom { atom: Atom::Text(text), listed: false }))
    }
}

/// Hands each value behind `names`, but for null, to `see`, until it returns true; whether it did. Recursion ends with the
/// value, whose depth is limited.
fn values<'a>(value: &'a Value, names: &[String], see: &mut dyn FnMut(&'a Value) -> bool) -> bool {
    match (value, names.split_first()) {
        (Value::Array(items), Some(_)) => items.iter().any(|item| values(item, names, see)),
        (Value::Object(fields), Some((first, rest))) => fields.get(first).is_some_and(|value| values(value, rest, see)),
        (Value::Null, _) | (_, Some(_)) => false,
        (value, None) => see(value),
    }
}

/// What a value is as a [`Found`], and what the items of a list are.
fn atoms<'a>(value: &'a Value, listed: bool, see: &mut dyn FnMut(Found<'a>) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => see(Found::Present) || items.iter().any(|item| atoms(item, true, see)),
        value => see(Found::Present) || Atom::of(value).is_some_and(|atom| see(Found::Atom { atom, listed })),
    }
}

impl From<&str> for Field {
    /// The names are what is between the dots.
    fn from(path: &str) -> Self {
        Self::path(path.split('.'))
    }
}

impl From<String> for Field {
    fn from(path: String) -> Self {
        Self::from(path.as_str())
    }
}

impl fmt::Display for Field {
    /// As in the text of a filter: names that are no words are between backticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().into_iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            let mut characters = name.chars();
            let is_word = characters.next().is_some_and(starts_name) && characters.all(continues_name);
            if is_word && !KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword)) {
                f.write_str(name)?;
            } else {
                write!(f, "`{}`", name.replace('`', "``"))?;
            }
        }
        Ok(())
    }
}

/// Whether a name may begin with it outside of backticks.
pub(crate) fn starts_name(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

/// Whether a name may go on with it outside of backticks.
pub(crate) fn continues_name(character: char) -> bool {
    character.is_alphanumeric() || ['_', '-', ':'].contains(&character)
}

/// Words that the language of filters has another use for, in whatever case.
pub(crate) const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "exists", "contains", "true", "false", "null"];
