//! `barkeep handover`: two real processes, one dma-buf, and every order in which they give up what
//! they hold or die.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use serde_json::json;
use std::fs;
use std::path::Path;

fn handover(bench: &Bench, kernel: &Path, words: &[&str]) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["handover"]);
    command.arg("--kernel").arg(kernel).arg("--out").arg(bench.out()).args(words);
    bench.run(command)
}

/// What the table says of a step in an order; the first time it is taken.
#[track_caller]
fn seen_after<'a>(line: &'a str, step: &str) -> &'a str {
    let cells: Vec<&str> = line.split("  ").collect();
    let cell = cells.iter().find(|cell| cell.split(' ').next() == Some(step));
    let cell = cell.unwrap_or_else(|| panic!("no {step} in {line}"));
    cell.split_once(' ').unwrap().1
}

#[test]
fn every_step_is_as_specified() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = handover(&bench, &kernel, &[]);
    ran.ended(0);
    let orders: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("ok ")).collect();
    assert!(orders.len() >= 250, "{}", ran.stdout);
    assert!(ran.stdout.contains("all as specified, nothing left behind"), "{}", ran.stdout);
    let has = |wanted: &[(&str, &str)]| {
        let fits = |line: &&&str| {
            let steps: Vec<&str> = line.split("  ").filter_map(|cell| cell.split(' ').next()).collect();
            wanted.iter().all(|(step, seen)| steps.contains(step) && seen_after(line, step) == *seen)
        };
        assert!(orders.iter().any(|line| fits(&line)), "{wanted:?}: {}", ran.stdout);
    };
    // The exporter is killed and the importer lives on; with the DMA in flight; with the dma-buf in
    // the socket.
    has(&[("i.map", "landed/ok"), ("e.kill", "faulted/ENODEV")]);
    has(&[("i.dma", "in flight"), ("e.kill", "faulted/ENODEV")]);
    has(&[("e.kill", "faulted"), ("i.receive", "faulted/ENODEV")]);
    // A mapping of the BAR keeps the device open; the last reference takes access away.
    has(&[("i.map", "landed/ok"), ("e.device", "landed/ok"), ("e.bar", "faulted/ENODEV")]);
    // The importer's mapping outlives its descriptors, but not a reset of the exporter.
    has(&[("i.map", "landed/ok"), ("i.buffer", "landed")]);
    has(&[("i.map", "landed/ok"), ("i.context", "landed")]);
    has(&[("i.map", "landed/ok"), ("e.flr", "faulted/ok")]);
    has(&[("i.map", "(ENODEV) faulted/ENODEV")]);

    let journal = bench.journal();
    for actor in ["exporter", "importer"] {
        for text in ["SIGKILL", "exit"] {
            let ended = json!({"kind": "process", "phase": "end", "actor": actor, "text": text});
            assert!(journal.all(&ended).len() > 20, "{actor} {text}");
        }
    }
    let begun = journal.all(&json!({"kind": "process", "phase": "begin"})).len();
    assert_eq!(begun, 2 * orders.len());
    assert_eq!(begun, journal.all(&json!({"kind": "process", "phase": "end"})).len());
    let landed = journal.all(&json!({"kind": "landed", "text": "dma"})).len();
    assert!(landed > 200, "{landed}");
    let journal = bench.out().join("journal.jsonl");
    bench.run(bench.barkeep(["check".as_ref(), journal.as_os_str()])).ended(0);
}

/// A specification of an older kernel, held to this one: the first step that differs is told.
#[test]
fn what_is_not_as_specified_is_told() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let order = "i.receive,i.map,e.kill,i.kill";
    let ran = handover(&bench, &kernel, &["--order", order, "--profile", "dmabuf-v2"]);
    ran.ended(1);
    assert!(ran.stdout.contains("WRONG") && ran.stdout.contains("<< after i.receive"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 order was NOT as specified"), "{}", ran.stdout);
}

#[test]
fn one_order_alone_is_the_same_every_time() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let order = ["--order", "i.receive,i.map,i.dma,e.kill,i.unmap,i.map,i.exit"];
    let run = || {
        let ran = handover(&bench, &kernel, &order);
        ran.ended(0);
        (ran.stdout, fs::read_to_string(bench.out().join("journal.jsonl")).unwrap())
    };
    let (first, second) = (run(), run());
    assert!(first.0.contains("(ENODEV)"), "{}", first.0);
    assert_eq!(first, second);
}

#[test]
fn an_order_that_is_none_is_refused() {
    let bench = Bench::new();
    let ran = bench.run(bench.barkeep(["handover", "--order", "i.map,e.klil"]));
    ran.ended(2);
    assert!(ran.stderr.contains("e.klil") && ran.stderr.contains("e.kill"), "{}", ran.stderr);
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let ran = handover(&bench, &kernel, &["--order", "e.device,e.flr,e.kill,i.kill"]);
    ran.ended(2);
    assert!(ran.stderr.contains("step 2, e.flr"), "{}", ran.stderr);
}

/// Every step in every state, after every other step that leads there.
#[test]
#[ignore = "takes half an hour"]
fn every_order_there_is() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = handover(&bench, &kernel, &["--all"]);
    ran.ended(0);
    assert!(ran.stdout.lines().filter(|line| line.starts_with("ok ")).count() > 10_000);
}
