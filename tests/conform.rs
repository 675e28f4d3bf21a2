//! `barkeep conform`: the specification and the kernel under test say the same; where they part,
//! the command says so in the fewest operations, as a file that can be asked again.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use std::fs;
use std::path::Path;

/// As many as fit into a minute of a slow machine.
const OPERATIONS: &str = "3000";

fn conform(bench: &Bench, kernel: &Path, words: &[&str]) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["conform"]);
    command.arg("--kernel").arg(kernel).arg("--out").arg(bench.out()).args(words);
    bench.run(command)
}

/// The number that stands before these words in a line of the report.
#[track_caller]
fn number_before(text: &str, words: &str) -> usize {
    let line = text.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {text}"));
    let before = line.split(words).next().unwrap_or_default().trim();
    before.rsplit(' ').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn the_kernel_under_test_does_what_is_specified() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = conform(&bench, &kernel, &["--ops", OPERATIONS]);
    says_the_same(&ran);
    assert!(number_before(&ran.stdout, "operations in") >= 3000, "{}", ran.stdout);
    // What docs/findings.md says of it; a kernel that maps several ranges no longer fails here.
    for cannot in ["mmap of a dma-buf", "map a dma-buf of several ranges"] {
        assert!(ran.stdout.contains(&format!("this kernel cannot: {cannot}")), "{}", ran.stdout);
    }
    finds(&ran, &["ToldOfRevoke", "ToldOfReturn", "RevokeWaits", "MapWhileRevoked", "RangesCollide"]);
    damaged_recordings_are_refused(&bench);
}

/// The same with what our patches add.
#[test]
fn so_does_the_kernel_with_our_patches() {
    let Some(kernel) = gate::kernel(gate::MMAP) else { return };
    let bench = Bench::new();
    let ran = conform(&bench, &kernel, &["--ops", OPERATIONS]);
    says_the_same(&ran);
    assert!(!ran.stdout.contains("this kernel cannot"), "{}", ran.stdout);
    finds(
        &ran,
        &["ToldOfReturn", "BufferMmap", "BufferServed", "BufferRanges", "BufferZap", "BufferAfterClose"],
    );
}

/// No divergence; most rows and most planted errors already with so few operations. All of them is what
/// `scripts/test --all` asks for, with more.
#[track_caller]
fn says_the_same(ran: &Ran) {
    ran.ended(0);
    assert!(ran.stdout.contains("kernel and specification say the same"), "{}", ran.stdout);
    assert!(number_before(&ran.stdout, "of 104 rows") >= 75, "{}", ran.stdout);
    let missed = ran.stdout.split("planted errors found").next().unwrap_or_default();
    let found: Vec<usize> = missed
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(found[0] * 10 >= found[1] * 9, "nine of ten planted errors: {}", ran.stdout);
}

/// These rows were reached, and an error planted in each would not have gone unseen.
#[track_caller]
fn finds(ran: &Ran, rows: &[&str]) {
    let words: Vec<&str> = ran.stdout.split([' ', ',', '\n']).collect();
    for row in rows {
        assert!(!words.contains(row), "{row}: {}", ran.stdout);
    }
}

/// A kernel that no module fits is asked all the same, and one line says what it is not asked.
#[test]
fn without_the_importers_module_the_rest_is_asked() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.write("bzImage", fs::read(&kernel).unwrap());
    let ran = conform(&bench, &bench.path("bzImage"), &["--ops", "200"]);
    ran.ended(0);
    let told = ran.stdout.lines().filter(|line| line.contains("not asked")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{}", ran.stdout);
    assert!(
        told[0].contains("the test importer") && told[0].contains("scripts/kernel --importer"),
        "{}",
        told[0]
    );
}

/// With the recording that is there already: reading one boots nothing.
#[track_caller]
fn damaged_recordings_are_refused(bench: &Bench) {
    let good = bench.read("out/recording.jsonl");
    let cases = [
        ("another version", good.replacen("\"barkeep_conform\":2", "\"barkeep_conform\":9", 1)),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("an operation nobody knows", good.replacen("\"op\":\"open\"", "\"op\":\"opne\"", 1)),
        ("nothing", String::new()),
    ];
    for (what, text) in cases {
        bench.write("bad.jsonl", text);
        for option in ["--recording", "--episodes"] {
            let ran = bench.run(bench.barkeep(["conform", option, "bad.jsonl"]));
            ran.ended(2);
            assert_eq!(ran.stderr.lines().count(), 1, "{what}: {}", ran.stderr);
            assert!(ran.stderr.contains("bad.jsonl"), "{what}: {}", ran.stderr);
        }
    }
    let ran = bench.run(bench.barkeep(["conform", "--recording", "none.jsonl"]));
    ran.ended(2);
    let ran = bench.run(bench.barkeep(["conform", "--recording", "out/recording.jsonl"]));
    ran.ended(0);
}

/// Held to the wrong version, the first thing that differs is told.
#[test]
fn a_divergence_is_shrunk_to_a_file_that_can_be_asked_again() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let wrong = ["--profile", "dmabuf-v2", "--topology", "nvme-edu"];
    let ran = conform(&bench, &kernel, &[&wrong[..], &["--ops", "100"]].concat());
    ran.ended(1);
    assert!(ran.stdout.contains("never checked against its kernel"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the fewest operations that show it"), "{}", ran.stdout);
    let shortest = bench.path("out/divergence.jsonl");
    let operations = fs::read_to_string(&shortest).unwrap();
    let operations = operations.lines().filter(|line| line.contains("\"op\":")).count();
    assert!((2..=4).contains(&operations), "{operations}: {}", ran.stdout);

    let again = ["--topology", "nvme-edu", "--episodes", shortest.to_str().unwrap(), "--no-shrink"];
    conform(&bench, &kernel, &[&again[..], &["--profile", "dmabuf-v2"]].concat()).ended(1);
    conform(&bench, &kernel, &again).ended(0);
}

/// Every row that the emulated devices can show, and every planted error; by the importer and by mmap, too.
#[test]
#[ignore = "takes minutes"]
fn every_row_and_every_planted_error() {
    for kernel in [gate::PLAIN, gate::MMAP] {
        let Some(kernel) = gate::kernel(kernel) else { return };
        let bench = Bench::new();
        conform(&bench, &kernel, &["--ops", "20000", "--strict"]).ended(0);
    }
}
