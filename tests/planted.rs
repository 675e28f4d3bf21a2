//! Would a storm find a fault in Barkeep itself? Each row of `docs/sensitivity.md` names one that can be
//! planted, and the storm that finds it. It is planted here, in a build of its own, and that storm has to
//! find it; with none planted, the same storms have to pass.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use common::journal::Journal;
use common::storms::{self, record};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const VARIABLE: &str = "BARKEEP_PLANT";
/// Resets until a fault has to be found. It takes lane model a second, kvm half a minute.
const RESETS: &str = "3000";
const RESETS_IN_LAB: &str = "20";
/// Three whose story is told in few actions: one of them only in this order, one only if two events meet.
const SHORT: [&str; 3] = ["unmap-forgotten", "sleep-then-decode", "nobody-waits"];
const MOST_ACTIONS: usize = 10;

/// A row of the page.
#[derive(Debug)]
struct Row {
    fault: &'static str,
    breaks: &'static str,
    storm: &'static str,
    lane: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |cells: Vec<&'static str>| match cells[..] {
        [fault, _what, _order, breaks, storm, lane, _found] => {
            Row { fault: fault.trim_matches('`'), breaks, storm: storm.trim_matches('`'), lane }
        }
        _ => panic!("{cells:?}"),
    };
    storms::rows("## Barkeep's own code").into_iter().map(row).collect()
}

/// The build with faults, made beside the ordinary one so that both stay built.
fn planted() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("planted");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "barkeep",
            "--features",
            "planted",
            "--target-dir",
        ]);
        let status = cargo.arg(&target).stdin(Stdio::null()).status().unwrap();
        assert!(status.success(), "the build with faults: {status}");
        target.join("x86_64-unknown-linux-gnu/debug/barkeep")
    })
}

/// A storm with this fault planted, or none.
fn storm(bench: &Bench, fault: Option<&str>, words: &[&str]) -> Ran {
    let mut command = Command::new(planted());
    command.arg("storm").args(words).arg("--out").arg(bench.out());
    command.current_dir(bench.path("")).stdin(Stdio::null()).env(VARIABLE, fault.unwrap_or_default());
    bench.run(command)
}

/// After how many resets of the storm its last episode broke what it was to break. The storm's results and
/// the journal say what was planted.
fn found(bench: &Bench, row: &Row) -> u64 {
    let storm = record(bench);
    let version = storm["header"]["version"].as_str().unwrap();
    assert!(version.contains(row.fault), "the results say what was planted: {version}");
    let found = storms::found(bench, row.breaks);
    let journal = Journal::read(&found.journal);
    let start = journal.events.iter().find(|event| event["kind"] == "run_start").unwrap();
    assert!(start["text"].as_str().unwrap().contains(row.fault), "{start}");
    found.after
}

/// Each fault of a lane is found by its storm. What is printed is the page's last column.
fn each_is_found(lane: &str, words: &[&str]) {
    for row in rows().iter().filter(|row| row.lane == lane) {
        let bench = Bench::new();
        let ran = storm(&bench, Some(row.fault), &[&[row.storm, "--shrink-time", "0s"], words].concat());
        assert!(matches!(ran.status, Some(1 | 124 | 125)), "{row:?} is not found: {ran:?}");
        let after = found(&bench, row);
        gate::say(&format!("{}: found after {after} resets", row.fault));
    }
}

#[test]
fn a_build_without_faults_has_none_and_says_so() {
    let bench = Bench::new();
    let mut command = bench.barkeep(["storm", "flr"]);
    command.env(VARIABLE, "unmap-forgotten");
    bench.run(command).ended(2).tells(&["this build has no faults in it", "--features planted"]);
    let binary = fs::read(env!("CARGO_BIN_EXE_barkeep")).unwrap();
    let rows = rows();
    assert!(rows.len() >= 30, "{rows:?}");
    for Row { fault, .. } in rows {
        let is_there = binary.windows(fault.len()).any(|bytes| bytes == fault.as_bytes());
        assert!(!is_there, "`{fault}` is in a build without faults");
    }
}

#[test]
fn without_a_fault_a_hundred_seeds_of_everything_pass() {
    let bench = Bench::new();
    let mut command = bench.barkeep(["storm", "everything", "--lane", "model", "--count", "5000"]);
    command.arg("--out").arg(bench.out());
    bench.run(command).ended(0);
    assert!(record(&bench)["episodes"].as_array().unwrap().len() >= 100);
}

#[test]
#[ignore = "a build of its own: minutes"]
fn a_name_mistyped_is_told_with_the_one_meant() {
    let bench = Bench::new();
    let ran = storm(&bench, Some("unmap-forgoten"), &["flr"]);
    ran.ended(2).tells(&["there is no fault `unmap-forgoten`", "did you mean `unmap-forgotten`?"]);
    let mut version = Command::new(planted());
    version.arg("--version").current_dir(bench.path(""));
    let ran = bench.run(version);
    assert!(ran.stdout.contains("a build for planted faults"), "{ran:?}");
}

#[test]
#[ignore = "a build of its own: minutes"]
fn each_fault_that_lane_model_shows_is_found_by_its_storm() {
    each_is_found("model", &["--lane", "model", "--count", RESETS]);
}

#[test]
#[ignore = "a build of its own: minutes"]
fn each_fault_that_lane_kvm_shows_is_found_by_its_storm() {
    if gate::kvm().is_some() {
        each_is_found("kvm", &["--lane", "kvm", "--count", RESETS]);
    }
}

#[test]
#[ignore = "a build of its own, and boots: minutes"]
fn each_fault_that_lane_lab_shows_is_found_by_its_storm() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let kernel = kernel.to_str().unwrap();
    let _alone = gate::emulator();
    each_is_found("lab", &["--lane", "lab", "--jobs", "1", "--kernel", kernel, "--count", RESETS_IN_LAB]);
}

#[test]
#[ignore = "a build of its own: minutes"]
fn what_is_found_is_told_in_few_actions_and_fails_the_same_way_ten_times() {
    for row in rows().iter().filter(|row| SHORT.contains(&row.fault)) {
        let bench = Bench::new();
        storm(&bench, Some(row.fault), &[row.storm, "--lane", "model", "--count", RESETS]).ended(1);
        let storm = record(&bench);
        let last = storm["episodes"].as_array().unwrap().last().unwrap();
        let repro = last["artefacts"]["repro"].as_str().unwrap_or_else(|| panic!("{row:?}: {last}"));
        let text = fs::read_to_string(repro).unwrap();
        let actions = text.matches("do = ").count();
        assert!(actions <= MOST_ACTIONS, "{row:?}: {actions} actions:\n{text}");
        gate::say(&format!("{}: {actions} actions", row.fault));
        let mut told = Vec::new();
        for _ in 0..10 {
            let mut replay = Command::new(planted());
            replay.args(["replay", repro, "--lane", "model", "--out"]).arg(bench.path("again"));
            replay.current_dir(bench.path("")).stdin(Stdio::null()).env(VARIABLE, row.fault);
            let ran = bench.run(replay);
            ran.ended(1);
            assert!(ran.stdout.contains(&format!("\n{}: ", row.breaks)), "{row:?}: {}", ran.stdout);
            told.push(ran.stdout);
        }
        told.dedup();
        assert_eq!(told.len(), 1, "ten times the same");
    }
}

#[test]
#[ignore = "minutes"]
fn without_a_fault_a_hundred_seeds_of_everything_pass_on_real_vcpus() {
    if gate::kvm().is_some() {
        passes("kvm", "5000", 100, &[]);
    }
}

#[test]
#[ignore = "boots: many minutes"]
fn without_a_fault_thirty_seeds_of_everything_pass_on_a_real_kernel() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let _alone = gate::emulator();
    passes("lab", "1500", 30, &["--jobs", "1", "--kernel", kernel.to_str().unwrap()]);
}

/// So many resets of `everything`, with the ordinary build.
fn passes(lane: &str, resets: &str, seeds: usize, words: &[&str]) {
    let bench = Bench::new();
    let mut command = bench.barkeep(["storm", "everything", "--lane", lane, "--count", resets]);
    command.args(words).arg("--out").arg(bench.out());
    bench.run(command).ended(0);
    assert!(record(&bench)["episodes"].as_array().unwrap().len() >= seeds);
}
