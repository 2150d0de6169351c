//! `marcato model verify`: whether a model's files still are what they were on the hub.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use marcato::{LocalModel, ModelName, Models};
use serde::Serialize;
use serde_json::json;

use crate::hub::digest::{Expected, Sums};
use crate::hub::manifest::Manifest;
use crate::output::Output;

#[derive(Serialize)]
struct Problem {
    file: String,
    problem: String,
}

/// What a file should be; `None` if nothing says.
type Should = (Option<u64>, Option<Expected>);

pub(super) fn run(name: &ModelName, output: &mut Output) -> Result<()> {
    let LocalModel { repository, commit, path, .. } = Models::from_env()?.find(name)?;
    let there = files(&path)?;
    let should = match Manifest::read(&path)? {
        Some(manifest) if manifest.commit != commit || manifest.repository != repository => bail!(
            "{} is of {} at {}, not of {repository} at {commit}; remove the model and pull it again",
            path.join(Manifest::NAME).display(),
            manifest.repository,
            manifest.commit
        ),
        Some(manifest) => {
            let listed = |file: crate::hub::manifest::ManifestFile| {
                (file.name, (Some(file.bytes), Some(Expected::Sha256(file.sha256))))
            };
            manifest.files.into_iter().map(listed).collect()
        }
        None => {
            there.iter().map(|(name, file)| (name.clone(), (None, named_by_content(file)))).collect::<BTreeMap<_, _>>()
        }
    };
    let mut problems = Vec::new();
    for (file, should) in &should {
        let problem = match there.get(file) {
            None => Some("is missing".to_owned()),
            Some(path) => compare(path, should)?,
        };
        problems.extend(problem.map(|problem| Problem { file: file.clone(), problem }));
    }
    let unknown = there.keys().filter(|file| !should.contains_key(*file) && *file != Manifest::NAME);
    problems.extend(unknown.map(|file| Problem { file: file.clone(), problem: "was not pulled".to_owned() }));
    if output.json {
        output.value(&json!({
            "name": repository, "commit": commit, "path": path, "files": should.len(), "problems": problems,
        }))?;
    } else {
        for Problem { file, problem } in &problems {
            output.line(format!("{file}: {problem}"))?;
        }
    }
    output.flush()?;
    if !problems.is_empty() {
        bail!(
            "{repository} in {} is not what it was on the hub ({} of {} files); remove it and pull it again",
            path.display(),
            problems.len(),
            should.len()
        );
    }
    if !output.json {
        output.line(format!("{repository} at {commit}: {} files are what they were on the hub", should.len()))?;
    }
    Ok(())
}

fn compare(path: &Path, (bytes, content): &Should) -> Result<Option<String>> {
    let Some(content) = content else {
        return Ok(Some("cannot be verified: neither a list nor its name says what it was".to_owned()));
    };
    let held = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    if let Some(bytes) = bytes.filter(|bytes| *bytes != held) {
        return Ok(Some(format!("has {held} bytes, had {bytes}")));
    }
    let sums = Sums::of(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((!content.matches(&sums)).then(|| "has another content".to_owned()))
}

/// In Hugging Face's cache a file is a link to a blob, which is named by its content.
fn named_by_content(file: &Path) -> Option<Expected> {
    let blob = fs::read_link(file).ok()?;
    Expected::from_hex(blob.file_name()?.to_str()?)
}

/// The files below a model's directory by their names, links not followed.
fn files(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    fn walk(folder: &Path, above: &str, files: &mut BTreeMap<String, PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), files)?;
            } else {
                files.insert(name, entry.path());
            }
        }
        Ok(())
    }
    let mut files = BTreeMap::new();
    walk(directory, "", &mut files).with_context(|| format!("cannot read {}", directory.display()))?;
    Ok(files)
}
