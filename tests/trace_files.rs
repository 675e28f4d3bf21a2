//! Files that `trace` writes: the still, and the trace for Perfetto, read by eyes of their own.

mod common;

use common::bench::Bench;
use common::traced::{JOURNAL, barkeep, main_job, many};
use common::{gate, protobuf, tally};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_still_is_xml_and_the_same_each_time() {
    for (bench, around) in [(main_job(), "revoke:1"), (many(1200), "revoke:100")] {
        for words in [&["--svg", "one.svg"][..], &["--around", around, "--svg", "one.svg"]] {
            barkeep(&bench, &[&["trace", JOURNAL], words].concat()).ended(0);
            let one = bench.read("one.svg");
            barkeep(&bench, &[&["trace", JOURNAL], words].concat()).ended(0);
            assert_eq!(one, bench.read("one.svg"));
            assert!(one.len() < 2_000_000, "{} bytes", one.len());
            let document = roxmltree::Document::parse(&one).unwrap();
            let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
            for lane in ["guest", "VMM", "kernel", "exporter", "importer"] {
                assert!(texts.contains(&lane), "{lane} is not in {texts:?}");
            }
        }
    }
}

/// A slice of the trace: track, name, begin and end.
type Drawn = (u64, String, u64, Option<u64>);

#[test]
fn the_perfetto_trace_has_what_the_journal_has() {
    let bench = many(20);
    let journal = bench.journal();
    barkeep(&bench, &["trace", JOURNAL, "--perfetto", "run.pftrace"]).ended(0);
    let bytes = fs::read(bench.path("run.pftrace")).unwrap();
    let mut names = BTreeMap::new();
    let mut open: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let (mut slices, mut flows, mut ends): (Vec<Drawn>, Vec<u64>, Vec<u64>) = Default::default();
    let mut events = Vec::new();
    for packet in protobuf::bytes(&bytes, 1) {
        for track in protobuf::bytes(packet, 60) {
            names.insert(protobuf::number(track, 1).unwrap(), protobuf::text(track, 2).unwrap());
        }
        events.extend(
            protobuf::bytes(packet, 11).into_iter().map(|e| (protobuf::number(packet, 8).unwrap(), e)),
        );
    }
    // As Perfetto does: by time, and of one time in the order in which they were written.
    events.sort_by_key(|(time, _)| *time);
    for (time, event) in events {
        let track = protobuf::number(event, 11).unwrap();
        assert!(names.contains_key(&track), "a track without a name");
        flows.extend(protobuf::numbers(event, 47));
        ends.extend(protobuf::numbers(event, 48));
        match protobuf::number(event, 9).unwrap() {
            1 => {
                open.entry(track).or_default().push(slices.len());
                slices.push((track, protobuf::text(event, 23).unwrap(), time, None));
            }
            2 => {
                let begun = open.get_mut(&track).and_then(Vec::pop).expect("an end without a begin");
                slices[begun].3 = Some(time);
            }
            4 => {}
            other => panic!("an event of type {other}"),
        }
    }
    assert!(slices.iter().all(|(_, _, begin, end)| end.is_none_or(|end| end >= *begin)));
    let lanes: Vec<_> = names.values().map(String::as_str).collect();
    for lane in ["guest", "VMM", "kernel", "exporter", "importer", "windows away: CPU", "state of nvme"] {
        assert!(lanes.contains(&lane), "{lane} is not in {lanes:?}");
    }
    // Each step that is in the journal is a slice, with its times.
    let of = |kind: &str, end: bool| {
        let phase = if end { "end" } else { "begin" };
        let mut times: Vec<u64> = journal
            .all(&json!({"kind": kind, "phase": phase}))
            .iter()
            .map(|event| event["t_ns"].as_u64().unwrap())
            .collect();
        times.sort_unstable();
        times
    };
    for (kind, name) in
        [("p2p_map", "map"), ("p2p_unmap", "unmap"), ("slot_add", "put slot back"), ("find_out", "find out")]
    {
        let mut drawn: Vec<_> = slices.iter().filter(|slice| slice.1 == name).collect();
        drawn.sort_by_key(|slice| slice.2);
        assert_eq!(drawn.iter().map(|slice| slice.2).collect::<Vec<_>>(), of(kind, false), "{kind}");
        let mut ended: Vec<_> = drawn.iter().map(|slice| slice.3.unwrap()).collect();
        ended.sort_unstable();
        assert_eq!(ended, of(kind, true), "{kind}");
    }
    flows.sort_unstable();
    assert_eq!(flows, (1..=tally::revokes(&journal)).collect::<Vec<_>>(), "each revoke begins a flow");
    ends.dedup();
    // What was closed does not come back.
    let back = tally::revokes(&journal) - journal.all(&json!({"kind": "device_close"})).len() as u64;
    let mut brought: Vec<_> = ends.clone();
    brought.sort_unstable();
    brought.dedup();
    assert_eq!(brought, (1..=back).collect::<Vec<_>>(), "each that came back ends one");
    published_schema(&bench);
}

/// Held to Perfetto's own classes: every field is one of theirs, and of its type.
fn published_schema(bench: &Bench) {
    let python = std::env::var_os("BARKEEP_TEST_PERFETTO").filter(|python| !python.is_empty());
    let Some(python) = python else {
        return gate::say(
            "skipped: Perfetto's own schema: BARKEEP_TEST_PERFETTO is not set (scripts/perfetto-schema gets it)",
        );
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/perfetto-schema.py");
    let ran = Command::new(&python).arg(script).arg(bench.path("run.pftrace")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The first picture of the README: of the demo's journal, by the command that stands above it. What depends on
/// how the kernel was compiled is a number, and where it stands: all else is the same.
#[test]
fn the_readmes_picture_is_of_the_demos_journal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, command) = readme.split_once("`barkeep trace out/demo/journal.jsonl ").expect("the command");
    let command = command.split_once("--svg FILE`").unwrap().0;
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &[]).ended(0);
    let words: Vec<_> = ["trace", JOURNAL].into_iter().chain(command.split_whitespace()).collect();
    barkeep(&bench, &[&words[..], &["--svg", "picture.svg"]].concat()).ended(0);
    let there = fs::read_to_string(root.join("docs/pictures/revoke.svg")).unwrap();
    let now = bench.read("picture.svg");
    let again = format!(
        "`barkeep trace out/demo/journal.jsonl {command}--svg docs/pictures/revoke.svg` makes it anew"
    );
    assert_eq!(said(&there), said(&now), "docs/pictures/revoke.svg is not current: {again}");
}

/// What a picture says of each thing in it, its numbers aside.
fn said(picture: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(picture).unwrap();
    let titles = document.descendants().filter(|node| node.has_tag_name("title"));
    let texts = titles.filter_map(|title| title.text());
    let parts = texts
        .map(|text| text.split(|c: char| c.is_ascii_digit() || c == '.').filter(|p| !p.is_empty()).collect());
    parts.map(|parts: Vec<&str>| parts.join("#").replace(" ms", " time").replace(" us", " time")).collect()
}
