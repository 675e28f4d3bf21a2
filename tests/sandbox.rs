//! What a VMM keeps once its guest runs: no privileges, few system calls, no descriptor for a child. And what an
//! ordinary user needs.

mod common;

use common::bench::{Bench, Ran, eventually};
use common::{gate, inner};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Child;

/// The guest halts, over and over, until somebody ends it.
const WAITING: &str = r#"
version = 1
name = "waiting"
[guest]
vcpus = 2
[simulated]
nvme = "sim:memory,size=1M"
[[action]]
do = "fill"
to = { device = "nvme", bar = 2 }
pattern = 0x11111111
[[action]]
do = "repeat"
times = 100000
action = [{ do = "flr", device = "nvme" }, { do = "sleep", time = "20ms" }]
"#;

/// Main thread, event loop, vCPUs, engines, runner, journal: all of a run is done under the filters.
#[test]
fn the_main_job_is_done_by_a_confined_process() {
    if gate::kvm().is_none() {
        return;
    }
    let bench = Bench::new();
    let mut command = bench.barkeep(["run", "--lane", "kvm", "--seccomp", "trap", "--out"]);
    command.arg(bench.out());
    bench.run(command).ended(0).verdict("pass");
}

/// A VMM that does not outlive its test, however that ends.
struct Ends(Option<Child>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn threads(child: &Child) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let read =
        |task: &Path| Some((file(&task.join("comm"))?.trim_end().to_owned(), file(&task.join("status"))?));
    tasks.filter_map(|task| read(&task.unwrap().path())).collect()
}

fn file(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[test]
fn every_thread_is_confined_and_no_descriptor_is_inherited() {
    if gate::kvm().is_none() {
        return;
    }
    let bench = Bench::new();
    bench.write("waiting.toml", WAITING);
    let socket = bench.path("vm.sock");
    let mut command =
        bench.barkeep(["run", "--lane", "kvm", "--seccomp", "trap", "--scenario", "waiting.toml"]);
    command.arg("--control").arg(&socket).arg("--out").arg(bench.out());
    let mut ends = Ends(Some(bench.start(&mut command)));
    let child = ends.0.as_ref().unwrap();
    let ctl = |words: &[&str]| bench.barkeep(["ctl"]).arg(&socket).args(words).output().unwrap();
    eventually("the guest runs", || bench.read("out/journal.jsonl").contains("FLR nvme"));
    let threads = threads(child);
    for name in ["barkeep", "vcpu0", "vcpu1", "engines", "control", "control0"] {
        assert!(threads.iter().any(|(thread, _)| thread == name), "{name}: {threads:?}");
    }
    for (name, status) in &threads {
        for line in
            ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"]
        {
            assert!(status.contains(line), "{name}: {line} is not in:\n{status}");
        }
    }
    // Two filters on those that work for the guest, one on the others.
    let filters = |name: &str| {
        let (_, status) = threads.iter().find(|(thread, _)| thread == name).unwrap();
        status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).unwrap().trim().to_owned()
    };
    assert_eq!(
        (filters("vcpu0"), filters("control0"), filters("barkeep")),
        ("2".into(), "2".into(), "1".into())
    );
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", child.id())).unwrap() {
        let entry = entry.unwrap();
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        // Gone meanwhile: some of them come and go.
        let Some(info) = file(&entry.path()) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = u32::from_str_radix(flags, 8).unwrap();
        let link = fs::read_link(format!("/proc/{}/fd/{number}", child.id()));
        assert!(number <= 2 || flags & 0o2_000_000 != 0, "{number} ({link:?}) is not close-on-exec");
    }
    for words in [&["list"][..], &["pause"], &["resume"], &["reset", "ffff:00:01.0"]] {
        let output = ctl(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(ctl(&["quit"]).status.success());
    let ran = bench.wait(ends.0.take().unwrap());
    ran.ended(130);
    assert!(!ran.stderr.contains("confined"), "{}", ran.stderr);
}

/// Inside the lab, as a user that owns the device files and nothing else.
fn as_user(kib: &str) -> Option<(Bench, Ran)> {
    let kernel = gate::kernel(gate::PLAIN)?;
    let bench = Bench::new();
    let share = inner::share(&bench)?;
    let words = ["exec", "inner", "user", "1000", kib, "run", "--seccomp", "trap"];
    let ran = bench.run_lab(&kernel, &["--share", &share], &words);
    Some((bench, ran))
}

#[test]
fn an_ordinary_user_needs_the_device_files_and_the_memory_lock_limit() {
    // The main job's guest has 64 MiB.
    let Some((bench, ran)) = as_user("65536") else { return };
    ran.ended(0);
    let journal = bench.journal();
    let mut story = journal.story();
    story.step(json!({"kind": "ram_map"}));
    story.then(json!({"kind": "landed", "text": "dma"}));
    story.then(json!({"kind": "run_end", "result": 0}));
    let Some((bench, ran)) = as_user("65535") else { return };
    ran.ended(2);
    let told = ["the memory-lock limit is too low", "67108864 bytes", "ulimit -l 65536", "limits.conf"];
    for word in told {
        assert!(ran.stderr.contains(word) || ran.stdout.contains(word), "{word}: {ran:?}");
    }
    let journal = bench.journal();
    assert!(journal.all(&json!({"kind": "device_open"})).is_empty(), "nothing is opened before");
}

/// The stock Linux of the lab under the filters, with devices, to its own power-off.
#[test]
fn a_linux_guest_runs_to_its_end_in_a_confined_vmm() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["lab", "--kernel"]);
    command.arg(&kernel).arg("--out").arg(bench.out()).args(["--", "run", "--guest"]).arg(&kernel);
    command.args(["--initrd", "self", "--device", "edu=0000:00:04.0", "--append"]);
    command.arg("console=ttyS0 quiet panic=-1 barkeep.do=interrupts");
    let ran = bench.run(command);
    ran.ended(0).tells(&["the guest has powered off"]);
    assert!(ran.stdout.contains("guest: up"), "{}", ran.stdout);
}
