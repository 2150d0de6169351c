//! Progress bars on a terminal, nothing anywhere else.

use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use marcato::{CollectionOptions, Progress, Stage};

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let target = if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.set_draw_target(target);
    bar.set_style(style(template));
    bar
}

/// How much of the input has been read, and how many passages it gave.
pub(crate) fn reading(bytes: Option<u64>) -> ProgressBar {
    match bytes {
        Some(_) => bar(bytes, "{msg} [{bar:40}] {bytes}/{total_bytes} {eta}"),
        None => bar(None, "{msg} {spinner} {bytes}"),
    }
}

/// How many passages of a known number are done.
pub(crate) fn passages(total: u64) -> ProgressBar {
    bar(Some(total), "{msg} [{bar:40}] {pos}/{len} passages")
}

/// How much of a download is here.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    bar(Some(total), "{msg} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

/// How many rounds of a known number are done.
pub(crate) fn rounds(total: u64) -> ProgressBar {
    bar(Some(total), "{msg} [{bar:40}] {pos}/{len} rounds")
}

/// How many queries of a known number are answered.
pub(crate) fn queries(total: u64) -> ProgressBar {
    bar(Some(total), "{msg} [{bar:40}] {pos}/{len} queries")
}

/// Shows what a collection does while it opens.
pub(crate) fn on_open(options: CollectionOptions) -> CollectionOptions {
    let mut shown: Option<(Stage, ProgressBar)> = None;
    options.on_progress(move |Progress { stage, done, total, .. }| {
        if shown.as_ref().is_none_or(|(of, _)| *of != stage) {
            let bar = bar(Some(total), "{msg} [{bar:40}] {pos}/{len}");
            bar.set_message(match stage {
                Stage::Repair => "Mending the store after a crash (%)",
                _ => "Rebuilding the index",
            });
            shown = Some((stage, bar));
        }
        if let Some((_, bar)) = &shown {
            bar.set_position(done);
        }
        ControlFlow::Continue(())
    })
}
