//! What `explain` says of a journal, and `diff` of two.

mod common;

use common::traced::{JOURNAL, barkeep, main_job, many};
use serde_json::{Value, json};

#[test]
fn explain_says_who_took_it_and_who_brought_it_back() {
    let bench = main_job();
    let explained =
        |words: &[&str]| barkeep(&bench, &[&["explain", JOURNAL], words].concat()).ended(0).stdout.clone();
    let flr = explained(&["revoke:1"]);
    for sentence in [
        "CPU access is away",
        "Peers' DMA is away",
        "FLR took it, revoke:1, by vcpu",
        "Who should bring it back: the VMM",
        "Did it come back: yes",
    ] {
        assert!(flr.contains(sentence), "`{sentence}` is not in:\n{flr}");
    }
    let journal = bench.journal();
    let target = journal.all(&json!({"kind": "p2p_map"}))[0];
    let (address, device) = (target["address"].as_str().unwrap(), target["device"].as_str().unwrap());
    let off = explained(&[address, "--at", "revoke:2"]);
    assert!(off.contains("decode off took it, revoke:2"), "{off}");
    assert!(off.contains("whoever took it away: the registers say that memory decode is off"), "{off}");
    assert!(off.contains("with decode on"), "{off}");
    let closed = explained(&[&format!("{device}:2")]);
    assert!(closed.contains("nobody can: the device was given up"), "{closed}");
    assert!(closed.contains("Did it come back: no"), "{closed}");
    let landed = journal.all(&json!({"kind": "landed"}))[0];
    let there = explained(&["nvme:2", "--at", &format!("seq:{}", landed["seq"])]);
    assert!(there.contains("CPU access is there since"), "{there}");
    assert!(explained(&["0x123"]).contains("No window of this journal is at 0x123"));
}

/// A journal as a faulty VMM would have left it: steps that did not come, or came to an errno.
#[test]
fn explain_names_the_cause() {
    let bench = main_job();
    let good = bench.journal();
    let flr = |event: &Value, kind: &str| event["kind"] == kind && event["trigger"] == "flr";
    let without = |kinds: &[&str]| {
        let mut journal = good.clone();
        journal.events.retain(|event| !kinds.iter().any(|kind| flr(event, kind)));
        journal
    };
    let mut refused = without(&["p2p_unmap"]);
    for event in refused.events.iter_mut().filter(|event| flr(event, "p2p_map") && event["phase"] == "end") {
        event["result"] = (-17).into();
    }
    let mut stuck = good.clone();
    let end = good.events.iter().position(|event| flr(event, "trigger") && event["phase"] == "end").unwrap();
    stuck.events.truncate(end);
    let cases = [
        (
            "unmap-forgotten",
            refused,
            "EEXIST: the dead mapping still holds the IOVA, for the VMM did not unmap it before",
        ),
        (
            "map-forgotten",
            without(&["p2p_map"]),
            "that the function decodes, never tried to map, and called it live",
        ),
        ("no-look", without(&["find_out", "p2p_map"]), "did not ask the registers"),
        ("hang", stuck, "FLR is not over: trigger began at seq"),
    ];
    for (name, journal, cause) in cases {
        journal.write(&bench.path("faulty.jsonl"));
        let ran = barkeep(&bench, &["explain", "faulty.jsonl", "nvme:2", "--at", "revoke:1"]);
        let told = ran.ended(0).stdout.lines().any(|line| line.contains("Cause: ") && line.contains(cause));
        assert!(told, "{name}:\n{}", ran.stdout);
    }
}

#[test]
fn diff_shows_where_two_journals_part() {
    let bench = many(5);
    let same = barkeep(&bench, &["diff", JOURNAL, JOURNAL, "--times"]);
    assert!(same.ended(0).stdout.contains("They do not part"), "{}", same.stdout);
    let mut other = bench.journal();
    let at = other.position(0, &json!({"kind": "p2p_map", "phase": "end", "trigger": "decode_on"}));
    other.events[at]["result"] = (-19).into();
    other.write(&bench.path("other.jsonl"));
    let parted = barkeep(&bench, &["diff", JOURNAL, "other.jsonl"]);
    let out = &parted.ended(1).stdout;
    let seq = other.events[at]["seq"].to_string();
    let first = |letter: &str| {
        out.lines().find(|line| line.starts_with(letter) && !line.contains("virtual")).unwrap()
    };
    for (letter, text) in [("A ", "mapped"), ("B ", "map: ENODEV")] {
        let line = first(letter);
        assert!(line.contains(&seq) && line.contains(text), "{line}\n{out}");
    }
    assert!(out.contains("P2P, by the VMM: p50"), "{out}");
    let changed =
        out.lines().find(|line| line.starts_with("decode_on: not back")).expect("what differs in number");
    assert!(changed.ends_with("differs"), "{changed}");
    // Times alone.
    let mut later = bench.journal();
    let last = later.events.len() - 1;
    later.events[last]["t_ns"] = (later.events[last]["t_ns"].as_u64().unwrap() + 1).into();
    later.write(&bench.path("later.jsonl"));
    barkeep(&bench, &["diff", JOURNAL, "later.jsonl"]).ended(0);
    barkeep(&bench, &["diff", JOURNAL, "later.jsonl", "--times"]).ended(1);
    // Of another clock nothing is compared.
    let mut hardware = bench.journal();
    hardware.header["clock"] = "hardware".into();
    hardware.write(&bench.path("hardware.jsonl"));
    let out = barkeep(&bench, &["diff", JOURNAL, "hardware.jsonl"]).stdout;
    assert!(out.contains("not comparable") && !out.contains(" %"), "{out}");
}
