//! The language whose words are searched.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What language a collection's words are in: it decides how they are reduced to stems, so that "inhabitants" finds
/// "inhabitant", and which little words are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "languages by their names")]
pub enum Language {
    /// Any, or several: words count as they are written, but for case and accents.
    None,
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

/// Every language with its name.
const NAMES: [(Language, &str); 19] = [
    (Language::None, "none"),
    (Language::Arabic, "arabic"),
    (Language::Danish, "danish"),
    (Language::Dutch, "dutch"),
    (Language::English, "english"),
    (Language::Finnish, "finnish"),
    (Language::French, "french"),
    (Language::German, "german"),
    (Language::Greek, "greek"),
    (Language::Hungarian, "hungarian"),
    (Language::Italian, "italian"),
    (Language::Norwegian, "norwegian"),
    (Language::Portuguese, "portuguese"),
    (Language::Romanian, "romanian"),
    (Language::Russian, "russian"),
    (Language::Spanish, "spanish"),
    (Language::Swedish, "swedish"),
    (Language::Tamil, "tamil"),
    (Language::Turkish, "turkish"),
];

impl Language {
    /// Its English name in lower case, such as `"german"`; or `"none"`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(language, _)| *language == self).map_or("none", |(_, name)| name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(language, _)| *language).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            Error::misuse(format!("language \"{name}\" is not known; use one of {}", known.join(", ")))
        })
    }
}
