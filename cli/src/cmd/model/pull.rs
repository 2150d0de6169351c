//! `marcato model pull`: a model from the hub.

use anyhow::Result;
use marcato::{ModelName, Models};
use serde_json::json;

use crate::hub::{self, Pulled};
use crate::output::Output;

pub(super) fn run(name: &ModelName, output: &mut Output) -> Result<()> {
    let Pulled { repository, commit, path, files, bytes, was_here } = hub::pull(&Models::from_env()?, name)?;
    if output.json {
        return output.value(&json!({
            "name": repository, "commit": commit, "path": path, "files": files, "bytes": bytes, "pulled": !was_here,
        }));
    }
    let (size, path) = (indicatif::HumanBytes(bytes), path.display());
    let how = if was_here { "was here already" } else { "is here" };
    output.line(format!("{repository} {how}: {files} files, {size}, commit {commit}, in {path}"))
}
