//! `marcato completions`: a completion script for a shell.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::Args;
use crate::output::Output;

pub(crate) fn run(shell: Shell, output: &mut Output) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "marcato", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())
}
