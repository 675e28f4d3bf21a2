//! What a storm that failed found, and after how many resets: of its `storm.json` and the journal; and
//! what `docs/sensitivity.md` says that it finds.

use super::bench::Bench;
use super::journal::Journal;
use serde_json::Value;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/sensitivity.md");

/// The rows of a section's table, each as its cells.
pub fn rows(section: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split(section).nth(1).unwrap_or_else(|| panic!("the section {section}"));
    let lines = section.split("\n## ").next().unwrap().lines();
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.filter(|line| line.starts_with("| `")).map(cells).collect()
}

/// The record of the bench's storm.
pub fn record(bench: &Bench) -> Value {
    serde_json::from_str(&bench.read("out/storm.json")).expect("a storm.json")
}

/// How the last episode failed.
pub struct Found {
    pub journal: PathBuf,
    /// Resets before the first finding that breaks what was asked for.
    pub after: u64,
}

/// That of the storm's last episode, which has to break this.
pub fn found(bench: &Bench, breaks: &str) -> Found {
    let storm = record(bench);
    let (last, before) = storm["episodes"].as_array().unwrap().split_last().expect("an episode");
    let findings = last["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["invariant"] == breaks);
    let until = finding.unwrap_or_else(|| panic!("nothing breaks {breaks}: {findings:?}"))["seq"].as_u64();
    let journal = PathBuf::from(last["artefacts"]["journal"].as_str().unwrap());
    let events = Journal::read(&journal).events;
    let earlier = |event: &&Value| event["seq"].as_u64() <= until;
    let inside = events.iter().filter(earlier).filter(|event| revokes(event)).count() as u64;
    let after = before.iter().map(|episode| episode["resets"].as_u64().unwrap()).sum::<u64>() + inside;
    Found { journal, after }
}

fn revokes(event: &Value) -> bool {
    let others = ["decode_on", "d0", "low_power_exit", "suspect", "start"];
    let trigger = event["trigger"].as_str().unwrap_or("start");
    event["kind"] == "trigger" && event["phase"] == "begin" && !others.contains(&trigger)
}

/// The kernel's reports of a journal's run.
pub fn kernel_reports(journal: &Path) -> String {
    std::fs::read_to_string(journal.with_file_name("kernel-reports.txt")).unwrap_or_default()
}
