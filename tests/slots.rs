//! What guest memory slots stand on: with mmap() of a dma-buf the dma-buf itself, without it the device's
//! region. Nothing else differs, so the main job and the storms pass on both kernels.

mod common;

use common::bench::Bench;
use common::journal::Journal;
use common::main_job::Cast;
use common::{EDU, NVME, gate, storms};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The kernels, and what slots stand on there.
const KERNELS: [(&str, &str); 2] = [(gate::PLAIN, "region"), (gate::MMAP, "dma-buf")];

/// Every slot stands on `backing`, and each window that was exported has had one. Gives how many slots there
/// were.
#[track_caller]
fn all_stand_on(backing: &str, journal: &Journal) -> usize {
    let added = journal.all(&json!({"kind": "slot_add", "phase": "begin"}));
    for slot in &added {
        assert_eq!(slot["text"], backing, "{slot}");
    }
    let window = |event: &Value| (event["device"].to_string(), event["bar"].to_string());
    let exported = journal.all(&json!({"kind": "bar_export", "phase": "end", "result": 0}));
    let exported: BTreeSet<_> = exported.into_iter().map(window).collect();
    let slots: BTreeSet<_> = added.iter().copied().map(window).collect();
    assert!(!exported.is_empty());
    assert_eq!(slots, exported, "a slot for each BAR that was exported, and for no other");
    added.len()
}

#[test]
fn the_main_job_passes_on_both() {
    for (variable, backing) in KERNELS {
        let Some(kernel) = gate::kernel(variable) else { return };
        let bench = Bench::new();
        bench.run_lab(&kernel, &[], &[]).ended(0).verdict("pass");
        let journal = bench.journal();
        Cast { nvme: NVME, edu: EDU }.told(&journal);
        let slots = all_stand_on(backing, &journal);
        // At the start, and after each of the four that it takes away and brings back.
        assert!(slots > 8, "{slots}");
    }
}

/// The journals that a storm in the lab has kept, one of each episode.
fn journals(bench: &Bench) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(bench.out().join("episodes")).unwrap();
    let journals = folders.map(|folder| folder.unwrap().path().join("journal.jsonl"));
    journals.filter(|journal| journal.exists()).collect()
}

/// A storm passes, and in each of its episodes every slot stands on `backing`. Gives resets and slots.
#[track_caller]
fn passes(kernel: &Path, storm: &str, resets: &str, backing: &str) -> (u64, usize) {
    let bench = Bench::new();
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["storm", storm, "--lane", "lab", "--count", resets, "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out());
    bench.run(command).ended(0);
    let record = storms::record(&bench);
    let episodes = record["episodes"].as_array().unwrap();
    let journals = journals(&bench);
    assert_eq!(journals.len(), episodes.len(), "{storm}: a journal of each episode");
    let slots = journals.iter().map(|journal| all_stand_on(backing, &Journal::read(journal))).sum();
    (episodes.iter().map(|episode| episode["resets"].as_u64().unwrap()).sum(), slots)
}

#[test]
fn a_storm_passes_on_both() {
    for (variable, backing) in KERNELS {
        let Some(kernel) = gate::kernel(variable) else { return };
        let (resets, slots) = passes(&kernel, "flr", "40", backing);
        assert!(resets >= 40 && slots > 40, "{resets} resets, {slots} slots");
    }
}

/// Every storm whose machine can be emulated.
const STORMS: [&str; 15] = [
    "flr",
    "decode",
    "d3",
    "hot-reset",
    "reset-fails",
    "unplug",
    "close-race",
    "importers",
    "vfs",
    "reboot",
    "bar-move",
    "vcpus",
    "descriptors",
    "shuffle",
    "everything",
];

#[test]
#[ignore = "takes half an hour: fifteen storms of 500 resets each"]
fn every_storm_passes_with_slots_on_the_dma_buf() {
    let Some(kernel) = gate::kernel(gate::MMAP) else { return };
    for storm in STORMS {
        let (resets, slots) = passes(&kernel, storm, "500", "dma-buf");
        assert!(resets > 0, "{storm}: {resets} resets");
        gate::say(&format!("{storm}: {resets} resets, {slots} slots, each on the dma-buf"));
    }
}
