//! Every trigger on every machine: no cell is empty, none fails, and each is a scenario and a journal
//! that stand by themselves.

mod common;

use common::bench::{Bench, Ran};
use common::journal::Journal;
use common::{gate, scenario};
use serde_json::json;
use std::path::Path;

/// What the rows are called.
fn triggers(bench: &Bench) -> Vec<String> {
    let ran = bench.run(bench.barkeep(["matrix", "--list"]));
    ran.ended(0);
    let rows = ran.stdout.lines().skip_while(|line| *line != "triggers").skip(2);
    let rows = rows.take_while(|line| !line.is_empty());
    rows.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn matrix(bench: &Bench, words: &[&str]) -> Ran {
    let mut command = bench.barkeep(["matrix", "--markdown"]);
    command.args(words).arg("--out").arg(bench.out());
    bench.run(command)
}

/// The cells of a row.
fn row<'a>(ran: &'a Ran, trigger: &str) -> Vec<&'a str> {
    let begin = format!("| {trigger} |");
    let line = ran.stdout.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("no row {trigger}:\n{}", ran.stdout));
    line.trim_matches('|').split('|').skip(1).map(str::trim).collect()
}

/// Every cell says something, and the notes it names are there.
fn complete(ran: &Ran, triggers: &[String]) {
    let notes = ran
        .stdout
        .lines()
        .filter(|line| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u32>().is_ok()));
    let notes = notes.count();
    for trigger in triggers {
        for cell in row(ran, trigger) {
            assert!(!cell.is_empty() && cell != "-" && !cell.starts_with("FAIL"), "{trigger}: `{cell}`");
            if let Some(note) = cell.strip_prefix('[') {
                let note: usize = note.trim_end_matches(']').parse().unwrap();
                assert!((1..=notes).contains(&note), "{trigger}: note {note} of {notes}");
            }
        }
    }
}

#[test]
fn on_simulated_devices_no_cell_is_empty_and_none_fails() {
    let bench = Bench::new();
    let ran = matrix(&bench, &["--lane", "model"]);
    ran.ended(0);
    complete(&ran, &triggers(&bench));
    assert_eq!(row(&ran, "close")[0], "gone");
    assert_eq!(row(&ran, "sysfs-reset")[0], "kept");
    // An FLR takes its 100 ms, whoever specifies it.
    assert_eq!(row(&ran, "flr")[0], "100 ms");

    // A cell alone: its own scenario, and the same events.
    let cell = bench.out().join("flr/sim");
    let mut alone = bench.barkeep(["replay"]);
    alone.arg(cell.join("scenario.toml")).args(["--lane", "model", "--out", "alone"]);
    alone.args(["--device", "memory=sim:memory", "--device", "edu=sim:dma"]);
    bench.run(alone).ended(0).verdict("pass");
    let (one, other) =
        (Journal::read(&cell.join("journal.jsonl")), Journal::read(&bench.path("alone/journal.jsonl")));
    assert_eq!(one.events, other.events);
}

#[test]
fn in_the_emulator_one_boot_has_a_journal_for_each_cell() {
    const SOME: [&str; 5] = ["flr", "decode-off", "bar-move", "remove", "unseen-reset"];
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let mut words = vec!["--topology", "nvme-edu", "--kernel", kernel.to_str().unwrap()];
    SOME.iter().for_each(|trigger| words.extend(["--trigger", trigger]));
    let _alone = gate::emulator();
    let ran = matrix(&bench, &words);
    ran.ended(0);
    complete(&ran, &SOME.map(str::to_owned));
    assert_eq!(row(&ran, "remove"), ["gone"]);
    assert!(bench.path("out/boots/nvme-edu/1").exists() && !bench.path("out/boots/nvme-edu/2").exists());
    for trigger in SOME {
        let path = bench.out().join(trigger).join("nvme-edu/journal.jsonl");
        let journal = Journal::read(&path);
        assert_eq!(journal.events[0]["seq"], 0);
        for kind in ["run_start", "run_end"] {
            assert_eq!(journal.all(&json!({"kind": kind})).len(), 1, "{trigger}");
        }
        let mut check = bench.barkeep(["check"]);
        check.arg(&path);
        bench.run(check).ended(0).verdict("pass");
    }
}

#[test]
fn times_in_the_emulator_end_at_the_first_that_does_not_pass() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let replay = |times: &str| {
        let mut command =
            bench.barkeep(["replay", "own.toml", "--lane", "lab", "--seed", "7", "--times", times]);
        command.arg("--kernel").arg(&kernel).arg("--out").arg(bench.out());
        bench.run(command)
    };
    let _alone = gate::emulator();
    bench.write("own.toml", scenario::of("own", &[&scenario::dma(0x5a5a_0001, "lands")]));
    let ran = replay("3");
    ran.ended(0);
    assert!(ran.stdout.starts_with("pass  3 times, "), "{}", ran.stdout);
    bench.write("own.toml", scenario::of("own", &[&scenario::dma(0x5a5a_0001, "faults")]));
    let ran = replay("3");
    ran.ended(1).verdict("FAIL");
    assert!(ran.stdout.contains("time 1 of 3 did not pass, seed 7; it alone:"), "{}", ran.stdout);
    let end = json!({"kind": "expectation", "result": 1});
    assert_eq!(bench.journal().all(&end).len(), 1);
}

#[test]
fn a_name_that_is_none_is_told_with_the_nearest() {
    let bench = Bench::new();
    matrix(&bench, &["--trigger", "flrr"]).ended(2).tells(&["did you mean `flr`"]);
    matrix(&bench, &["--topology", "nvme-edo"]).ended(2).tells(&["nvme-edu"]);
    matrix(&bench, &["--lane", "kvm"]).ended(2).tells(&["lanes lab and model"]);
}

#[test]
#[ignore = "minutes: every trigger on every machine"]
fn everywhere_no_cell_is_empty_and_all_are_as_the_page_has_them() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let _alone = gate::emulator();
    let ran = matrix(&bench, &["--kernel", kernel.to_str().unwrap()]);
    ran.ended(0);
    complete(&ran, &triggers(&bench));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/matrix.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, printed) = page.split_once("<!-- printed by `barkeep matrix --markdown` -->\n\n").unwrap();
    let lines = |text: &str| text.lines().map(without_times).collect::<Vec<_>>();
    assert_eq!(lines(printed), lines(&ran.stdout), "docs/matrix.md is behind");
}

/// A line of the table, with `time` for each time.
fn without_times(line: &str) -> String {
    let is_time = |cell: &str| {
        let number = ["ms", "us", "s"].iter().find_map(|unit| cell.strip_suffix(&format!(" {unit}")));
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    };
    let cells = line.split(" | ").map(|cell| {
        let end = if cell.ends_with(" |") { " |" } else { "" };
        if is_time(cell.trim_end_matches(" |")) { format!("time{end}") } else { cell.to_owned() }
    });
    cells.collect::<Vec<_>>().join(" | ")
}
