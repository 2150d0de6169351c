//! Attention.

use proptest::prelude::*;

use super::{integer_sets, numbers, sets};
use crate::kernels::{Attention, AttentionScratch, InstructionSet, IntegerSet, Rows, RowsMut};

/// Every way to compute attention on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    F32(InstructionSet),
    /// Operands rounded to 16 bits.
    Rounded(IntegerSet),
}

fn forms() -> impl Iterator<Item = Form> {
    sets().map(Form::F32).chain(integer_sets().map(Form::Rounded))
}

#[derive(Clone, Debug)]
struct Case {
    heads: usize,
    width: usize,
    length: usize,
    /// Queries, keys and values side by side.
    projections: Vec<f32>,
}

fn cases() -> impl Strategy<Value = Case> {
    let heads = (1_usize..4, 1_usize..70, 1_usize..80);
    // As a first token asks: with heads as wide as a whole state.
    let states = (Just(1), 200_usize..400, 1_usize..20);
    prop_oneof![9 => heads.boxed(), 1 => states.boxed()].prop_flat_map(|(heads, width, length)| {
        numbers(1 + 3 * heads * width * length).prop_map(move |projections| Case { heads, width, length, projections })
    })
}

impl Case {
    fn rows(&self, part: usize, count: usize) -> Rows<'_, f32> {
        let columns = self.heads * self.width;
        Rows { numbers: &self.projections[1 + part * columns..], stride: 3 * columns, count }
    }

    fn run(&self, form: Form, queries: usize, scratch: &mut AttentionScratch) -> Vec<f32> {
        let columns = self.heads * self.width;
        let mut context = vec![0.0; queries * columns];
        let attention = Attention {
            heads: self.heads,
            width: self.width,
            queries: self.rows(0, queries),
            keys: self.rows(1, self.length),
            values: self.rows(2, self.length),
            context: RowsMut { numbers: &mut context, stride: columns },
            scratch,
        };
        match form {
            Form::F32(set) => attention.apply(set),
            Form::Rounded(set) => attention.apply_rounded(set),
        }
        context
    }

    /// What defines attention, and how far rounding may move it: a score of size `s` is off by some units of `s`.
    fn twin(&self, form: Form, query: usize, column: usize) -> (f64, f64) {
        let (head, stride) = (column / self.width, 3 * self.heads * self.width);
        let of = |part: usize, row: usize, at: usize| {
            f64::from(self.projections[1 + row * stride + part * self.heads * self.width + head * self.width + at])
        };
        let scale = 1.0 / (self.width as f64).sqrt();
        let score = |key: usize| (0..self.width).map(|at| of(0, query, at) * of(1, key, at)).sum::<f64>() * scale;
        let size =
            |key: usize| (0..self.width).map(|at| (of(0, query, at) * of(1, key, at)).abs()).sum::<f64>() * scale;
        let scores: Vec<f64> = (0..self.length).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let value = |key: usize| of(2, key, column % self.width);
        let context = (0..self.length).map(|key| weights[key] / total * value(key)).sum();
        // Half a step of each operand, if they are rounded.
        let rounded = matches!(form, Form::Rounded(_));
        let largest_of = |part: usize, rows: std::ops::Range<usize>| {
            rows.flat_map(|row| (0..self.width).map(move |at| of(part, row, at).abs())).fold(0.0, f64::max)
        };
        let most = (f64::from(i32::MAX) / self.width.next_multiple_of(2) as f64).sqrt().floor().min(32_767.0);
        let half = |largest: f64, most: f64| if rounded { 0.5001 * largest / most } else { 0.0 };
        let query_half = half(largest_of(0, query..query + 1), most);
        let key_half = half(largest_of(1, 0..self.length), most);
        let value_most = (f64::from(i32::MAX) / (4096.0 * self.length as f64)).floor().min(32_767.0);
        let value_half = half(largest_of(2, 0..self.length), value_most);
        let steps = |key: usize| {
            let both = |at| of(0, query, at).abs() * key_half + of(1, key, at).abs() * query_half;
            scale * (0..self.width).map(|at| both(at) + query_half * key_half).sum::<f64>()
        };
        // Of the largest weight, which is `1 / total` of all.
        let weight_half =
            half(1.0, 4096.0) / total * (0..self.length).map(|key| value(key).abs() + value_half).sum::<f64>();
        let off = |key: usize| 2.0 * (self.width as f64 + 4.0) * f64::from(f32::EPSILON) * size(key) + steps(key);
        let largest_off = (0..self.length).map(off).fold(0.0, f64::max);
        let spread = (0..self.length).map(|key| (weights[key] / total).max(1e-37) * value(key).abs()).sum::<f64>();
        let exp = if rounded { 2.1e-4 } else { 0.0 };
        let rounding = (self.length as f64 + 20.0) * f64::from(f32::EPSILON) + exp;
        let allowed = spread * ((2.0 * largest_off).exp_m1() * 2.0 + rounding) + weight_half + value_half + 1e-30;
        (context, allowed)
    }

    fn wrong(&self, form: Form, context: &[f32]) -> Option<String> {
        for (at, &found) in context.iter().enumerate() {
            let columns = self.heads * self.width;
            let (truth, allowed) = self.twin(form, at / columns, at % columns);
            if (f64::from(found) - truth).abs() > allowed {
                return Some(format!(
                    "{form:?}: query {} column {} is {found}, not {truth}",
                    at / columns,
                    at % columns
                ));
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn attention_agrees_with_its_twin(case in cases(), before in cases()) {
        for form in forms() {
            // A scratch that another sequence has been through.
            let mut scratch = AttentionScratch::default();
            before.run(form, before.length, &mut scratch);
            let wrong = case.wrong(form, &case.run(form, case.length, &mut scratch));
            prop_assert!(wrong.is_none(), "{}", wrong.unwrap());
        }
    }

    /// To the bit, also in a scratch that was used before.
    #[test]
    fn the_first_query_is_the_same_alone(case in cases(), before in cases()) {
        for form in forms() {
            let mut scratch = AttentionScratch::default();
            before.run(form, before.length, &mut scratch);
            let all = case.run(form, case.length, &mut scratch);
            let first = case.run(form, 1, &mut AttentionScratch::default());
            let same = first.iter().zip(&all).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same, "{form:?}");
        }
    }
}

/// The negative control: one value that is off is noticed.
#[test]
fn a_wrong_value_is_noticed() {
    let projections: Vec<f32> = (0..1 + 3 * 24 * 50).map(|at| ((at * 7 % 11) as f32 - 5.0) / 8.0).collect();
    let case = Case { heads: 2, width: 12, length: 50, projections };
    for form in forms() {
        let mut other = case.clone();
        *other.projections.last_mut().unwrap() += 0.1;
        let context = other.run(form, 50, &mut AttentionScratch::default());
        assert!(other.wrong(form, &context).is_none() && case.wrong(form, &context).is_some(), "{form:?}");
    }
}

/// Scores that differ by more than `exp` can hold: the largest takes all. NaN is not swallowed.
#[test]
fn attention_to_extremes() {
    for form in forms() {
        let projections = vec![0.0, 1e18, 1e18, 3.0, 1e18, -1e18, 5.0];
        let case = Case { heads: 1, width: 1, length: 2, projections };
        let found = case.run(form, 2, &mut AttentionScratch::default());
        // All of the weight is 1 but for its rounding.
        let rounding = if matches!(form, Form::Rounded(_)) { 3.0 * 2e-5 } else { 0.0 };
        assert!(found.iter().all(|number| (number - 3.0).abs() <= rounding), "{form:?}: {found:?}");
        let projections = vec![0.0, 1.0, f32::NAN, 3.0, 1.0, 1.0, 5.0];
        let case = Case { heads: 1, width: 1, length: 2, projections };
        assert!(case.run(form, 1, &mut AttentionScratch::default())[0].is_nan(), "{form:?}");
    }
}

/// The largest sums there are: every weight is the largest one and every value too.
#[test]
fn equal_values_are_their_own_mean() {
    for form in forms() {
        for length in [1, 2, 15, 16, 17, 33, 111, 512, 4097] {
            for value in [3.0, -3.0] {
                let projections = [0.0].into_iter().chain((0..length).flat_map(|_| [0.0, 0.0, value])).collect();
                let case = Case { heads: 1, width: 1, length, projections };
                let found = case.run(form, 1, &mut AttentionScratch::default())[0];
                assert!((found - value).abs() < 3.0 * 1e-4, "{form:?}, {length} keys: {found}");
            }
        }
    }
}
