//! Paired tests against SciPy's.

use super::{goldens, numbers};
use crate::eval::{Measure, Qrels, Run, compare, evaluate, paired_t_test, randomization_test};

#[test]
fn paired_tests_equal_scipy() {
    let goldens = goldens("significance");
    assert_eq!(goldens.as_array().unwrap().len(), 8);
    for case in goldens.as_array().unwrap() {
        let (first, second) = (numbers(&case["first"]), numbers(&case["second"]));
        let expected = |key: &str| case[key].as_f64().unwrap();
        let (t, p) = paired_t_test(&first, &second).unwrap();
        assert!((t - expected("t")).abs() < 1e-9, "{t} for {case}");
        assert!((p - expected("t_test")).abs() < 1e-9, "{p} for {case}");
        let randomization = randomization_test(&first, &second).unwrap();
        // SciPy counts all assignments of up to 16 pairs; beyond, both draw 100,000.
        let tolerance = if first.len() <= 16 { 1e-9 } else { 0.006 };
        assert!((randomization - expected("randomization")).abs() < tolerance, "{randomization} for {case}");
        // The negative control: one more point of difference changes every figure.
        let mut shifted = first.clone();
        shifted[0] += 0.5;
        let (other_t, other_p) = paired_t_test(&shifted, &second).unwrap();
        assert!((other_t - t).abs() > 1e-9 && (other_p - p).abs() > 1e-9, "{case}");
    }
}

/// Drawn assignments against all of them, where both can be had: 17 pairs that differ, and a brute force over 2^17.
#[test]
fn drawn_assignments_agree_with_all_of_them() {
    let second: Vec<f64> = vec![0.0; 17];
    let first: Vec<f64> = (0..17).map(|n| f64::from(n % 7) - 2.1).collect();
    let observed = first.iter().sum::<f64>().abs();
    let far = (0..1u32 << 17).filter(|signs| {
        let sum: f64 = first.iter().zip(0..).map(|(d, bit)| if signs >> bit & 1 == 1 { *d } else { -d }).sum();
        sum.abs() >= observed - 1e-9
    });
    let exact = far.count() as f64 / f64::from(1u32 << 17);
    let drawn = randomization_test(&first, &second).unwrap();
    assert!((drawn - exact).abs() < 0.005, "{drawn} for {exact}");
    assert!((0.1..0.9).contains(&exact), "{exact} is no test");
    assert_eq!(drawn, randomization_test(&first, &second).unwrap());
}

#[test]
fn limits_are_defined() {
    assert_eq!(paired_t_test(&[0.5, 0.25], &[0.5, 0.25]).unwrap(), (0.0, 1.0));
    assert_eq!(paired_t_test(&[1.0, 1.0], &[0.5, 0.5]).unwrap(), (f64::INFINITY, 0.0));
    assert_eq!(randomization_test(&[0.5, 0.25], &[0.5, 0.25]).unwrap(), 1.0);
    assert!(paired_t_test(&[1.0], &[0.5]).unwrap_err().to_string().contains("at least two"));
    assert!(paired_t_test(&[1.0, f64::NAN], &[0.5, 0.5]).unwrap_err().to_string().contains("finite"));
    assert!(randomization_test(&[1.0], &[0.5, 0.5]).unwrap_err().to_string().contains("1 with 2"));
    assert!(randomization_test(&[], &[]).is_err());
}

#[test]
fn runs_are_compared_query_by_query() {
    let qrels = Qrels::parse_trec("a 0 x 1\nb 0 x 1\nc 0 x 1\n").unwrap();
    let run = |a: [&str; 2], b: [&str; 2], c: [&str; 2]| {
        let mut run = Run::default();
        for (query, ids) in [("a", a), ("b", b), ("c", c)] {
            run.insert(query, ids.into_iter().zip([2.0, 1.0])).unwrap();
        }
        evaluate(&qrels, &run, &[Measure::RecipRank]).unwrap()
    };
    let (new, old) = (run(["x", "y"], ["x", "y"], ["y", "x"]), run(["y", "x"], ["x", "y"], ["x", "y"]));
    let comparison = compare(&new, &old).unwrap()[0];
    assert_eq!((comparison.better, comparison.worse), (1, 1));
    assert_eq!((comparison.mean, comparison.baseline), (2.5 / 3.0, 2.5 / 3.0));
    assert_eq!((comparison.t_test, comparison.randomization), (Some(1.0), 1.0));
    let other = evaluate(
        &Qrels::parse_trec("a 0 x 1\n").unwrap(),
        &Run::parse_trec("a Q0 x 1 1 t").unwrap(),
        &[Measure::RecipRank],
    )
    .unwrap();
    assert!(compare(&new, &other).unwrap_err().to_string().contains("same queries"));
}
