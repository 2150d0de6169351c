//! `marcato model list`: the models on this machine.

use std::fs;
use std::path::Path;

use anyhow::Result;
use marcato::{LocalModel, Models};
use serde_json::json;

use crate::open;
use crate::output::Output;

pub(super) fn run(output: &mut Output) -> Result<()> {
    let models = Models::from_env()?.list();
    if output.json {
        output.value(&json!({"name": open::BUILTIN, "source": open::BUILTIN}))?;
        for model in &models {
            let LocalModel { repository, commit, revisions, path, source, .. } = model;
            output.value(&json!({
                "name": repository, "source": source.name(), "commit": commit, "revisions": revisions, "path": path,
                "bytes": bytes_under(path),
            }))?;
        }
        return Ok(());
    }
    let width = models.iter().map(|model| model.repository.len()).max().unwrap_or(0).max(open::BUILTIN.len());
    output.line(format!("{:<width$}  part of the program", open::BUILTIN))?;
    for LocalModel { repository, commit, revisions, path, source, .. } in &models {
        let (short, size) =
            (commit.get(..12).unwrap_or_default(), indicatif::HumanBytes(bytes_under(path)).to_string());
        let (source, revisions) = (source.name(), revisions.join(", "));
        output.line(format!("{repository:<width$}  {source:<11}  {size:>10}  {short}  {revisions}").trim_end())?;
    }
    Ok(())
}

/// The sizes of the files in a model's directory, links followed; what cannot be read counts nothing.
fn bytes_under(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |path: &Path| match fs::metadata(path) {
        // A link to a folder could lead round in a circle; no cache has one.
        Ok(metadata) if metadata.is_dir() && !path.is_symlink() => bytes_under(path),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.map(|entry| size(&entry.path())).sum()
}
