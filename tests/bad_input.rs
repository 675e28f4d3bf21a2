//! Wrong input that is told before anything boots: one message, the status of the table, and
//! nothing left behind.

mod common;

use common::bench::{Bench, Ran};
use common::{dummies, gate, scenario};
use std::path::Path;

/// Runs `barkeep lab` with a kernel that passes for one; nothing may come of it.
fn lab(bench: &Bench, options: &[&str], inner: &[&str]) -> Ran {
    let kernel = bench.write("bzImage", dummies::bzimage());
    nothing_made(bench, bench.run(bench.lab(&kernel, options, inner)))
}

fn nothing_made(bench: &Bench, ran: Ran) -> Ran {
    assert!(!bench.out().exists(), "a folder for results was made");
    assert_eq!(ran.stdout, "");
    ran
}

#[test]
fn kernels_that_are_none() {
    let bench = Bench::new();
    let with = |kernel: &Path| nothing_made(&bench, bench.run(bench.lab(kernel, &[], &[])));
    with(Path::new("./none")).ended(2).tells(&["cannot read the kernel image ./none", "No such file"]);
    with(Path::new("not-there"))
        .ended(2)
        .tells(&["no kernel `not-there`", "scripts/kernel --variant not-there"]);
    let text = bench.write("text", "not a kernel\n");
    with(&text).ended(2).tells(&["text is not an x86-64 kernel"]);
    let cut = bench.write("cut", &dummies::bzimage()[..4000]);
    with(&cut).ended(2).tells(&["cut is truncated", "4096", "4000"]);
    with(bench.path("").as_path()).ended(2).tells(&["cannot read the kernel image"]);
}

#[test]
fn no_kernel_built_and_none_named() {
    let bench = Bench::new();
    let mut command = bench.barkeep(["lab", "--out", "out"]);
    command.env("BARKEEP_CACHE", bench.path("empty"));
    nothing_made(&bench, bench.run(command)).ended(2).tells(&["no kernel", "scripts/kernel", "--kernel"]);
}

#[test]
fn a_kernel_that_never_boots() {
    if gate::qemu().is_none() {
        return;
    }
    let bench = Bench::new();
    let kernel = bench.write("vmlinux", dummies::spinning_kernel());
    let ran = bench.run_lab(&kernel, &["--timeout", "5"], &[]);
    ran.ended(124).tells(&["timed out after 5 s", "never started PID 1"]);
}

#[test]
fn topologies_that_are_none() {
    let bench = Bench::new();
    lab(&bench, &["--topology", "nvme-edo"], &["exec", "x"]).ended(2).tells(&["nvme-edo", "`nvme-edu`"]);
    lab(&bench, &["--topology", "./none.toml"], &["exec", "x"]).ended(2).tells(&["./none.toml"]);
    bench.write("own.toml", "version = 1\nname = \"own\"\n[[device]]\nname = \"a\"\nmodle = \"edu\"\n");
    lab(&bench, &["--topology", "own.toml"], &["exec", "x"]).ended(2).tells(&["own.toml", "`model`"]);
}

#[test]
fn a_topology_named_twice_and_differently() {
    let bench = Bench::new();
    bench.write("own.toml", "version = 1\nname = \"own\"\n");
    for inner in [&["run"][..], &["replay", "hammer"], &["run", "--scenario=main-job"]] {
        let ran = lab(&bench, &["--topology", "own.toml"], inner);
        ran.ended(2).tells(&["--topology own.toml", "the scenario names nvme-edu"]);
    }
}

#[test]
fn emulators_that_will_not_do() {
    let bench = Bench::new();
    let kernel = bench.write("bzImage", dummies::bzimage());
    let with = |variable: &str, value: &Path| {
        let mut command = bench.lab(&kernel, &[], &[]);
        command.env_remove("BARKEEP_QEMU").env(variable, value);
        nothing_made(&bench, bench.run(command))
    };
    with("PATH", &bench.path(""))
        .ended(125)
        .tells(&["qemu-system-x86_64 is not in PATH", "install the package"]);
    let old = dummies::qemu(&bench, "8.1.5");
    with("BARKEEP_QEMU", &old).ended(125).tells(&["is QEMU 8.1", "at least 8.2", "install the package"]);
    // Named, and wrong: the user's.
    with("BARKEEP_QEMU", Path::new("/none")).ended(2).tells(&["BARKEEP_QEMU names /none"]);
}

#[test]
fn results_that_cannot_be_written() {
    let bench = Bench::new();
    let file = bench.write("file", "in the way");
    let kernel = bench.write("bzImage", dummies::bzimage());
    let out = file.join("out").to_string_lossy().into_owned();
    let mut lab = bench.barkeep(["lab", "--out", &out, "--kernel"]);
    lab.arg(kernel).env("BARKEEP_QEMU", dummies::qemu(&bench, "10.0.0"));
    bench.run(lab).ended(2).tells(&["cannot write results to", &out]);
    let run = bench.barkeep(["run", "--out", &out, "--device", "nvme=0000:00:03.0"]);
    bench.run(run).ended(2).tells(&[&out]);
}

#[test]
fn scenarios_that_are_none() {
    let bench = Bench::new();
    lab(&bench, &[], &["replay", "not-there.toml"])
        .ended(2)
        .tells(&["not-there.toml", "shipped are main-job, importer, hammer"]);
    let replay = |text: &str| {
        bench.write("own.toml", text);
        let ran = lab(&bench, &[], &["replay", "own.toml"]);
        ran.ended(2).tells(&["own.toml"]);
        ran
    };
    let flr = "do = \"flr\"; device = \"nvme\"";
    replay(&scenario::of("own", &[&flr.replace("device", "devcie")])).tells(&["devcie", "`device`"]);
    replay(&scenario::of("own", &[&flr.replace("flr", "flrr")])).tells(&["flrr", "`flr`"]);
    replay(&scenario::of("own", &[&format!("{flr}; vcpu = 3")])).tells(&["vCPU 3"]);
    replay(&scenario::of("own", &[flr]).replace("version = 1", "version = 9")).tells(&["version 9"]);
}

#[test]
fn lanes_that_are_none() {
    let bench = Bench::new();
    let with = |lane| nothing_made(&bench, bench.run(bench.barkeep(["run", "--out", "out", "--lane", lane])));
    with("moon").ended(2).tells(&["moon", "model", "kvm", "lab", "host"]);
}

#[test]
fn a_lane_that_is_not_here() {
    if gate::kvm().is_some() {
        return gate::say("skipped: /dev/kvm is there");
    }
    let bench = Bench::new();
    let ran = nothing_made(&bench, bench.run(bench.barkeep(["run", "--out", "out", "--lane", "kvm"])));
    ran.ended(4).tells(&["lane kvm is not available", "kvm_intel", "--lane model"]);
}

#[test]
fn simulated_devices_that_are_none() {
    let bench = Bench::new();
    for (devices, status, told) in [
        (&["sim:memroy"][..], 2, &["sim:memroy", "`memory`"][..]),
        (&["sim:memory,sise=4K"], 2, &["`sise`", "did you mean `size`"]),
        (&["sim:memory,delay=1s"], 2, &["sim:memory has no option `delay`"]),
        (&["sim:dma,dealy=1s"], 2, &["did you mean `delay`"]),
        (&["sim:memory,size"], 2, &["`size`", "no value"]),
        (&["sim:memory,size=4K,size=8K"], 2, &["`size`", "given twice"]),
        (&["sim:memory,size=3M"], 2, &["size=3M", "power of two"]),
        (&["sim:memory,size=128G"], 2, &["size=128G", "512 to 64G"]),
        (&["sim:memory,bar=5"], 2, &["bar=5", "0 to 4"]),
        (&["sim:memory,pm=perhaps"], 2, &["pm=perhaps", "no-soft-reset"]),
        (&["sim:memory,reset=never"], 2, &["reset=never", "ok or fails"]),
        (&["sim:memory,reset-time=ages"], 2, &["reset-time=ages", "50ms"]),
        (&["sim:memory,msix=on,size=4K"], 2, &["msix=on", "16K"]),
        (&["sim:memory"], 2, &["`edu`", "--device sim:dma"]),
        (&["edu=sim:memory", "sim:memory"], 2, &["`edu`", "edu=sim:dma"]),
        (&["a=sim:memory", "a=sim:dma"], 2, &["two devices are called `a`"]),
        (&["sim:memory", "edu=0000:00:04.0"], 2, &["0000:00:04.0 is a real device", "of one sort"]),
    ] {
        let options = devices.iter().flat_map(|device| ["--device", device]);
        let words = ["run", "--out", "out"].into_iter().chain(options);
        nothing_made(&bench, bench.run(bench.barkeep(words))).ended(status).tells(told);
    }
    let with = |words: &[&str]| nothing_made(&bench, bench.run(bench.barkeep(words)));
    with(&["run", "--out", "out", "--lane", "host", "--device", "sim:dma"]).ended(2).tells(&["--lane kvm"]);
    with(&["run", "--out", "out", "--lane", "lab", "--device", "sim:dma"]).ended(2).tells(&["--lane kvm"]);
    let real = ["run", "--out", "out", "--lane", "model", "--device", "0000:00:04.0"];
    with(&real).ended(2).tells(&["0000:00:04.0 is a real device", "--lane host"]);
}

#[test]
fn devices_that_are_wrong_by_themselves() {
    let bench = Bench::new();
    let with = |devices: &[&str]| {
        let options = devices.iter().flat_map(|device| ["--device", device]);
        bench.run(bench.barkeep(["run", "--out", "out"].into_iter().chain(options)))
    };
    with(&["nvme=somewhere"]).ended(2).tells(&["nvme=somewhere", "--device"]);
    let twice = ["a=0000:00:03.0", "b=0000:00:03.0"];
    with(&twice).ended(2).tells(&["0000:00:03.0 is given twice"]);
    with(&[]).ended(2).tells(&["no devices", "nvme, edu", "--device"]);
}

#[test]
fn journals_that_are_none() {
    let bench = Bench::new();
    let check = |name: &str| bench.run(bench.barkeep(["check", name]));
    check("not-there").ended(2).tells(&["not-there", "No such file"]);
    bench.write("text", "not a journal\n");
    check("text").ended(2).tells(&["text", "line 1: not a journal"]);
    bench.write("newer", "{\"barkeep_journal\":9,\"lane\":\"lab\",\"clock\":\"virtual\"}\n");
    check("newer").ended(2).tells(&["newer", "version 9"]);
}
