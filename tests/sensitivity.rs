//! The verdict fails where it should: one that always passes would pass all other tests.

mod common;

use common::bench::{Bench, Ran};
use common::journal::Journal;
use common::{NVME, gate, scenario};
use serde_json::{Value, json};

const OFF: &str = "do = \"decode-off\"; device = \"nvme\"";

#[test]
fn an_expectation_that_is_not_met_is_a_finding() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.write("wrong.toml", scenario::of("wrong", &[OFF, &scenario::dma(0x5a5a_0001, "lands")]));
    let ran = bench.run_lab(&kernel, &[], &["replay", "wrong.toml"]);
    finds(&ran, &["expectation"], "the DMA should land");
    let mut check = bench.barkeep(["check"]);
    check.arg(bench.out().join("journal.jsonl"));
    finds(&bench.run(check), &["expectation"], "the DMA should land");
}

/// A journal of a run in which all was well, and what is made of it when a line is not.
#[test]
fn a_journal_tampered_with_is_found_out() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let attach = "do = \"attach\"; to = { device = \"nvme\", bar = 2 }; expect = \"ENODEV\"";
    let flr = "do = \"flr\"; device = \"nvme\"";
    bench.write(
        "story.toml",
        scenario::of("story", &[&scenario::dma(0x5a5a_0001, "lands"), flr, OFF, attach]),
    );
    bench.run_lab(&kernel, &[], &["replay", "story.toml"]).ended(0).verdict("pass");
    let journal = bench.journal();
    judge(&bench, &journal).ended(0).verdict("pass");
    let journal = in_sequence(journal);
    judge(&bench, &journal).ended(0).verdict("pass");
    finds(&judge(&bench, &without_the_map_after_the_flr(&journal)), &["I3"], "peer-to-peer DMA to BAR 2");
    finds(&judge(&bench, &with_data_landed_in_the_outage(&journal)), &["I1"], "BAR 2");
    cut_in_its_last_line(&bench, &journal);
}

/// `barkeep check` of a journal.
fn judge(bench: &Bench, journal: &Journal) -> Ran {
    journal.write(&bench.path("judged.jsonl"));
    bench.run(bench.barkeep(["check", "judged.jsonl"]))
}

/// Status 1, findings of these invariants and no others, one of them with these words.
#[track_caller]
fn finds(ran: &Ran, invariants: &[&str], words: &str) {
    ran.ended(1).verdict("FAIL");
    let names = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "expectation"];
    let titles: Vec<_> =
        names.into_iter().filter(|name| ran.stdout.contains(&format!("\n{name}: "))).collect();
    assert_eq!(titles, invariants, "{}", ran.stdout);
    // The report breaks its lines where it likes.
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "`{words}` is not in {}", ran.stdout);
}

/// Events numbered one after the other, so that one taken out is not missed by its number.
fn in_sequence(mut journal: Journal) -> Journal {
    for (n, event) in journal.events.iter_mut().enumerate() {
        event["seq"] = n.into();
    }
    journal
}

fn without_the_map_after_the_flr(journal: &Journal) -> Journal {
    let mut journal = journal.clone();
    let map = json!({"kind": "p2p_map", "trigger": "flr", "device": NVME, "bar": 2});
    let taken = journal.all(&map).len();
    assert_eq!(taken, 2, "a begin and an end");
    let keep = |event: &Value| map.as_object().unwrap().iter().any(|(field, value)| event[field] != *value);
    journal.events.retain(keep);
    in_sequence(journal)
}

/// In the place of the failed attach a CPU has written to the BAR.
fn with_data_landed_in_the_outage(journal: &Journal) -> Journal {
    let mut journal = journal.clone();
    let place = journal.position(0, &json!({"kind": "revoked", "seen_by": "errno"}));
    let mut landed = json!({
        "kind": "landed", "text": "cpu", "actor": "guest0", "seen_by": "guest_read", "device": NVME,
        "bar": 2, "address": "0x0", "size": "0x1000", "value": 1,
    });
    for field in ["seq", "t_ns", "lane", "clock"] {
        landed[field] = journal.events[place][field].clone();
    }
    journal.events[place] = landed;
    journal
}

fn cut_in_its_last_line(bench: &Bench, journal: &Journal) {
    journal.write(&bench.path("whole.jsonl"));
    let text = bench.read("whole.jsonl");
    bench.write("cut.jsonl", &text[..text.len() - 10]);
    let lines = journal.events.len() + 1;
    let ran = bench.run(bench.barkeep(["check", "cut.jsonl"]));
    ran.ended(2).tells(&["cut.jsonl", &format!("line {lines}: the file ends in the middle of this line")]);
}
