//! Guest memory of huge pages, on a kernel that has some: it is of them, and what peers and CPUs do is the same.

mod common;

use common::bench::{Bench, Ran};
use common::{EDU, NVME, gate, inner, scenario};
use std::path::Path;

/// The smallest machine, with huge pages of both sizes.
fn machine() -> String {
    let machine = include_str!("../crates/lab/topologies/nvme-edu.toml");
    let more =
        "memory = \"4G\"\nkernel_arguments = \"hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=40\"\n";
    machine.replacen("[[device]]", &format!("{more}[[device]]"), 1)
}

/// A reset between what a CPU wrote and read, and a DMA from guest memory.
const ACTIONS: [&str; 4] = [
    r#"do = "fill"; to = { device = "nvme", bar = 2 }; pattern = 0x11111111"#,
    r#"do = "flr"; device = "nvme""#,
    r#"do = "verify"; at = { device = "nvme", bar = 2 }; pattern = 0x11111111"#,
    r#"do = "dma"; engine = "edu"; to = { device = "nvme", bar = 2 }; expect = "lands""#,
];

fn run(bench: &Bench, kernel: &Path, kib: &str, [pages, memory]: [&str; 2]) -> Ran {
    let (nvme, edu) = (format!("nvme={NVME}"), format!("edu={EDU}"));
    let words =
        ["exec", "inner", "free", kib, "run", "--scenario", "own.toml", "--device", &nvme, "--device", &edu];
    let inner = [&words[..], &["--huge-pages", pages, "--memory", memory]].concat();
    bench.run_lab(kernel, &["--topology", "machine.toml", "--share", "share"], &inner)
}

#[test]
fn guest_memory_is_of_huge_pages_and_they_are_given_back() {
    let Some(kernel) = gate::kernel(gate::HUGE_PAGES) else { return };
    let bench = Bench::new();
    let Some(_) = inner::share(&bench) else { return };
    bench.write("machine.toml", machine());
    bench.write("own.toml", scenario::of("own", &ACTIONS));
    for (kib, what, free) in
        [("2048", ["2M", "64M"], "free: 40, 8, 40"), ("1048576", ["1G", "1G"], "free: 1, 0, 1")]
    {
        let ran = run(&bench, &kernel, kib, what);
        ran.ended(0);
        assert!(ran.stdout.contains(free), "{what:?}: {ran:?}");
    }
    let few = run(&bench, &kernel, "1048576", ["1G", "2G"]);
    few.ended(2)
        .tells(&["takes 2 huge pages of 1048576 KiB, and 1 are free", "hugepages-1048576kB/nr_hugepages"]);
    assert!(few.stdout.contains("free: 1, 1, 1"), "{few:?}");
}
