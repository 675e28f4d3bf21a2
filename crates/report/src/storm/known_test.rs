use super::*;

fn finding(what: &str) -> Finding {
    Finding {
        invariant: Invariant::I3,
        seq: 7,
        time_ns: 9,
        device: None,
        what: what.to_owned(),
        unfinished: false,
    }
}

fn entry(finding: &str) -> KnownFinding {
    let text = format!("version = 1\n[[known]]\ninvariant = \"I3\"\nfinding = '{finding}'\nreason = \"so\"");
    Known::read(&text).unwrap().findings.remove(0)
}

#[test]
fn a_sentence_may_be_given_as_it_was_printed_or_as_a_pattern() {
    let what = "CPU access to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back after flr";
    for (pattern, is) in [
        (what, true),
        ("CPU access to BAR 0 of ffff:00:01.0 at 0x1000 is not back after flr", true),
        ("CPU access to BAR # of # at # is not back after flr", true),
        ("CPU access * is not back after flr", true),
        ("*", true),
        ("*is not back*", true),
        ("CPU access to BAR # of # at # is not back after d0", false),
        ("*is not back", false),
        ("CPU access*flr*flr", false),
    ] {
        assert_eq!(entry(pattern).is(&finding(what)), is, "{pattern}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let entry = "version = 1\n[[known]]\n";
    for (text, says) in [
        ("", "the file needs `version`, which is 1"),
        ("version = 2", "the file needs `version`, which is 1"),
        ("version = 1\nknow = []", "the file has no `know`; did you mean `known`?"),
        ("version = 1\nknown = 3", "the file needs `known`, a list of tables: `[[known]]`"),
        (
            &format!("{entry}finding = 'x'\nreason = 'y'"),
            "known finding 1 needs `invariant`, `I1` to `I7` or `expectation`",
        ),
        (
            &format!("{entry}invariant = 'I3'\nfinding = 'x'"),
            "known finding 1 needs `reason`, why it is expected: without one nothing is",
        ),
        (
            &format!("{entry}invariant = 'I3'\nfinding = 'x'\nreason = ' '"),
            "known finding 1 needs `reason`, why it is expected: without one nothing is",
        ),
        (
            &format!("{entry}invariant = 'I3'\nfindings = 'x'"),
            "known finding 1 has no `findings`; did you mean `finding`?",
        ),
        (
            &format!("{entry}invariant = 'I3'\nfinding = 'x'\nreason = 'y'\nlane = 'moon'"),
            "known finding 1 needs `lane`, `model`, `kvm`, `lab` or `host`",
        ),
    ] {
        assert_eq!(Known::read(text).unwrap_err().to_string(), says);
    }
    assert!(matches!(Known::read("version ="), Err(NotKnown::NotToml(_))));
}
