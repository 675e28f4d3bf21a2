//! KTAP, held against a reader of its own: lines as Documentation/dev-tools/ktap.rst has them.

use crate::example::{NO_P2P, add, finding, green, header, known, quiet, red};
use barkeep_check::Ended;
use barkeep_report::storm::{Known, Storm, ktap};
use proptest::prelude::*;

/// A result line and, nested in it, the results before it.
#[derive(Debug, PartialEq, Eq)]
struct Test {
    ok: bool,
    name: String,
    directive: Option<String>,
    within: Vec<Test>,
}

/// Reads a level: its version, its plan, its results. Panics where that is not KTAP.
fn level<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, depth: usize) -> Vec<Test> {
    let indent = "  ".repeat(depth);
    let mut line = || lines.next_if(|line| line.starts_with(&indent)).map(|line| &line[indent.len()..]);
    assert_eq!(line(), Some("KTAP version 1"));
    let plan: usize = line().unwrap().strip_prefix("1..").unwrap().parse().unwrap();
    let mut tests = Vec::new();
    while tests.len() < plan {
        let nested = lines.peek().is_some_and(|line| *line == format!("{indent}  KTAP version 1"));
        let within = if nested { level(lines, depth + 1) } else { Vec::new() };
        let line = loop {
            let line = lines.next().unwrap().strip_prefix(&indent).unwrap();
            if !line.starts_with("# ") {
                break line;
            }
        };
        let (ok, rest) = match (line.strip_prefix("not ok "), line.strip_prefix("ok ")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => panic!("no result line: {line}"),
        };
        let rest = rest.strip_prefix(&format!("{} ", tests.len() + 1)).unwrap();
        let (name, directive) = match rest.split_once(" # ") {
            Some((name, directive)) => (name, Some(directive.to_owned())),
            None => (rest, None),
        };
        assert!(!name.contains('#'), "{line}");
        tests.push(Test { ok, name: name.to_owned(), directive, within });
    }
    tests
}

fn read(storm: &Storm, known: &Known) -> Test {
    let mut out = Vec::new();
    ktap::write(&mut out, &storm.judge(known)).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().peekable();
    let mut tests = level(&mut lines, 0);
    assert_eq!((lines.next(), tests.len()), (None, 1));
    tests.remove(0)
}

/// Of a case: whether it is ok, its name, its directive.
type Case<'a> = (bool, &'a str, Option<&'a str>);

fn results(test: &Test) -> Vec<(&str, Vec<Case<'_>>)> {
    test.within
        .iter()
        .map(|group| {
            let cases = group.within.iter();
            (
                group.name.as_str(),
                cases.map(|case| (case.ok, case.name.as_str(), case.directive.as_deref())).collect(),
            )
        })
        .collect()
}

#[test]
fn a_pass() {
    let test = read(&green(), &Known::default());
    assert!(test.ok);
    assert_eq!(
        results(&test),
        [
            ("episodes", vec![(true, "seed 1", None), (true, "seed 2", None), (true, "seed 3", None)]),
            ("marks", vec![(true, "dma-in-flight", None), (true, "cpu-met-outage", None)]),
        ]
    );
}

#[test]
fn a_failure_a_hang_and_a_testbed_that_went_away() {
    let mut storm = red();
    storm.episodes[0].ended = Ended::TimedOut;
    storm.episodes[2].ended = Ended::Died { why: "QEMU was killed".to_owned() };
    let test = read(&storm, &Known::default());
    assert!(!test.ok);
    let episodes = &results(&test)[0].1;
    assert_eq!(episodes[0], (false, "seed 1", Some("TIMEOUT it did not end in its time")));
    let broken =
        format!("I3 is broken (what was revoked comes back, or its failure is loud): {NO_P2P} (seq ");
    assert!(episodes[1].2.unwrap().starts_with(&broken), "{:?}", episodes[1]);
    assert_eq!(episodes[2], (false, "seed 3", Some("ERROR it was cut off: QEMU was killed")));
}

#[test]
fn known_findings_marks_that_are_missing_and_a_skip() {
    let test = read(&red(), &known(NO_P2P));
    assert!(test.ok);
    let groups = results(&test);
    assert_eq!(groups[0].1[1], (true, "seed 2", Some("XFAIL a bug of 7.3, reported")));
    assert_eq!(groups[2].0, "known");

    let mut quiet_one = Storm::new(header());
    add(&mut quiet_one, 1, &quiet());
    let test = read(&quiet_one, &known("gone"));
    let groups = results(&test);
    assert!(groups[1].1.iter().chain(&groups[2].1).all(|case| !case.0));

    let mut skipped = Storm::new(header());
    skipped.skipped = Some("no /dev/kvm here".to_owned());
    let test = read(&skipped, &Known::default());
    assert_eq!((test.ok, test.directive.as_deref()), (true, Some("SKIP no /dev/kvm here")));
}

#[test]
fn of_many_episodes_several_stand_in_one_case() {
    let verdict = quiet();
    let mut storm = Storm::new(header());
    (1..=2_500).for_each(|seed| add(&mut storm, seed, &verdict));
    storm.episodes[1_700].findings.push(finding("x"));
    let test = read(&storm, &Known::default());
    let episodes = &results(&test)[0].1;
    assert_eq!((episodes.len(), episodes[0].1, episodes[833].1), (834, "seeds 1 to 3", "seed 2500"));
    let failed: Vec<_> = episodes.iter().filter(|case| !case.0).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].2.unwrap().starts_with("1 of 3 episodes failed, first seed 1701: I3 is broken"));
}

proptest! {
    #[test]
    fn nothing_that_is_found_breaks_it(what in any::<String>(), why in any::<String>(), name in "[^ ].*") {
        let mut storm = red();
        storm.header.scenario = name;
        storm.header.commit = why.clone();
        storm.episodes[0].findings.push(finding(&what));
        storm.episodes[2].ended = Ended::Died { why };
        let test = read(&storm, &Known::default());
        prop_assert_eq!(results(&test)[0].1.iter().filter(|case| !case.0).count(), 3);
    }
}
