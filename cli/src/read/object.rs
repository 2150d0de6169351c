//! A line of bytes as a JSON object, with errors that need no position but the column.

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value};

pub(crate) fn object(line: &[u8]) -> Result<Map<String, Value>> {
    let line =
        std::str::from_utf8(line).map_err(|error| anyhow!("not valid UTF-8 at byte {}", error.valid_up_to() + 1))?;
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => bail!("not a JSON object"),
        // serde_json says "at line 1 column 9"; the line is known better where this is called.
        Err(error) => bail!("not valid JSON at column {}: {}", error.column(), plain(&error)),
    }
}

fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}
