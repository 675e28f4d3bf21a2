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

/// What the page has behind the command of a scenario that needs a kernel of its own.
const INJECTS: &str = " --kernel aer-inject";

/// The command on the page.
fn command(scenario: &Path) -> String {
    let name = scenario.file_name().unwrap().to_str().unwrap();
    format!("    barkeep replay tests/findings/{name} --lane lab")
}

fn injects(scenario: &Path) -> bool {
    PAGE.contains(&(command(scenario) + INJECTS + "\n"))
}

/// A kernel that behaves otherwise fails here: the page is out of date then.
fn each_passes(lane: &[&str], scenarios: impl Iterator<Item = PathBuf>) {
    for scenario in scenarios {
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
        let on_page = PAGE.contains(&(command(&scenario) + "\n")) || injects(&scenario);
        assert!(on_page, "{}", scenario.display());
    }
    assert_eq!(PAGE.matches("    barkeep replay ").count(), scenarios().len());
}

#[test]
fn the_specification_has_them() {
    // It is one of vfio-pci and iommufd: what PCI Express does about errors is not in it.
    each_passes(&["model"], scenarios().into_iter().filter(|scenario| !injects(scenario)));
}

#[test]
fn the_kernel_has_them() {
    for (variable, injected) in [(gate::PLAIN, false), (gate::AER_INJECT, true)] {
        let Some(kernel) = gate::kernel(variable) else { continue };
        let _alone = gate::emulator();
        let those = scenarios().into_iter().filter(|scenario| injects(scenario) == injected);
        each_passes(&["lab", "--kernel", kernel.to_str().unwrap()], those);
    }
}
