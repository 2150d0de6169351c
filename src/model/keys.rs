//! A JSON object read key by key, so that none is overlooked: what nobody asked for is refused by name.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The keys of one configuration file that are still to be accounted for.
pub(super) struct Keys {
    file: String,
    map: Map<String, Value>,
}

impl Keys {
    /// Parses `bytes` of `file`, which must hold an object.
    pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        match parse_json(file, bytes)? {
            Value::Object(map) => Ok(Self { file: file.to_owned(), map }),
            _ => Err(Error::model(format!("{file} must hold a JSON object"))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The value of `key`, removed; `None` if it is absent or null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// A count in `1..=max`.
    pub(super) fn count(&mut self, key: &str, max: usize) -> Result<usize> {
        let value = self.take(key).ok_or_else(|| Error::model(format!("{} lacks \"{key}\"", self.file)))?;
        self.in_range(key, &value, max)
    }

    /// A count in `1..=max`, if it is there.
    pub(super) fn optional_count(&mut self, key: &str, max: usize) -> Result<Option<usize>> {
        self.take(key).map(|value| self.in_range(key, &value, max)).transpose()
    }

    fn in_range(&self, key: &str, value: &Value, max: usize) -> Result<usize> {
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (1..=max).contains(number))
            .ok_or_else(|| Error::model(format!("{}: \"{key}\" is {value}, expected 1 to {max}", self.file)))
    }

    /// The id of a token, if it is there.
    pub(super) fn optional_id(&mut self, key: &str) -> Result<Option<u32>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        let wrong = || Error::model(format!("{}: \"{key}\" is {value}, expected the id of a token", self.file));
        id.map(Some).ok_or_else(wrong)
    }

    /// A string, if it is there.
    pub(super) fn optional_text(&mut self, key: &str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::model(format!("{}: \"{key}\" is {other}, expected a string", self.file))),
        }
    }

    /// A truth value; `default` if it is absent.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(Error::model(format!("{}: \"{key}\" is {other}, expected true or false", self.file))),
        }
    }

    /// Refuses `key` unless it is absent or has the one value that is implemented.
    pub(super) fn only(&mut self, key: &str, implemented: &Value) -> Result<()> {
        match self.take(key) {
            Some(value) if value != *implemented => {
                Err(Error::model(format!("{}: \"{key}\": {value} is not supported; only {implemented} is", self.file)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what is left, apart from keys known to have no effect on a vector.
    pub(super) fn finish(mut self, without_effect: &[&str]) -> Result<()> {
        for key in without_effect {
            self.map.shift_remove(*key);
        }
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((key, value)) => Err(Error::model(format!(
                "{}: key \"{key}\" ({}) is not supported, and ignoring it could change the vectors",
                self.file,
                value.to_string().chars().take(60).collect::<String>()
            ))),
        }
    }
}

/// Any JSON value; serde_json's own limit on nesting holds.
pub(super) fn parse_json(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|source| Error::model(format!("{file} is not valid JSON: {source}")).with_source(source))
}
