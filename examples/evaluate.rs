//! How good is the search? Judged questions asked, measured as trec_eval does, and two ways of asking compared.
//!
//!     cargo run --release --example evaluate

use marcato::eval::{Measure, Qrels, Run, compare, evaluate};
use marcato::{Collection, Passage, Result};

fn main() -> Result<()> {
    let notes = Collection::in_memory()?;
    notes.add([
        Passage::new("London has 9,787,426 inhabitants at the 2011 census").id("london"),
        Passage::new("Paris lies on the Seine").id("paris"),
        Passage::new("Oats are sown in early spring").id("oats"),
        Passage::new("A marcato note is played louder than those around it").id("marcato"),
    ])?;

    // Judgements: query, 0, passage, grade. Files in this form, in BEIR's and in MS MARCO's are read by `Qrels::read`.
    let qrels = Qrels::parse_trec("q1 0 london 2\nq1 0 paris 1\nq2 0 oats 1\nq3 0 marcato 1\n")?;
    let questions = [("q1", "How big is London?"), ("q2", "when do I sow cereals"), ("q3", "musical accents")];
    let first_words = questions.map(|(id, text)| (id, text.split(' ').next().unwrap_or_default()));

    let ask = |questions: [(&str, &str); 3]| -> Result<Run> {
        let mut run = Run::default();
        for (id, text) in questions {
            let hits = notes.query(text).top(10).run()?;
            run.insert(id, hits.iter().map(|hit| (hit.id.as_str(), hit.score)))?;
        }
        Ok(run)
    };
    let measures = [Measure::NdcgCut(10), Measure::RecipRank, Measure::Recall(1)];
    let whole = evaluate(&qrels, &ask(questions)?, &measures)?;
    for measure in measures {
        println!("{measure:<12} {:.4}", whole.mean(measure).unwrap_or_default());
    }
    assert!(whole.mean(Measure::RecipRank) == Some(1.0) && whole.warnings().is_empty());

    // The first word of each question alone: worse, but three questions prove nothing, and p says so.
    let short = evaluate(&qrels, &ask(first_words)?, &measures)?;
    for comparison in compare(&whole, &short)? {
        println!(
            "{:<12} {:.4} for {:.4}, p = {:.2}",
            comparison.measure, comparison.baseline, comparison.mean, comparison.randomization
        );
        assert!(comparison.randomization > 0.05);
    }
    Ok(())
}
