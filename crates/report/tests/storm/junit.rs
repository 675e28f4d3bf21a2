//! JUnit XML, held against another reader of XML.

use crate::example::{NO_P2P, add, finding, green, header, known, quiet, red};
use barkeep_check::Ended;
use barkeep_report::storm::{Known, Storm, junit};
use proptest::prelude::*;
use roxmltree::{Document, Node};

fn text(storm: &Storm, known: &Known) -> String {
    let mut out = Vec::new();
    junit::write(&mut out, &storm.judge(known)).unwrap();
    String::from_utf8(out).unwrap()
}

fn cases<'a>(document: &'a Document<'_>) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name("testcase")).collect()
}

fn inside<'a>(case: &Node<'a, 'a>) -> Option<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let child = case.children().find(Node::is_element)?;
    Some((child.tag_name().name(), child.attribute("message"), child.text()))
}

#[test]
fn a_pass_says_what_it_was() {
    let text = text(&green(), &Known::default());
    let document = Document::parse(&text).unwrap();
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    for (name, value) in
        [("name", "storm flr in lane lab"), ("tests", "5"), ("failures", "0"), ("errors", "0")]
    {
        assert_eq!(suite.attribute(name), Some(value));
    }
    let properties = document.descendants().filter(|node| node.has_tag_name("property"));
    let properties: Vec<_> =
        properties.map(|node| (node.attribute("name").unwrap(), node.attribute("value").unwrap())).collect();
    let expected = [
        ("seed", "1"),
        ("commit", "51ffa7c"),
        ("kernel", "7.3.4"),
        ("clock", "lab, virtual time"),
        ("pauses", "0us..300us, one in 4"),
        ("resets of an episode", "1"),
    ];
    assert_eq!(properties, expected);
    let names: Vec<_> = cases(&document)
        .iter()
        .map(|case| (case.attribute("classname").unwrap(), case.attribute("name").unwrap(), inside(case)))
        .collect();
    let class = |group| ["lab.flr.episodes", "lab.flr.marks"][group];
    assert_eq!(
        names,
        [
            (class(0), "seed 1", None),
            (class(0), "seed 2", None),
            (class(0), "seed 3", None),
            (class(1), "dma-in-flight", None),
            (class(1), "cpu-met-outage", None),
        ]
    );
}

#[test]
fn a_failure_has_all_that_helps() {
    let text = text(&red(), &Known::default());
    let document = Document::parse(&text).unwrap();
    let (tag, message, details) = inside(&cases(&document)[1]).unwrap();
    assert_eq!(tag, "failure");
    assert!(message.unwrap().starts_with("I3 is broken") && message.unwrap().contains(NO_P2P));
    let details = details.unwrap();
    for line in [
        "  seq 7 at 5 ms: vcpu0 trigger FLR, nvme begins",
        "shrunk from 120 actions to 3",
        "again: barkeep replay out/storm/2/repro.toml --lane lab",
        "journal: out/storm/2/journal.jsonl",
    ] {
        assert!(details.lines().any(|told| told == line), "{line} in {details}");
    }
}

#[test]
fn what_is_known_or_was_skipped_is_no_failure_and_a_testbed_that_fails_is_an_error() {
    let known_text = text(&red(), &known(NO_P2P));
    let document = Document::parse(&known_text).unwrap();
    assert_eq!(inside(&cases(&document)[1]), Some(("skipped", Some("known: a bug of 7.3, reported"), None)));

    let mut storm = Storm::new(header());
    storm.skipped = Some("no <lab>".to_owned());
    let skipped_text = text(&storm, &Known::default());
    let document = Document::parse(&skipped_text).unwrap();
    assert_eq!(inside(&cases(&document)[0]), Some(("skipped", Some("no <lab>"), None)));

    let mut storm = Storm::new(header());
    add(&mut storm, 1, &quiet());
    storm.episodes[0].ended = Ended::Died { why: "QEMU was killed".to_owned() };
    let died_text = text(&storm, &Known::default());
    let document = Document::parse(&died_text).unwrap();
    assert_eq!(inside(&cases(&document)[0]).map(|(tag, ..)| tag), Some("error"));
}

#[test]
fn the_wall_clock_is_not_in_it() {
    let mut slow = green();
    slow.wall_clock_ns = Some(5);
    assert_eq!(text(&slow, &Known::default()), text(&green(), &Known::default()));
}

proptest! {
    #[test]
    fn nothing_that_is_found_breaks_it(what in any::<String>(), why in any::<String>()) {
        let mut storm = red();
        storm.header.scenario = what.clone();
        storm.header.options[0].value = why.clone();
        storm.episodes[0].findings.push(finding(&what));
        storm.episodes[2].ended = Ended::Died { why };
        let text = text(&storm, &Known::default());
        let document = Document::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(cases(&document).iter().filter(|case| inside(case).is_some()).count(), 3);
    }
}
