//! The page about the faults says what the code does.

use barkeep_planted::Fault;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/sensitivity.md");
const SECTION: &str = "## Barkeep's own code";

fn rows() -> Vec<&'static str> {
    let section = PAGE.split(SECTION).nth(1).expect("the section");
    section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `")).collect()
}

/// All of a row but what a run has shown.
fn row(fault: Fault) -> String {
    let (name, what, order) = (fault.name(), fault.what(), fault.order().unwrap_or("–"));
    let (breaks, storm, lane) = (fault.breaks().name(), fault.storm(), fault.lane().name());
    format!("| `{name}` | {what} | {order} | {breaks} | `{storm}` | {lane} |")
}

#[test]
fn every_fault_has_its_row_and_no_other_has_one() {
    let rows = rows();
    let wanted: Vec<String> = Fault::ALL.iter().map(|fault| row(*fault)).collect();
    let missing: Vec<&String> =
        wanted.iter().filter(|row| !rows.iter().any(|line| line.starts_with(row.as_str()))).collect();
    assert!(
        missing.is_empty(),
        "not on the page:\n{}",
        missing.iter().map(|row| format!("{row}\n")).collect::<String>()
    );
    assert_eq!(rows.len(), Fault::ALL.len(), "{rows:#?}");
}

#[test]
fn names_are_names_and_there_are_enough_of_every_sort() {
    let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
    assert!(names.iter().all(|name| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }));
    assert!(names.len() >= 24);
    let in_order = |fault: &&Fault| fault.order().is_some_and(|order| order.split(", ").count() >= 3);
    assert!(Fault::ALL.iter().filter(in_order).count() >= 5);
    let of_kernel = |fault: &&Fault| fault.what().starts_with("simulated kernel:");
    assert!(Fault::ALL.iter().filter(of_kernel).count() >= 5);
}

#[test]
fn a_build_without_faults_has_none() {
    if cfg!(feature = "planted") {
        return;
    }
    assert!(!Fault::ALL.iter().any(|fault| barkeep_planted::is_planted(*fault)));
    assert_eq!((barkeep_planted::label(), barkeep_planted::name()), (String::new(), None));
    let mut progress = barkeep_planted::Progress::default();
    progress.set(1);
    assert_eq!((progress.get(), size_of_val(&progress)), (0, 0));
}
