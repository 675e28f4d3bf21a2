//! What `docs/findings.md` says of the kernel is so: each scenario beside it passes, on the kernel under test
//! and on the specification.

mod common;

use common::bench::Bench;
use common::gate;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/findings.md");

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/findings");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// A kernel that behaves otherwise fails here: the page is out of date then.
fn each_passes(lane: &[&str]) {
    for scenario in scenarios() {
        let bench = Bench::new();
        let mut command = bench.barkeep(["replay"]);
        command.arg(&scenario).arg("--lane").args(lane).arg("--out").arg(bench.out());
        let ran = bench.run(command);
        assert_eq!(ran.status, Some(0), "{}: {ran:?}", scenario.display());
    }
}

#[test]
fn each_is_on_the_page_with_its_command() {
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_str().unwrap();
        let command = format!("    barkeep replay tests/findings/{name} --lane lab\n");
        assert!(PAGE.contains(&command), "{name}");
    }
    assert_eq!(PAGE.matches("    barkeep replay ").count(), scenarios().len());
}

#[test]
fn the_specification_has_them() {
    each_passes(&["model"]);
}

#[test]
fn the_kernel_has_them() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let _alone = gate::emulator();
    each_passes(&["lab", "--kernel", kernel.to_str().unwrap()]);
}
