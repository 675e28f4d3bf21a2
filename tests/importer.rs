//! A device beside the VM, of another driver's, that imports a window: the main job with it, what it was told and
//! when, and who cannot have one.

mod common;

use common::bench::Bench;
use common::journal::{Journal, number};
use common::{NVME, gate};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The device that imports, in topology `importer`.
const IMPORTER: &str = "0000:00:05.0";

fn happened(what: &str) -> Value {
    json!({"kind": "importer_event", "actor": "importer_driver", "seen_by": "importer_record", "text": what,
           "device": NVME, "bar": 2})
}

fn step(what: &str, phase: &str) -> Value {
    json!({"kind": "importer_step", "actor": "importer_driver", "phase": phase, "text": what})
}

fn dma(kind: &str) -> Value {
    json!({"kind": kind, "text": "importer", "seen_by": "guest_read"})
}

/// What the importer recorded of a trigger lies between its begin and its end, by the order of events and by the
/// kernel's own stamps: told, let go (or held on first), and told once more that access is about to be back.
#[track_caller]
fn told_within(journal: &Journal, trigger: &str, records: &[&str]) {
    let begin = journal.position(0, &json!({"kind": "trigger", "phase": "begin", "trigger": trigger}));
    let end = json!({"kind": "trigger", "phase": "end", "step": journal.events[begin]["step"]});
    let end = journal.position(begin, &end);
    let within = &journal.events[begin + 1..end];
    let told: Vec<&Value> = within.iter().filter(|event| event["kind"] == "importer_event").collect();
    assert_eq!(told.iter().map(|event| event["text"].as_str().unwrap()).collect::<Vec<_>>(), records);
    let (from, to) = (number(&journal.events[begin], "t_ns"), number(&journal.events[end], "t_ns"));
    for event in told {
        assert!((from..=to).contains(&number(event, "t_ns")), "{trigger}: {event}");
    }
}

#[test]
fn the_main_job_beside_an_importer() {
    for variable in [gate::PLAIN, gate::MMAP] {
        let Some(kernel) = gate::kernel(variable) else { return };
        let bench = Bench::new();
        bench.run_lab(&kernel, &[], &["replay", "importer"]).ended(0).verdict("pass");
        let journal = bench.journal();
        told_within(&journal, "flr", &["told", "let-go", "told"]);
        told_within(&journal, "decode_off", &["told", "let-go"]);
        told_within(&journal, "decode_on", &["told"]);
        told_within(&journal, "d3hot", &["told", "let-go"]);
        told_within(&journal, "d0", &["told"]);
        told_within(&journal, "device_reset", &["told", "held", "let-go", "told"]);
        told_within(&journal, "close", &["told", "held", "let-go"]);
        it_held_on_for_50_ms(&journal);
        its_dma_lands_and_faults(&journal);
        it_is_in_its_lane(&bench);
    }
}

/// And the reset waited for it.
fn it_held_on_for_50_ms(journal: &Journal) {
    let mut story = journal.story();
    let held = story.then(happened("held"));
    let gone = story.then(happened("let-go"));
    let held_for = number(gone, "t_ns") - number(held, "t_ns");
    // In virtual time this is no measurement: it is what was asked for, to a tick of the kernel's.
    assert!((50_000_000..70_000_000).contains(&held_for), "{held_for} ns");
    story.then(json!({"kind": "trigger", "phase": "end", "trigger": "device_reset", "result": 0}));
}

fn its_dma_lands_and_faults(journal: &Journal) {
    let mut story = journal.story();
    let (_, map) =
        (story.then(step("map", "begin")), story.then(json!({"kind": "importer_step", "phase": "end"})));
    let begin = number(map, "value");
    let start = story.then(json!({"kind": "dma_start", "actor": "importer_driver", "device": IMPORTER}));
    // The window begins a page before the place that it writes to.
    assert_eq!(start["address"], format!("{:#x}", begin + 4096));
    story.then(dma("landed"));
    // In flight at the FLR: it met what was left, and so did one by the address of before.
    let faulted = json!({"kind": "faulted", "seen_by": "iommu_fault", "device": IMPORTER});
    let in_flight = story.then(json!({"kind": "dma_start", "actor": "importer_driver"}));
    story.then(json!({"kind": "trigger", "phase": "begin", "trigger": "flr"}));
    story.then(happened("let-go"));
    let fault = story.without(dma("landed"), faulted.clone());
    assert_eq!(fault["address"].as_str().map(page), in_flight["address"].as_str().map(page));
    story.then(json!({"kind": "dma_start", "actor": "importer_driver", "address": in_flight["address"]}));
    story.without(dma("landed"), faulted);
    story.then(dma("not_landed"));
    // It faults in again.
    story.then(step("use", "begin"));
    story.then(happened("mapped"));
    story.then(dma("landed"));
    assert_eq!(journal.all(&dma("landed")).len(), 5);
}

fn page(address: &str) -> u64 {
    u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap() >> 12
}

/// `trace` has all of it in the importer's column.
fn it_is_in_its_lane(bench: &Bench) {
    let mut command = bench.barkeep(["trace"]);
    command.arg(bench.out().join("journal.jsonl"));
    let ran = bench.run(command);
    let told: Vec<&str> =
        ran.ended(0).stdout.lines().filter(|line| line.contains("the importer: told")).collect();
    assert!(told.len() >= 9, "{}", ran.stdout);
    let column = ran.stdout.lines().find_map(|line| line.find("  G V K E I")).unwrap() + "  G V K E ".len();
    for line in told {
        assert_eq!(line.chars().nth(column), Some('•'), "{line}");
    }
}

#[test]
fn who_has_no_kernel_or_no_module_is_told() {
    let bench = Bench::new();
    for lane in ["model", "kvm"] {
        let ran = bench.run(bench.barkeep(["replay", "importer", "--lane", lane]));
        ran.ended(2).tells(&["`importer` import", "--lane lab", "scripts/kernel --importer"]);
    }
    let kernel = bench.write("bzImage", common::dummies::bzimage());
    bench
        .run(bench.lab(&kernel, &[], &["replay", "importer"]))
        .ended(2)
        .tells(&["barkeep_importer.ko", "scripts/kernel --importer"]);
}

/// A folder with this kernel, and a module beside it made by `change` of the one that fits.
fn with_module(bench: &Bench, kernel: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut module = fs::read(kernel.with_file_name("barkeep_importer.ko")).unwrap();
    change(&mut module);
    bench.write("kernel/barkeep_importer.ko", module);
    symlink(kernel, bench.path("kernel/bzImage")).unwrap();
    bench.path("kernel/bzImage")
}

#[test]
fn a_module_of_other_sources_is_refused_before_anything_is_booted() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    const VERSION: &[u8] = b"\0version=1\0";
    let at = |module: &[u8]| module.windows(VERSION.len()).position(|word| word == VERSION).unwrap();
    let newer = |module: &mut Vec<u8>| {
        let at = at(module);
        module[at + VERSION.len() - 2] = b'9';
    };
    let older = |module: &mut Vec<u8>| {
        let at = at(module);
        module[at + 1..][..7].copy_from_slice(b"was_of=");
    };
    let refused = |change: &dyn Fn(&mut Vec<u8>), words: &[&str]| {
        for inner in [&["replay", "importer"][..], &["exporter"]] {
            let bench = Bench::new();
            let kernel = with_module(&bench, &kernel, change);
            bench.run_lab(&kernel, &[], inner).ended(2).tells(words);
            assert!(!bench.out().join("journal.jsonl").exists(), "{inner:?} was booted");
        }
    };
    refused(&newer, &["speaks version 9", "version 1 of its interface", "scripts/kernel --importer"]);
    refused(&older, &["before there were any", "scripts/kernel --importer"]);
}
