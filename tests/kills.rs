//! SIGKILL of whoever takes part in a run: the VMM, a second process that has imported a window of it, the
//! emulator around them, `barkeep` itself. The verdict says so, nothing is left behind, and the next run
//! works.

mod common;

use common::bench::{Bench, Ran, eventually};
use common::gate;
use common::scenario;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;

/// A little longer than a run of [`busy`] takes; killed at its very start there is no VM yet.
const MOMENTS: &str = "0s..5s";
/// Events of the main job's journal, by about its end.
const EVENTS: u64 = 560;

/// One of a stream of numbers: Knuth's MMIX generator, its upper half.
fn drawn(seed: u64, most: u64) -> u64 {
    let next = |n: u64| n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (next(next(seed)) >> 32) % (most + 1)
}

fn lab<S: AsRef<OsStr>>(bench: &Bench, kernel: &Path, words: impl IntoIterator<Item = S>) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(words);
    command.args(["--lane", "lab", "--kernel"]).arg(kernel).arg("--out").arg(bench.out());
    bench.run(command)
}

/// A VM in the middle of resets, DMAs and a second process, all the time. What comes of each DMA depends on
/// the moment, and is for the checker to judge.
fn busy(bench: &Bench) {
    let second =
        |what: &str, expect: &str| format!("do = \"second\", what = \"{what}\", expect = \"{expect}\"");
    let dma = "engine = \"edu\", to = { device = \"nvme\", bar = 2 }";
    let steps = [
        format!("do = \"dma-start\", {dma}"),
        "do = \"flr\", device = \"nvme\"".to_owned(),
        "do = \"dma-finish\", engine = \"edu\", expect = \"either\"".to_owned(),
        second("dma-start", "any"),
        "do = \"decode-off\", device = \"nvme\"".to_owned(),
        second("import", "any"),
        "do = \"decode-on\", device = \"nvme\"".to_owned(),
        second("unmap", "any"),
        second("import", "any"),
        "do = \"device-reset\", device = \"nvme\"".to_owned(),
        second("dma-finish", "either"),
    ];
    let steps = steps.map(|step| format!("{{ {step} }}")).join(", ");
    let start = "do = \"second\"; what = \"start\"; of = { device = \"nvme\", bar = 2, offset = 4096 }; \
                 engine = \"spare\"";
    let actions = [
        "do = \"hammer\"; at = { device = \"nvme\", bar = 2, offset = 8192 }; vcpu = 1; pause = \"1ms\"",
        start,
        "do = \"hold\"; device = \"nvme\"; what = \"inherited\"",
        "do = \"hold\"; device = \"nvme\"; what = \"duplicate\"; bar = 2",
        &format!("do = \"repeat\"; times = 15; action = [{steps}]"),
    ];
    let head = "topology = \"two-engines\"\n[guest]\nvcpus = 2\n[[action]]";
    bench.write("own.toml", scenario::of("busy", &actions).replacen("[[action]]", head, 1));
}

/// Kills the VMM that often, each time at another moment, all in one boot if nothing is left behind; and
/// once more it is left alone.
fn vmm_killed(times: u32) {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    busy(&bench);
    let words = ["replay", "own.toml", "--times", &times.to_string(), "--kill-after", MOMENTS];
    let ran = lab(&bench, &kernel, words);
    ran.ended(0);
    let killed: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("killed ")).collect();
    assert!(killed.len() as u32 > times / 2, "{}", ran.stdout);
    for line in &killed {
        assert!(line.contains("ended by signal 9; nothing left behind"), "{line}");
    }
    let told =
        format!("pass  {times} times, {} of them killed and nothing left behind, one more", killed.len());
    assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    assert!(!bench.path("out/boots/2").exists(), "it took another boot:\n{}", ran.stdout);
}

#[test]
fn the_vmm_is_killed_at_any_moment() {
    vmm_killed(10);
}

#[test]
#[ignore = "minutes"]
fn the_vmm_is_killed_a_hundred_times() {
    vmm_killed(100);
}

/// A second process that imports what is reset meanwhile, is killed in the middle, and is followed by
/// another one, which works.
fn second_killed(times: u32) {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let start = "do = \"second\"; what = \"start\"; of = { device = \"nvme\", bar = 2, offset = 4096 }; \
                 engine = \"spare\"";
    let second =
        |what: &str, expect: &str| format!("do = \"second\"; what = \"{what}\"; expect = \"{expect}\"");
    let (import, dma) = (second("import", "any"), second("dma-start", "any"));
    let kill = "do = \"meanwhile\"; after = \"0ms..700ms\"; action = { do = \"second\", what = \"kill\" }";
    let flr = "do = \"flr\"; device = \"nvme\"";
    let actions = [
        start,
        kill,
        &import,
        &dma,
        flr,
        &second("unmap", "any"),
        &import,
        &second("dma-finish", "any"),
        "do = \"decode-off\"; device = \"nvme\"",
        &import,
        "do = \"decode-on\"; device = \"nvme\"",
        "do = \"join\"",
        "do = \"sleep\"; time = \"5100ms\"; for = \"fault-log\"",
        start,
        &second("import", "ok"),
        &second("dma", "lands"),
        &scenario::dma(0x5a5a_0001, "lands"),
        &second("end", "ok"),
    ];
    let text = scenario::of("second-killed", &actions);
    bench.write("own.toml", text.replacen("[[action]]", "topology = \"two-engines\"\n[[action]]", 1));
    let ran = lab(&bench, &kernel, ["replay", "own.toml", "--times", &times.to_string()]);
    ran.ended(0).verdict(&format!("pass  {times} times"));
    assert!(!bench.path("out/boots/2").exists(), "it took another boot:\n{}", ran.stdout);
}

#[test]
fn the_second_process_is_killed_at_any_moment() {
    second_killed(10);
}

#[test]
#[ignore = "minutes"]
fn the_second_process_is_killed_a_hundred_times() {
    second_killed(100);
}

/// Exporter first, in the middle of everything: who outlives it finds its mapping dead, and lets go.
#[test]
fn what_outlives_the_vmm_looks_and_lets_go() {
    let bench = Bench::new();
    let second = |what: &str| format!("do = \"second\"; what = \"{what}\"");
    let text = scenario::of(
        "outlived",
        &[
            "do = \"second\"; what = \"start\"; of = { device = \"nvme\", bar = 2 }; engine = \"spare\"",
            &second("import"),
            "do = \"hold\"; device = \"nvme\"; what = \"inherited\"",
            "do = \"hold\"; device = \"nvme\"; what = \"passed\"; bar = 2",
            &second("dma-start"),
            "do = \"kill-vmm\"",
            // Nobody is there to do it.
            &scenario::dma(0x5a5a_0001, "faults"),
        ],
    );
    bench.write("own.toml", text.replacen("[[action]]", "topology = \"two-engines\"\n[[action]]", 1));
    let told = || {
        let journal = bench.journal();
        let mut story = journal.story();
        story.then(json!({"kind": "attach_probe", "phase": "end", "actor": "importer", "result": 0}));
        story.then(json!({"kind": "process", "phase": "end", "actor": "vmm", "text": "SIGKILL"}));
        story.then(json!({"kind": "attach_probe", "phase": "end", "actor": "importer", "errno": "ENODEV"}));
        let unmap = story.then(json!({"kind": "process_step", "phase": "begin", "text": "i.unmap"}));
        story.then(json!({"kind": "process_step", "phase": "end", "step": unmap["step"], "result": 0}));
        story.then(json!({"kind": "process", "phase": "end", "actor": "importer", "text": "exit"}));
        story.then(json!({"kind": "run_end", "result": 0}));
        assert!(journal.all(&json!({"kind": "dma_start", "value": 0x5a5a_0001})).is_empty());
    };
    bench
        .run(bench.barkeep(["replay", "own.toml", "--lane", "model", "--out", "out"]))
        .ended(0)
        .verdict("pass");
    told();
    if gate::kvm().is_some() {
        let command = bench.barkeep(["replay", "own.toml", "--lane", "kvm", "--out", "out"]);
        bench.run(command).ended(0).verdict("pass");
        told();
    }
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    lab(&bench, &kernel, ["replay", "own.toml"]).ended(0).verdict("pass");
    told();
    let journal = bench.journal();
    let devices =
        ["devices a killed VMM has left", "devices of a killed VMM with", "devices a killed VMM has open"];
    for what in ["processes", "dma-bufs", "pages"].into_iter().chain(devices) {
        let left = journal.all(&json!({"kind": "leftover", "actor": "lab", "value": 0}));
        assert!(
            left.iter().any(|event| event["text"].as_str().unwrap().starts_with(what)),
            "{what}: {left:?}"
        );
    }
}

/// A run of the main job that has written so many events.
fn begun(bench: &Bench, kernel: &Path, events: u64) -> Child {
    let mut command = bench.barkeep(["run", "--lane", "lab", "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out()).env("TMPDIR", bench.path("tmp"));
    fs::create_dir_all(bench.path("tmp")).unwrap();
    let child = bench.start(&mut command);
    eventually("so many events", || bench.read("out/journal.jsonl").lines().count() as u64 > events);
    child
}

/// The emulator that a command has started.
fn emulator(of: &Child) -> Pid {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", of.id())).unwrap();
    let mut pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
    let qemu = pids.find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu"))
    });
    Pid::from_raw(qemu.expect("an emulator")).unwrap()
}

/// Nothing is left behind outside, and the same command works.
fn next_run_works(bench: &Bench, kernel: &Path) {
    eventually("no process is left", || bench.processes().is_empty());
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0, "temporary files are left");
    let mut shared = fs::read_dir("/dev/shm").into_iter().flatten().filter_map(Result::ok);
    let ours = shared.find(|file| file.file_name().to_string_lossy().contains("barkeep"));
    assert!(ours.is_none(), "shared memory is left: {ours:?}");
    let mut command = bench.barkeep(["run", "--lane", "lab", "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out());
    bench.run(command).ended(0).verdict("pass");
}

fn emulator_killed(times: u64) {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let _alone = gate::emulator();
    let bench = Bench::new();
    for time in 0..times {
        fs::remove_dir_all(bench.out()).ok();
        let child = begun(&bench, &kernel, drawn(time, EVENTS));
        kill_process(emulator(&child), Signal::KILL).unwrap();
        let ran = bench.wait(child);
        ran.ended(125).tells(&["QEMU failed", "signal: 9"]);
        if ran.stdout.is_empty() {
            // Before the run had begun there is nothing to be judged.
            ran.tells(&["the lab cannot run"]);
        } else {
            ran.verdict("FAIL");
            assert!(ran.stdout.contains("the run was cut off: QEMU failed"), "{}", ran.stdout);
        }
        eventually("no process is left", || bench.processes().is_empty());
    }
    next_run_works(&bench, &kernel);
}

#[test]
fn the_emulator_is_killed_at_any_moment() {
    emulator_killed(3);
}

#[test]
#[ignore = "minutes"]
fn the_emulator_is_killed_thirty_times() {
    emulator_killed(30);
}

/// Nobody is left to tell; and nothing else is.
#[test]
fn the_emulator_does_not_outlive_barkeep() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let _alone = gate::emulator();
    let bench = Bench::new();
    let mut child = begun(&bench, &kernel, drawn(7, EVENTS));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    next_run_works(&bench, &kernel);
}

/// What cannot be had is told before anything is made.
#[test]
fn where_nobody_would_be_left_to_look_it_is_refused() {
    let bench = Bench::new();
    bench.write("own.toml", scenario::of("own", &["do = \"kill-vmm\""]));
    let host = ["replay", "own.toml", "--lane", "host", "--device", "nvme=0000:00:03.0"];
    bench.run(bench.barkeep(host)).ended(2).tells(&["kills the VMM", "--lane lab"]);
    let model = ["run", "--lane", "model", "--times", "2", "--kill-after", "1s"];
    bench.run(bench.barkeep(model)).ended(2).tells(&["--kill-after", "--lane lab"]);
}
