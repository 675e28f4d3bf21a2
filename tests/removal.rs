//! A device is taken out of the machine under DMA: the VM gives it up, lives on, and keeps nothing
//! of it.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use common::journal::Journal;
use serde_json::json;
use std::path::Path;

const REMOVAL: &str = "removal";

fn replay(bench: &Bench, kernel: &Path, scenario: &str, words: &[&str]) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["replay", scenario, "--lane", "lab"]);
    command.arg("--kernel").arg(kernel).arg("--out").arg(bench.out()).args(words);
    bench.run(command)
}

#[test]
fn the_journal_says_all_of_it() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    replay(&bench, &kernel, REMOVAL, &["--seed", "4"]).ended(0);
    let journal = bench.journal();
    let opened = journal.all(&json!({"kind": "device_open", "text": "nvme-a 1b36:0010"}));
    let device = opened[0]["device"].clone();
    let of = |kind: &str| json!({"kind": kind, "device": device});
    let mut story = journal.story();
    story.then(json!({"kind": "administer", "phase": "begin", "device": device, "trigger": "remove"}));
    story.then(json!({"kind": "request", "device": device, "seen_by": "eventfd"}));
    // Two windows: slots first, then the file, then what is left of the mappings.
    for _ in 0..2 {
        let removed = json!({"kind": "slot_remove", "phase": "end", "device": device, "result": 0});
        story.without(of("trigger"), removed);
    }
    story
        .then(json!({"kind": "trigger", "phase": "end", "device": device, "trigger": "remove", "result": 0}));
    for _ in 0..2 {
        let unmapped = json!({"kind": "p2p_unmap", "phase": "end", "device": device, "result": 0});
        assert!(story.then(unmapped)["size"].is_string());
    }
    story.then(json!({"kind": "device_close", "device": device}));
    let rest = &journal.events[journal.position(0, &of("device_close"))..];
    for kind in ["slot_add", "p2p_map"] {
        assert!(!rest.iter().any(|event| event["kind"] == kind && event["device"] == device), "{kind}");
    }
    story.then(json!({"kind": "attach_probe", "phase": "end", "device": device, "errno": "ENODEV"}));
    story.then(json!({"kind": "faulted", "seen_by": "iommu_fault"}));
    story.then(json!({"kind": "landed", "text": "cpu", "value": 0x2222_2222}));
    story.then(json!({"kind": "landed", "text": "dma"}));
    for what in ["files of removed devices", "device files", "dma-buf files", "KiB of memory pinned for DMA"]
    {
        let left = journal.all(&json!({"kind": "leftover", "text": what}));
        assert!(!left.is_empty() && left.iter().all(|event| event["value"] == 0), "{what}: {left:?}");
    }
}

#[test]
fn at_whatever_moment() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = replay(&bench, &kernel, REMOVAL, &["--times", "6", "--seed", "20"]);
    ran.ended(0);
    assert!(ran.stdout.contains("pass  6 times"), "{}", ran.stdout);
}

#[test]
#[ignore = "takes minutes"]
fn fifty_times_at_random_moments() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = replay(&bench, &kernel, REMOVAL, &["--times", "50"]);
    ran.ended(0);
    assert!(ran.stdout.contains("pass  50 times"), "{}", ran.stdout);
}

/// The same, told to expect that peers still reach the device.
#[test]
fn a_time_that_does_not_pass_ends_it_and_is_kept() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenario/scenarios/removal.toml");
    let text = std::fs::read_to_string(shipped).unwrap();
    let wrong = text.replacen("expect = \"faults\"", "expect = \"lands\"", 1);
    assert_ne!(wrong, text);
    let file = bench.write("wrong.toml", &wrong);
    let ran = replay(&bench, &kernel, file.to_str().unwrap(), &["--times", "3", "--seed", "8"]);
    ran.ended(1);
    assert!(ran.stdout.contains("time 1 of 3 did not pass, seed 8"), "{}", ran.stdout);
    let kept = Journal::read(&bench.out().join("journal.jsonl"));
    assert_eq!(kept.all(&json!({"kind": "expectation", "result": 1})).len(), 1);
}

/// An administrator takes the device from vfio-pci while a guest's DMA goes to it: it is asked for, given up,
/// told of on the terminal, and nobody's afterwards; the rest of the VM lives on.
#[test]
fn a_device_that_is_unbound_is_given_up() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let actions = [
        "do = \"dma-start\"; engine = \"edu\"; to = { device = \"nvme\", bar = 2 }; pattern = 0x5a5a0001",
        "do = \"remove\"; device = \"nvme\"; unbind = true",
        "do = \"dma-finish\"; engine = \"edu\"; expect = \"either\"",
        "do = \"removed\"; device = \"nvme\"",
    ];
    bench.write("own.toml", common::scenario::of("unbind", &actions));
    let ran = replay(&bench, &kernel, "own.toml", &["--seed", "1"]);
    ran.ended(0).verdict("pass");
    let journal = bench.journal();
    let mut story = journal.story();
    let nvme = common::NVME;
    story.then(json!({"kind": "administer", "phase": "begin", "device": nvme, "text": "unbind"}));
    story.then(json!({"kind": "request", "device": nvme, "seen_by": "eventfd"}));
    story.then(json!({"kind": "trigger", "phase": "end", "device": nvme, "trigger": "remove", "result": 0}));
    story.then(json!({"kind": "expectation", "result": 0, "text": "nvme no longer has a driver"}));
    story.then(json!({"kind": "run_end", "result": 0}));
}
