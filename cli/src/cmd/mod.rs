//! The command table.

mod add;
mod backup;
mod bench;
mod check;
mod compact;
mod completions;
mod delete;
mod demo;
mod encode;
mod eval;
mod exchange;
mod get;
mod index;
mod list;
mod model;
mod query;
mod reembed;
mod score;
mod stats;

use anyhow::Result;

use crate::args::{Args, Command};
use crate::output::Output;

pub(crate) fn run(args: Args) -> Result<()> {
    let mut output = Output::new(args.json);
    match &args.command {
        Command::Demo => demo::run(&mut output),
        Command::Add(add) => add::run(add, &mut output),
        Command::Query(query) => query::run(query, &mut output),
        Command::Get(get) => get::run(get, &mut output),
        Command::Delete(delete) => delete::run(delete, &mut output),
        Command::List(list) => list::run(list, &mut output),
        Command::Stats(stats) => stats::run(stats, &mut output),
        Command::Index(index) => index::run(index, &mut output),
        Command::Check(check) => check::run(check, &mut output),
        Command::Compact(compact) => compact::run(compact, &mut output),
        Command::Backup(backup) => backup::run(backup),
        Command::Restore(restore) => backup::restore(restore),
        Command::Export(export) => exchange::export(export),
        Command::Import(import) => exchange::import(import, &mut output),
        Command::Reembed(reembed) => reembed::run(reembed, &mut output),
        Command::Encode(encode) => encode::run(encode, &mut output),
        Command::Bench(bench) => bench::run(bench, &mut output),
        Command::Eval(eval) => eval::run(eval, &mut output),
        Command::Score(score) => score::run(score, &mut output),
        Command::Model(model) => model::run(model, &mut output),
        Command::Completions { shell } => completions::run(*shell, &mut output),
    }?;
    output.flush()
}
