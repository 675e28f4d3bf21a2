//! The whole exporter, row by row, in kernels under test: the stock one, and the one with our own patches.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use std::collections::BTreeMap;
use std::path::Path;

/// What became of a row, and what was said of it.
#[derive(Debug)]
struct Row {
    result: String,
    seen: String,
}

/// Rows by what they are about and what is done.
fn rows(table: &str) -> BTreeMap<(String, String), Row> {
    let mut rows = BTreeMap::new();
    let (mut about, mut lines) = (String::new(), table.lines().peekable());
    while let Some(line) = lines.next() {
        let is_row = ["  passed  ", "  FAILED  ", "  cannot  "].iter().any(|word| line.starts_with(word));
        if !is_row {
            about = line.to_owned();
            continue;
        }
        assert!(lines.next().is_some_and(|line| line.starts_with("          expected  ")), "{line}");
        let seen = lines.next().unwrap()[20..].to_owned();
        let row = Row { result: line[2..8].to_owned(), seen };
        rows.insert((about.clone(), line[10..].to_owned()), row);
    }
    rows
}

fn exporter(bench: &Bench, kernel: &Path, words: &[&str]) -> Ran {
    let inner: Vec<&str> = ["exporter"].iter().chain(words).copied().collect();
    bench.run_lab(kernel, &[], &inner)
}

/// The rows that are not passed, with the reason of each.
fn unable(rows: &BTreeMap<(String, String), Row>) -> Vec<(&str, &str, &str)> {
    let others = rows.iter().filter(|(_, row)| row.result != "passed");
    others.map(|((about, what), row)| (about.as_str(), what.as_str(), row.seen.as_str())).collect()
}

/// What no kernel so far, or no machine that QEMU emulates, can do.
const NOWHERE: [&str; 3] =
    ["AF FLR", "export of ranges of two BARs", "an importer's own way to it, for every driver"];

#[test]
fn the_stock_kernel_does_all_but_what_it_is_known_not_to() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = exporter(&bench, &kernel, &[]);
    ran.ended(0);
    let rows = rows(&ran.stdout);
    assert!(rows.len() >= 59, "{}", ran.stdout);
    for (about, what, why) in unable(&rows) {
        let known = match about {
            "mmap of the dma-buf" => why.contains("EINVAL"),
            "export and attach" | "segments" if what.contains("ranges") && !what.contains("two BARs") => {
                why.contains("EADDRINUSE")
            }
            _ => NOWHERE.contains(&what),
        };
        assert!(known, "{about}: {what}: {why}");
    }
    assert!(ran.stdout.contains(" 0 failed, "), "{}", ran.stdout);
    // What docs/findings.md says of it; a kernel that has it no longer fails here.
    let several = rows.values().filter(|row| row.seen.contains("EADDRINUSE")).count();
    assert_eq!(several, 3, "{}", ran.stdout);
    let fenced = rows.iter().find(|((_, what), _)| what.contains("not signalled"));
    assert!(fenced.is_some_and(|(_, row)| row.result == "passed"), "{}", ran.stdout);
}

#[test]
fn the_kernel_with_our_patches_does_all_that_there_is_a_way_to() {
    let Some(kernel) = gate::kernel(gate::MMAP) else { return };
    let bench = Bench::new();
    let ran = exporter(&bench, &kernel, &[]);
    ran.ended(0);
    let rows = rows(&ran.stdout);
    assert!(rows.len() >= 55, "{}", ran.stdout);
    for (about, what, why) in unable(&rows) {
        assert!(NOWHERE.iter().any(|known| what.starts_with(known)), "{about}: {what}: {why}");
    }
}

#[test]
fn a_table_is_of_the_rows_asked_for_and_the_same_each_time() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let first = exporter(&bench, &kernel, &["--only", "holds on"]);
    first.ended(0);
    assert_eq!(rows(&first.stdout).len(), 5, "{}", first.stdout);
    assert!(first.stdout.contains("after 250ms it still waits; reported as held"), "{}", first.stdout);
    assert_eq!(exporter(&bench, &kernel, &["--only", "holds on"]).stdout, first.stdout);
    exporter(&bench, &kernel, &["--only", "no such thing"]).ended(2).tells(&["no row is about"]);
}

/// Importers that are killed, unbound and unloaded in the middle of whatever they do.
fn storm(variable: &str, resets: &str) {
    let Some(kernel) = gate::kernel(variable) else { return };
    let bench = Bench::new();
    let ran = exporter(&bench, &kernel, &["--storm", resets]);
    ran.ended(0);
    let word = |before: &str| {
        let end = ran.stdout.find(before).unwrap_or_else(|| panic!("{before}: {}", ran.stdout));
        ran.stdout[..end].trim_end().rsplit([' ', ',']).next().unwrap().parse::<u64>().unwrap()
    };
    assert!(ran.stdout.contains("all works"), "{}", ran.stdout);
    assert!(word("resets, ") >= resets.parse().unwrap(), "{}", ran.stdout);
    assert!(word("of them killed") > 0 && word("times, refused") > 0, "{}", ran.stdout);
}

#[test]
fn a_storm_of_importers_leaves_all_working() {
    storm(gate::PLAIN, "30");
    storm(gate::MMAP, "30");
}

#[test]
#[ignore = "takes minutes, and the debug kernel"]
fn a_kernel_that_watches_itself_has_nothing_to_say_of_it() {
    storm("BARKEEP_TEST_KERNEL_DEBUG_MMAP", "500");
}

#[test]
fn a_kernel_without_the_module_is_told_how_to_get_it() {
    let bench = Bench::new();
    let kernel = bench.write("bzImage", common::dummies::bzimage());
    exporter(&bench, &kernel, &[]).ended(2).tells(&["scripts/kernel --importer", "barkeep_importer.ko"]);
    bench.run(bench.barkeep(["exporter"])).ended(2).tells(&["barkeep lab -- exporter"]);
}
