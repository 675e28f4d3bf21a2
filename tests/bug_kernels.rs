//! Would a storm find a bug in the kernel? Each `guest-kernel/variants/bug-*` is Linux with one put in, or a
//! fix taken back, and each has a row in `docs/sensitivity.md` that names the storm which finds it. The
//! debug kernel has none, and is to have nothing to say.

mod common;

use common::bench::Bench;
use common::storms::{found, kernel_reports, record};
use common::{gate, journal::Journal, storms};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Resets until a bug has to be found.
const RESETS: &str = "200";

/// A row of the page.
#[derive(Debug)]
struct Row {
    kernel: &'static str,
    breaks: &'static str,
    storm: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |cells: Vec<&'static str>| match cells[..] {
        [kernel, _what, _order, breaks, storm, _found] => {
            Row { kernel: kernel.trim_matches('`'), breaks, storm: storm.trim_matches('`') }
        }
        _ => panic!("{cells:?}"),
    };
    storms::rows("## Kernels").into_iter().map(row).collect()
}

/// As `scripts/test` names it.
fn variable(variant: &str) -> String {
    format!("{}_{}", gate::PLAIN, variant.to_uppercase().replace(['-', '+'], "_"))
}

#[test]
fn each_bug_has_a_row_and_says_what_it_breaks() {
    let variants = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-kernel/variants");
    let names =
        fs::read_dir(&variants).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut bugs: Vec<String> = names.filter(|name| name.starts_with("bug-")).collect();
    let mut listed: Vec<&str> = rows().iter().map(|row| row.kernel).collect();
    bugs.sort();
    listed.sort_unstable();
    assert_eq!(bugs, listed);
    assert!(bugs.len() >= 5);
    for Row { kernel, breaks, storm } in rows() {
        let patches = fs::read_dir(variants.join(kernel)).unwrap().map(|entry| entry.unwrap().path());
        let text: String = patches.map(|patch| fs::read_to_string(patch).unwrap()).collect();
        let line = |label: &str| text.lines().find(|line| line.starts_with(label)).unwrap_or_default();
        assert!(line("Breaks:").contains(breaks), "{kernel}: {breaks}");
        assert!(line("Shown by:").contains(&format!("storm {storm}")), "{kernel}: {storm}");
    }
}

#[test]
#[ignore = "a kernel for each, and boots: many minutes"]
fn each_bug_in_the_kernel_is_found_by_its_storm() {
    for row in rows() {
        let Some(kernel) = gate::kernel(&variable(row.kernel)) else { return };
        let bench = Bench::new();
        let mut command =
            bench.barkeep(["storm", row.storm, "--lane", "lab", "--jobs", "1", "--count", RESETS]);
        command.args(["--shrink-time", "0s", "--kernel"]).arg(kernel).arg("--out").arg(bench.out());
        let _alone = gate::emulator();
        let ran = bench.run(command);
        assert!(matches!(ran.status, Some(1 | 124)), "{row:?} is not found: {ran:?}");
        let found = found(&bench, row.breaks);
        if row.breaks == "I6" {
            assert!(
                kernel_reports(&found.journal).contains("Call Trace:"),
                "{row:?}: the report is attached"
            );
        }
        gate::say(&format!("{}: found after {} resets", row.kernel, found.after));
    }
}

#[test]
#[ignore = "a kernel that watches itself: minutes"]
fn the_main_job_leaves_a_debug_kernel_with_nothing_to_say() {
    let Some(kernel) = gate::kernel(&variable("debug")) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &[]).ended(0);
}

#[test]
#[ignore = "a kernel that watches itself: many minutes"]
fn storms_leave_a_debug_kernel_with_nothing_to_say() {
    let Some(kernel) = gate::kernel(&variable("debug")) else { return };
    let list = Bench::new();
    let storms = list.run(list.barkeep(["storm", "--list"]));
    storms.ended(0);
    // What is said of each stands below its name, further in.
    let names: Vec<&str> = storms.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(names.contains(&"everything"), "{names:?}");
    for storm in names {
        let bench = Bench::new();
        let mut command = bench.barkeep(["storm", storm, "--lane", "lab", "--jobs", "1", "--count", "1"]);
        command.args(["--shrink-time", "0s", "--kernel"]).arg(&kernel).arg("--out").arg(bench.out());
        let _alone = gate::emulator();
        let ran = bench.run(command);
        let storm = record(&bench);
        if ran.status == Some(4) {
            continue;
        }
        // One episode of each: what must happen in one of many need not happen here.
        let episodes = storm["episodes"].as_array().unwrap();
        assert!(!episodes.is_empty(), "{ran:?}");
        for episode in episodes {
            assert!(episode.get("findings").is_none_or(|findings| *findings == json!([])), "{ran:?}");
        }
    }
}

#[test]
#[ignore = "a kernel that watches itself: minutes"]
fn a_lock_order_is_told_without_the_race_and_with_all_of_the_report() {
    let Some(kernel) = gate::kernel(&variable("debug+bug-lock-order")) else { return };
    let bench = Bench::new();
    // One after the other, so that nothing can hang.
    let scenario = bench.write(
        "order.toml",
        r#"
version = 1
name = "order"
topology = "nvme-edu"
[guest]
vcpus = 1
[[action]]
do = "attach"
to = { device = "nvme", bar = 2 }
expect = "ok"
[[action]]
do = "flr"
device = "nvme"
"#,
    );
    let ran = bench.run_lab(&kernel, &["--topology", "nvme-edu"], &["replay", scenario.to_str().unwrap()]);
    ran.ended(1);
    assert!(ran.stdout.contains("a lock order (lockdep)"), "{}", ran.stdout);
    let report = kernel_reports(&bench.out().join("journal.jsonl"));
    for part in ["possible circular locking dependency", "Possible unsafe locking scenario", "memory_lock"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    // The journal has the same lines.
    let journal: Journal = bench.journal();
    let lines = journal.all(&json!({"kind": "kernel_log"}));
    let scenario = lines.iter().filter(|line| line["text"].as_str().unwrap().contains("unsafe locking"));
    assert_eq!(scenario.count(), 1);
}
