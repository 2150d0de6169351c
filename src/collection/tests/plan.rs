//! Which plan is made when.

use super::super::plan::{Plan, STORE_ROWS, Situation};

fn planned(passages: u64, matches: Option<u64>, expansion: usize, exact: bool, matrix: bool) -> Plan {
    Situation { passages, matches, exact, expansion, matrix }.plan()
}

#[test]
fn few_matches_are_scanned_and_many_walked_to() {
    for (passages, expansion, few) in [(100_000, 64, 26532), (1_000_000, 64, 83904), (100_000, 256, 53065)] {
        let plan = |matches| planned(passages, Some(matches), expansion, false, true);
        assert_eq!(
            (plan(1), plan(few), plan(few + 1), plan(passages)),
            (Plan::Scan, Plan::Scan, Plan::Graph, Plan::Graph)
        );
    }
    assert_eq!(planned(100_000, None, 64, false, true), Plan::Graph);
    assert_eq!(planned(100_000, None, 64, true, true), Plan::Scan);
    assert_eq!(planned(100_000, Some(90_000), 64, true, false), Plan::ScanStore);
    assert_eq!(planned(100_000, Some(90_000), 0, false, true), Plan::Scan);
    assert_eq!(planned(100_000, Some(0), 64, false, true), Plan::Nothing);
    assert_eq!(planned(0, None, 0, false, true), Plan::Nothing);
    assert_eq!(planned(u64::MAX, Some(u64::MAX), usize::MAX, false, true), Plan::Scan, "nothing overflows");
}

#[test]
fn embeddings_are_laid_out_for_scattered_passages_once() {
    let wants =
        |matches, exact, matrix| Situation { passages: 100_000, matches, exact, expansion: 64, matrix }.wants_matrix();
    assert!(wants(Some(STORE_ROWS + 1), false, false) && wants(Some(90_000), true, false));
    assert!(!wants(Some(STORE_ROWS), false, false) && !wants(Some(1000), false, true));
    assert!(!wants(Some(90_000), false, false) && !wants(None, true, false));
}
