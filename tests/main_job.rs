//! The main job, from the command line to the journal: everything that revokes takes both ways
//! to a BAR away, and both come back, until the device file is closed.

mod common;

use common::bench::Bench;
use common::journal::{Journal, Story, number};
use common::{EDU, NVME, gate};
use serde_json::{Value, json};

#[test]
fn the_main_job_passes_and_its_journal_tells_why() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = bench.run_lab(&kernel, &[], &[]);
    ran.ended(0).verdict("pass");
    let journal = bench.journal();
    assert_eq!(journal.header, json!({"barkeep_journal": 1, "lane": "lab", "clock": "virtual"}));
    observations_say_by_what(&journal);
    steps_end(&journal);
    let mut story = journal.story();
    devices_and_exports(&mut story);
    both_ways_in(&mut story, "start");
    data_arrives(&mut story);
    flr_under_dma(&mut story);
    data_arrives(&mut story);
    away_until(&mut story, "decode_off", "decode_on");
    away_until(&mut story, "d3hot", "d0");
    device_reset_under_dma(&mut story);
    data_arrives(&mut story);
    closed_for_good(&mut story);
    story.then(json!({"kind": "run_end", "result": 0}));
    nothing_left(&journal);

    let mut check = bench.barkeep(["check"]);
    check.arg(bench.out().join("journal.jsonl"));
    bench.run(check).ended(0).verdict("pass");
}

fn observations_say_by_what(journal: &Journal) {
    for event in &journal.events {
        let kind = event["kind"].as_str().expect("a kind");
        let observed = ["revoked", "live", "landed", "not_landed", "faulted"].contains(&kind);
        assert_eq!(event["seen_by"].is_string(), observed, "{event}");
    }
}

fn steps_end(journal: &Journal) {
    for begin in journal.all(&json!({"phase": "begin"})) {
        // An outage spans many steps and has none of its own.
        if begin["step"] != 0 {
            let (kind, step) = (&begin["kind"], &begin["step"]);
            let ends = journal.all(&json!({"kind": kind, "phase": "end", "step": step}));
            assert_eq!(ends.len(), 1, "{begin}");
        }
    }
}

fn devices_and_exports(story: &mut Story<'_>) {
    story.then(json!({"kind": "device_open", "device": NVME}));
    story.step(json!({"kind": "bar_export", "device": NVME, "bar": 2, "size": "0x1000000"}));
    story.then(json!({"kind": "device_open", "device": EDU}));
    story.step(json!({"kind": "bar_export", "device": EDU, "bar": 0}));
}

/// The mapping for peers, and then the memory slot, at one and the same address.
fn both_ways_in(story: &mut Story<'_>, trigger: &str) {
    let window = |kind| json!({"kind": kind, "device": NVME, "bar": 2, "trigger": trigger});
    let (map, _) = story.step(window("p2p_map"));
    let (slot, _) = story.step(window("slot_add"));
    assert_eq!((&map["address"], &map["size"]), (&slot["address"], &slot["size"]));
    let mut out = window("outage");
    out["phase"] = "end".into();
    story.then(out);
}

/// A DMA that a guest CPU then finds where it should be.
fn data_arrives(story: &mut Story<'_>) {
    let start = story.then(json!({"kind": "dma_start", "device": EDU}));
    let landed = json!({
        "kind": "landed", "text": "dma", "seen_by": "guest_read", "device": NVME, "bar": 2,
        "address": "0x0", "value": start["value"],
    });
    story.without(json!({"kind": "faulted"}), landed);
}

/// The CPU's way is taken before the trigger and both are back after it; meanwhile the DMA in
/// flight faults, and an observer cannot attach.
fn flr_under_dma(story: &mut Story<'_>) {
    let dma = story.then(json!({"kind": "dma_start", "device": EDU}));
    story.step(json!({"kind": "slot_remove", "device": NVME, "bar": 2, "trigger": "flr"}));
    let flr = |phase| json!({"kind": "trigger", "phase": phase, "trigger": "flr", "device": NVME});
    let begin = story.then(flr("begin"));
    story.without(flr("end"), no_attach());
    let end = story.then(flr("end"));
    story.step(json!({"kind": "p2p_unmap", "device": NVME, "bar": 2, "trigger": "flr"}));
    both_ways_in(story, "flr");
    faulted_between(story, dma, begin, end);
    not_landed(story, dma);
    story.then(json!({"kind": "live", "seen_by": "errno", "result": 0, "device": NVME, "bar": 2}));
}

/// Away after one trigger: to an observer, to the CPU and to DMA. Back after the other, and
/// nothing of the DMA is there.
fn away_until(story: &mut Story<'_>, away: &str, back: &str) {
    story.step(json!({"kind": "slot_remove", "device": NVME, "bar": 2, "trigger": away}));
    trigger(story, away);
    story.step(json!({"kind": "p2p_unmap", "device": NVME, "bar": 2, "trigger": away}));
    story.then(json!({"kind": "expect", "device": NVME, "value": 0}));
    story.then(no_attach());
    story.then(json!({"kind": "action", "phase": "begin", "text": "verify nvme:2+0x0 reads all ones"}));
    story.then(json!({"kind": "action", "phase": "end", "result": 0}));
    let dma = story.then(json!({"kind": "dma_start", "device": EDU}));
    story.then(fault_of(dma));
    let begin = json!({"kind": "trigger", "phase": "begin", "device": NVME, "trigger": back});
    let begin = story.without(json!({"kind": "landed"}), begin);
    story.then(json!({"kind": "trigger", "phase": "end", "step": begin["step"], "result": 0}));
    both_ways_in(story, back);
    not_landed(story, dma);
    data_arrives(story);
}

fn device_reset_under_dma(story: &mut Story<'_>) {
    let dma = story.then(json!({"kind": "dma_start", "device": EDU}));
    let (begin, end) = trigger(story, "device_reset");
    both_ways_in(story, "device_reset");
    faulted_between(story, dma, begin, end);
    not_landed(story, dma);
}

fn closed_for_good(story: &mut Story<'_>) {
    story.step(json!({"kind": "slot_remove", "device": NVME, "bar": 2, "trigger": "close"}));
    trigger(story, "close");
    story.then(json!({"kind": "device_close", "device": NVME}));
    story.then(no_attach());
    let dma = story.then(json!({"kind": "dma_start", "device": EDU}));
    story.then(fault_of(dma));
    story.without(json!({"kind": "p2p_map", "device": NVME}), json!({"kind": "device_close", "device": EDU}));
}

fn trigger<'a>(story: &mut Story<'a>, name: &str) -> (&'a Value, &'a Value) {
    story.step(json!({"kind": "trigger", "trigger": name, "device": NVME}))
}

/// By the kernel's own stamp the fault was while the trigger was let through.
fn faulted_between(story: &mut Story<'_>, dma: &Value, begin: &Value, end: &Value) {
    let at = number(story.then(fault_of(dma)), "t_ns");
    assert!((number(begin, "t_ns")..number(end, "t_ns")).contains(&at), "faulted at {at}");
}

fn no_attach() -> Value {
    json!({"kind": "revoked", "seen_by": "errno", "errno": "ENODEV", "device": NVME, "bar": 2})
}

fn fault_of(dma: &Value) -> Value {
    json!({"kind": "faulted", "seen_by": "iommu_fault", "device": EDU, "address": dma["address"]})
}

fn not_landed(story: &mut Story<'_>, dma: &Value) {
    let not = json!({
        "kind": "not_landed", "text": "dma", "seen_by": "guest_read", "device": NVME, "bar": 2,
        "address": "0x0",
    });
    let found = story.without(json!({"kind": "landed", "text": "dma"}), not);
    assert_ne!(found["value"], dma["value"], "{found}");
}

fn nothing_left(journal: &Journal) {
    let counts = journal.all(&json!({"kind": "leftover"}));
    assert!(counts.len() >= 4, "files are counted: {counts:?}");
    assert!(counts.iter().all(|count| count["value"] == 0), "{counts:?}");
}
