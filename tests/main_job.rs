//! The main job, from the command line to the journal: everything that revokes takes both ways
//! to a BAR away, and both come back, until the device file is closed.

mod common;

use common::bench::Bench;
use common::main_job::Cast;
use common::{EDU, NVME, gate};
use serde_json::json;

#[test]
fn the_main_job_passes_and_its_journal_tells_why() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = bench.run_lab(&kernel, &[], &[]);
    ran.ended(0).verdict("pass");
    let journal = bench.journal();
    assert_eq!(journal.header, json!({"barkeep_journal": 1, "lane": "lab", "clock": "virtual"}));
    Cast { nvme: NVME, edu: EDU }.told(&journal);

    let mut check = bench.barkeep(["check"]);
    check.arg(bench.out().join("journal.jsonl"));
    bench.run(check).ended(0).verdict("pass");
}

/// The second run finds each of its faults recorded, however many the first one had.
#[test]
fn the_main_job_passes_twice_in_one_boot() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["run", "--lane", "lab", "--times", "2", "--kernel"]);
    command.arg(&kernel).arg("--out").arg(bench.out());
    let ran = bench.run(command);
    ran.ended(0);
    assert!(ran.stdout.starts_with("pass  2 times, "), "{}", ran.stdout);
}
