//! What `eval` found, as a table and as JSON.

use anyhow::Result;
use marcato::eval::{Comparison, Evaluation, Measure, Run};
use serde_json::{Map, Value, json};

use crate::output::Output;

pub(super) struct Report {
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, Value)>,
    pub(super) evaluation: Evaluation,
    pub(super) baseline: Option<Baseline>,
    pub(super) warnings: Vec<String>,
}

/// The run that is compared with.
pub(super) struct Baseline {
    pub(super) name: String,
    pub(super) run: Run,
    pub(super) evaluation: Evaluation,
    pub(super) comparisons: Vec<Comparison>,
}

impl Report {
    /// The measure that plots and worst queries are of.
    pub(super) fn primary(&self) -> Measure {
        self.evaluation.measures().first().copied().unwrap_or(Measure::NdcgCut(10))
    }

    pub(super) fn means(&self) -> impl Iterator<Item = (Measure, f64)> {
        means(&self.evaluation)
    }

    /// What was evaluated, for people.
    pub(super) fn named_facts(&self) -> Vec<(String, String)> {
        let text = |fact: &Value| fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
        let mut facts: Vec<_> = self.facts.iter().map(|(name, fact)| (name.replace('_', " "), text(fact))).collect();
        let counts = self.evaluation.counts();
        facts.push(("judged queries".to_owned(), counts.queries.to_string()));
        let found = format!("{} of {} found", counts.relevant_retrieved, counts.relevant);
        facts.push(("relevant passages".to_owned(), found));
        facts
    }

    /// One object, the measures by pytrec_eval's names.
    pub(super) fn json(&self, per_query: bool) -> Value {
        let counts = self.evaluation.counts();
        let mut object: Map<String, Value> = object_of(self.means());
        for (name, count) in [
            ("num_q", counts.queries),
            ("num_ret", counts.retrieved),
            ("num_rel", counts.relevant),
            ("num_rel_ret", counts.relevant_retrieved),
        ] {
            object.insert(name.to_owned(), json!(count));
        }
        for (name, fact) in &self.facts {
            object.insert((*name).to_owned(), fact.clone());
        }
        if let Some(Baseline { evaluation, comparisons, .. }) = &self.baseline {
            object.insert("baseline".to_owned(), Value::Object(object_of(means(evaluation))));
            let comparisons = comparisons.iter().map(|comparison| {
                let value = json!({
                    "difference": comparison.mean - comparison.baseline,
                    "better": comparison.better,
                    "worse": comparison.worse,
                    "t_test": comparison.t_test,
                    "randomization": comparison.randomization,
                });
                (comparison.measure.to_string(), value)
            });
            object.insert("comparison".to_owned(), Value::Object(comparisons.collect()));
        }
        if per_query {
            let query = |query: &str| {
                let values = self.evaluation.query(query).into_iter().flatten();
                (query.to_owned(), Value::Object(object_of(values)))
            };
            object.insert("queries".to_owned(), Value::Object(self.evaluation.queries().map(query).collect()));
        }
        object.insert("warnings".to_owned(), json!(self.warnings));
        Value::Object(object)
    }

    pub(super) fn print(&self, per_query: bool, output: &mut Output) -> Result<()> {
        for (name, fact) in self.named_facts() {
            output.line(format!("{name:<24}{fact}"))?;
        }
        output.line("")?;
        match &self.baseline {
            None => {
                for (measure, mean) in self.means() {
                    output.line(format!("{measure:<18}{mean:>8.4}"))?;
                }
            }
            Some(Baseline { name, comparisons, .. }) => {
                output.line(format!("baseline: {name}; p by paired t-test and by randomization test, two-sided\n"))?;
                output.line(format!(
                    "{:<18}{:>8}{:>10}{:>9}{:>8}{:>7}{:>9}{:>9}",
                    "measure", "run", "baseline", "change", "better", "worse", "p (t)", "p (rand)"
                ))?;
                for comparison in comparisons {
                    let Comparison { measure, mean, baseline, better, worse, .. } = comparison;
                    let t_test = comparison.t_test.map_or("-".to_owned(), probability);
                    output.line(format!(
                        "{measure:<18}{mean:>8.4}{baseline:>10.4}{:>+9.4}{better:>8}{worse:>7}{t_test:>9}{:>9}",
                        mean - baseline,
                        probability(comparison.randomization)
                    ))?;
                }
            }
        }
        if per_query {
            for query in self.evaluation.queries() {
                output.line("")?;
                for (measure, value) in self.evaluation.query(query).into_iter().flatten() {
                    output.line(format!("{measure:<18}{value:>8.4}  {query}"))?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

fn means(evaluation: &Evaluation) -> impl Iterator<Item = (Measure, f64)> {
    evaluation.measures().iter().filter_map(|measure| Some((*measure, evaluation.mean(*measure)?)))
}

fn object_of(values: impl Iterator<Item = (Measure, f64)>) -> Map<String, Value> {
    values.map(|(measure, value)| (measure.to_string(), json!(value))).collect()
}
