//! What `eval` found, as one HTML page that needs nothing else: no script, no font, no network.

use std::fmt::Write;

use anyhow::Result;
use marcato::eval::{Comparison, Measure, Qrels, Run, evaluate};

use super::Subject;
use super::plot::{self, escape};
use super::report::{Baseline, Report, probability};
use crate::output::excerpt;

/// Queries that are shown in full.
const WORST: usize = 12;

/// Passages of a ranking that are shown.
const SHOWN: usize = 3;

/// The depths that recall is drawn at.
const DEPTHS: [usize; 13] = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000];

pub(super) fn page(report: &Report, subject: &Subject) -> Result<String> {
    let mut page = String::new();
    let title = escape(&report.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}: marcato eval</title>"
    )?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>")?;
    let primary = report.primary();
    let mean = report.evaluation.mean(primary).unwrap_or_default();
    write!(page, "<h1>{title}</h1>\n<p class=\"headline\"><b>{mean:.4}</b> {primary}</p>\n")?;
    facts(&mut page, report)?;
    measures(&mut page, report)?;
    plots(&mut page, report, subject)?;
    worst(&mut page, report, subject)?;
    writeln!(
        page,
        "<footer>Made by marcato {}. Measures have trec_eval's definitions.</footer>",
        env!("CARGO_PKG_VERSION")
    )?;
    page.push_str("</body></html>\n");
    Ok(page)
}

fn facts(page: &mut String, report: &Report) -> Result<()> {
    page.push_str("<dl>");
    for (name, fact) in report.named_facts() {
        write!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&fact))?;
    }
    page.push_str("</dl>\n");
    for warning in &report.warnings {
        writeln!(page, "<p class=\"warning\">{}</p>", escape(warning))?;
    }
    Ok(())
}

fn measures(page: &mut String, report: &Report) -> Result<()> {
    page.push_str("<h2>Measures</h2>\n<div class=\"scroll\"><table class=\"numbers\">");
    match &report.baseline {
        None => {
            page.push_str("<tr><th>measure<th>mean</tr>");
            for (measure, mean) in report.means() {
                write!(page, "<tr><td>{measure}<td>{mean:.4}</tr>")?;
            }
        }
        Some(Baseline { name, comparisons, .. }) => {
            write!(
                page,
                "<tr><th>measure<th>run<th>{}<th>change<th>better<th>worse<th>p, t-test<th>p, randomization</tr>",
                escape(name)
            )?;
            for comparison in comparisons {
                let Comparison { measure, mean, baseline, better, worse, .. } = comparison;
                let t_test = comparison.t_test.map_or("-".to_owned(), probability);
                write!(
                    page,
                    "<tr><td>{measure}<td>{mean:.4}<td>{baseline:.4}<td>{:+.4}<td>{better}<td>{worse}<td>{}<td>{}</tr>",
                    mean - baseline,
                    escape(&t_test),
                    escape(&probability(comparison.randomization))
                )?;
            }
        }
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn plots(page: &mut String, report: &Report, subject: &Subject) -> Result<()> {
    let primary = report.primary();
    let values: Vec<f64> = report.evaluation.values(primary).into_iter().flatten().map(|(_, value)| value).collect();
    let mut figure =
        |caption: &str, svg: String| writeln!(page, "<figure>{svg}<figcaption>{caption}</figcaption></figure>");
    figure(&format!("How the queries spread over {primary}."), plot::histogram(&values, &primary.to_string()))?;
    let mut series = vec![("run", recall(&subject.qrels, &subject.run)?)];
    if let Some(Baseline { name, run, evaluation, .. }) = &report.baseline {
        series.push((name, recall(&subject.qrels, run)?));
        let theirs = evaluation.values(primary).into_iter().flatten().map(|(_, value)| value);
        let differences: Vec<f64> = values.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
        let caption = format!("Where the run is better (up) and worse (down) than {}.", escape(name));
        figure(&caption, plot::differences(&differences, &primary.to_string()))?;
    }
    let legend = match series.as_slice() {
        [_, (name, _)] => {
            format!(" <span class=\"key first\"></span> run, <span class=\"key second\"></span> {}.", escape(name))
        }
        _ => String::new(),
    };
    let caption = format!("Recall: the part of the relevant passages among the first k.{legend}");
    figure(&caption, plot::curves(&series, "Recall over the first k passages"))?;
    Ok(())
}

/// Recall at each depth down to the longest ranking.
fn recall(qrels: &Qrels, run: &Run) -> Result<Vec<(usize, f64)>> {
    let longest = run.queries().map(|query| run.ranking(query).len()).max().unwrap_or(0);
    let depths = DEPTHS.into_iter().filter(|depth| *depth <= longest.max(1));
    let measures: Vec<Measure> = depths.clone().map(Measure::Recall).collect();
    let evaluation = evaluate(qrels, run, &measures)?;
    Ok(depths.zip(measures).filter_map(|(depth, measure)| Some((depth, evaluation.mean(measure)?))).collect())
}

fn worst(page: &mut String, report: &Report, subject: &Subject) -> Result<()> {
    let primary = report.primary();
    let mut queries: Vec<(&str, f64)> = report.evaluation.values(primary).into_iter().flatten().collect();
    queries.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    writeln!(page, "<h2>Worst queries, by {primary}</h2>\n<ol class=\"worst\">")?;
    for (id, value) in queries.into_iter().take(WORST) {
        let text = subject.dataset.as_ref().and_then(|dataset| dataset.query(id)).unwrap_or_default();
        writeln!(page, "<li><h3><span>{value:.4}</span> {} <code>{}</code></h3>", escape(text), escape(id))?;
        let ranking = subject.run.ranking(id);
        page.push_str("<table><tr><th>rank<th>grade<th>passage<th></tr>");
        for (ranked, rank) in ranking.iter().zip(1..).take(SHOWN) {
            row(page, subject, Some(rank), &ranked.id, subject.qrels.grade(id, &ranked.id))?;
        }
        page.push_str("<tr><td colspan=\"4\" class=\"rule\">relevant passages</tr>");
        let mut relevant: Vec<(&str, i64)> = subject.qrels.judgements(id).filter(|(_, grade)| *grade > 0).collect();
        relevant.sort_by_key(|(_, grade)| -grade);
        for (passage, grade) in relevant.iter().take(SHOWN) {
            let rank = ranking.iter().position(|ranked| ranked.id == *passage).map(|place| place + 1);
            row(page, subject, rank, passage, *grade)?;
        }
        if let Some(more) = relevant.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(page, "<tr><td><td><td><td>and {more} more</tr>")?;
        }
        page.push_str("</table></li>\n");
    }
    page.push_str("</ol>\n");
    Ok(())
}

/// A passage: its rank, grade, id and beginning.
fn row(page: &mut String, subject: &Subject, rank: Option<usize>, id: &str, grade: i64) -> Result<()> {
    let rank = rank.map_or("not found".to_owned(), |rank| rank.to_string());
    let class = if grade > 0 { " class=\"relevant\"" } else { "" };
    let text = match subject.texts.get(id)? {
        Some(text) => excerpt(&text, 160),
        None => String::new(),
    };
    write!(page, "<tr{class}><td>{rank}<td>{grade}<td><code>{}</code><td>{}</tr>", escape(id), escape(&text))?;
    Ok(())
}

const STYLE: &str = include_str!("page.css");
