//! `marcato model remove`: a model out of Marcato's own folder.

use anyhow::Result;
use marcato::{ModelName, Models};
use serde_json::json;

use crate::hub;
use crate::output::Output;

pub(super) fn run(name: &ModelName, output: &mut Output) -> Result<()> {
    let commits = hub::remove(&Models::from_env()?, name)?;
    if output.json {
        return output.value(&json!({"name": name.to_string(), "removed": commits}));
    }
    output.line(match commits.as_slice() {
        [] => format!("{name}: an unfinished download removed"),
        commits => format!("{name}: removed {}", commits.join(", ")),
    })
}
