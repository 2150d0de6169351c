//! `marcato check`: whether everything in a collection is as it was written.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use marcato::{CheckReport, Collection};
use serde_json::json;

use crate::args::Check;
use crate::output::Output;
use crate::{open, progress};

pub(crate) fn run(args: &Check, output: &mut Output) -> Result<()> {
    let collection = if args.repair {
        open::without_encoder().open(&args.collection)?
    } else {
        open::for_reading(&args.collection, || Ok(open::without_encoder()))?
    };
    let mut found = check(&collection)?;
    let mut repaired = collection.open_report().rebuilt.is_some();
    if args.repair && found.problems.iter().any(|problem| problem.part.is_view()) {
        tell(&found, output)?;
        collection.rebuild_indexes(|_| ControlFlow::Continue(()))?;
        repaired = true;
        found = check(&collection)?;
    }
    if args.repair {
        collection.close()?;
    }
    tell(&found, output)?;
    let repaired = args.repair && repaired;
    if output.json {
        output.value(&json!({
            "passages": found.passages,
            "problems": found.problems.len() as u64 + found.omitted,
            "recall": found.recall,
            "repaired": repaired,
        }))?;
    } else if found.is_sound() {
        let recall = found.recall.map_or(String::new(), |recall| format!(", recall {recall:.3}"));
        let repaired = if repaired { " after the indexes were made anew" } else { "" };
        output.line(format!("sound{repaired}: {} passages{recall}", found.passages))?;
    }
    if found.is_sound() {
        return Ok(());
    }
    let count = found.problems.len() as u64 + found.omitted;
    let place = args.collection.display();
    let problems = if count == 1 { "problem" } else { "problems" };
    output.flush()?;
    if found.problems.iter().all(|problem| problem.part.is_view()) && !args.repair {
        bail!("{place} has {count} {problems}, in its indexes alone; --repair makes them anew");
    }
    bail!("{place} has {count} {problems}; restore it from a backup, or make the index of a field again");
}

fn check(collection: &Collection) -> Result<CheckReport> {
    let bar = progress::passages(collection.len());
    bar.set_message("Checking");
    let found = collection.check(|progress| {
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    Ok(found?)
}

fn tell(found: &CheckReport, output: &mut Output) -> Result<()> {
    for problem in &found.problems {
        if output.json {
            output.value(&json!({"part": problem.part.name(), "problem": problem.message}))?;
        } else {
            output.line(format!("{}: {}", problem.part.name(), problem.message))?;
        }
    }
    if found.omitted > 0 && !output.json {
        output.line(format!("and {} more", found.omitted))?;
    }
    Ok(())
}
