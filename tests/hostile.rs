//! A guest that reads and writes its devices' config space and MSI-X tables at random, in all widths and
//! alignments, from four vCPUs: the VMM lives, the invariants hold, and after a reboot everything works.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use common::journal::{Journal, number};
use serde_json::json;
use std::path::Path;

const SHIPPED: &str = include_str!("../crates/scenario/scenarios/hostile-config.toml");
/// Accesses between two reboots, as the shipped scenario has them.
const ROUND: u64 = 5_000;

/// The shipped scenario with so many accesses.
fn scenario(bench: &Bench, accesses: u64) -> String {
    assert!(SHIPPED.contains(&format!("accesses = {ROUND}\n")));
    let times = "\ntimes = 4\n";
    assert_eq!(SHIPPED.matches(times).count(), 1);
    let text = SHIPPED.replacen(times, &format!("\ntimes = {}\n", accesses / ROUND), 1);
    bench.write("hostile.toml", text).to_string_lossy().into_owned()
}

/// What four vCPUs have counted; and that it was traffic that does something.
fn was_hostile(journal: &Journal, accesses: u64) {
    let count = |sort: &str| -> u64 {
        let counts = journal.all(&json!({"kind": "access_count", "text": sort}));
        counts.iter().map(|count| number(count, "value")).sum()
    };
    let (reads, writes) = (count("config reads"), count("config writes"));
    assert!(reads + writes >= accesses, "{reads} reads and {writes} writes, not {accesses}");
    assert!(count("config accesses by ports") > accesses / 50);
    // Some are answered, and some are where nobody is.
    assert!((reads / 10..reads).contains(&count("config reads, all ones")));
    let begun = |trigger: &str| {
        journal.all(&json!({"kind": "trigger", "phase": "begin", "trigger": trigger})).len() as u64
    };
    for (trigger, one_in) in [("flr", 20_000), ("decode_off", 2_000), ("d3hot", 5_000), ("bar_move", 2_000)] {
        assert!(begun(trigger) >= accesses / one_in, "{} of {trigger}", begun(trigger));
    }
    // What a guest is told by nobody answering is no failure of the VMM's, and fills no journal.
    let failed = journal.all(&json!({"kind": "degraded", "text": "a config write failed"}));
    assert!(failed.is_empty(), "{:?}", failed.first());
    assert!(journal.all(&json!({"kind": "lost"})).is_empty());
}

fn passed(bench: &Bench, ran: &Ran, accesses: u64) {
    ran.ended(0).verdict("pass");
    was_hostile(&bench.journal(), accesses);
}

fn in_lane_kvm(accesses: u64) {
    let Some(()) = gate::kvm() else { return };
    let bench = Bench::new();
    let scenario = scenario(&bench, accesses);
    let ran = bench.run(bench.barkeep(["replay", &scenario, "--lane", "kvm", "--out", "out"]));
    passed(&bench, &ran, accesses);
}

fn in_the_lab(kernel: &Path, accesses: u64) {
    let bench = Bench::new();
    let scenario = scenario(&bench, accesses);
    let ran = bench.run_lab(kernel, &["--timeout", "3600"], &["replay", &scenario]);
    passed(&bench, &ran, accesses);
}

#[test]
fn two_simulated_devices_bear_fifty_thousand_accesses() {
    let bench = Bench::new();
    let scenario = scenario(&bench, 50_000);
    let ran = bench.run(bench.barkeep(["replay", &scenario, "--lane", "model", "--out", "out"]));
    passed(&bench, &ran, 50_000);
}

#[test]
fn two_devices_of_a_real_kernel_bear_fifty_thousand_accesses() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    in_the_lab(&kernel, 50_000);
}

#[test]
fn real_vcpus_may_be_hostile() {
    in_lane_kvm(10_000);
}

#[test]
#[ignore = "takes an hour"]
fn real_vcpus_may_be_hostile_ten_million_times() {
    in_lane_kvm(10_000_000);
}

#[test]
#[ignore = "takes minutes"]
fn two_devices_of_a_real_kernel_bear_a_million_accesses() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    in_the_lab(&kernel, 1_000_000);
}
