//! `barkeep storm` as a CI sees it: a status, files it can read, and the same bytes for the same seed; and
//! when something fails, one command that fails the same way.

mod common;

use common::bench::{Bench, Ran, eventually};
use common::gate;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// `barkeep storm` with these words, results in the bench's `out`.
fn storm(bench: &Bench, words: &[&str]) -> Command {
    let mut command = bench.barkeep(["storm"]);
    command.args(words).arg("--out").arg(bench.out());
    command
}

fn ran(bench: &Bench, words: &[&str]) -> Ran {
    bench.run(storm(bench, words))
}

fn record(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path.join("storm.json")).unwrap()).unwrap()
}

/// Like `flr`, with an ending that expects what is not so.
fn wrong(bench: &Bench, expect: &str) {
    let text = format!(
        r#"
version = 1
name = "wrong"
topology = "nvme-edu"
[guest]
vcpus = 2
[simulated]
nvme = "sim:memory"
edu = "sim:dma,delay=20us"
[[action]]
do = "fill"
to = {{ device = "nvme", bar = 2 }}
size = 64
pattern = 1
[storm]
about = "A storm that expects what is not so."
resets = 8
[[storm.actor]]
name = "driver"
[[storm.actor.move]]
weight = 3
action = [{{ do = "flr", device = "nvme" }}, {{ do = "sleep", time = "0us..200us" }}]
[[storm.actor.move]]
action = [{{ do = "decode-off", device = "nvme" }}, {{ do = "decode-on", device = "nvme" }}]
[[storm.actor]]
name = "peer"
[[storm.actor.move]]
action = [
    {{ do = "dma-start", engine = "edu", to = {{ device = "nvme", bar = 2 }}, size = 64 }},
    {{ do = "dma-finish", engine = "edu", expect = "either" }},
]
[[storm.ending]]
action = [
    {{ do = "fill", to = {{ device = "nvme", bar = 2, offset = 4096 }}, size = 64, pattern = 0x11111111 }},
    {{ do = "verify", at = {{ device = "nvme", bar = 2, offset = 4096 }}, size = 64, pattern = {expect} }},
]
"#
    );
    bench.write("wrong.toml", text);
}

/// The same command is the same bytes, whatever the workers' order was.
#[test]
fn a_storm_in_lane_model_passes_and_is_the_same_again() {
    let bench = Bench::new();
    let words = ["flr", "--seed", "3", "--count", "1000", "--junit", "junit.xml", "--ktap", "ktap.txt"];
    let first = ran(&bench, &words).ended(0).stdout.clone();
    for word in ["commit", "kernel", "lane", "pass", "interleavings"] {
        assert!(first.contains(word), "`{word}` is not in {first}");
    }
    let (junit, ktap) = (bench.read("junit.xml"), bench.read("ktap.txt"));
    assert!(junit.contains("<testsuite") && junit.contains("failures=\"0\""), "{junit}");
    assert!(ktap.starts_with("KTAP version 1\n") && !ktap.contains("not ok"), "{ktap}");
    let mut words = words.to_vec();
    words.extend(["--jobs", "1"]);
    assert_eq!(ran(&bench, &words).ended(0).stdout, first);
    assert_eq!((bench.read("junit.xml"), bench.read("ktap.txt")), (junit, ktap));
}

#[test]
fn shards_share_the_seeds_out_and_merge_to_the_whole() {
    let bench = Bench::new();
    let part = |k: &str| {
        let mut command = bench.barkeep(["storm", "flr", "--count", "1200", "--shard", k]);
        command.arg("--out").arg(bench.path(&k.replace('/', "-")));
        // One alone may have missed a mark: that is judged of the whole.
        bench.run(command).ended(0);
    };
    ["1/3", "2/3", "3/3"].into_iter().for_each(part);
    let whole = ran(&bench, &["flr", "--count", "1200"]).ended(0).stdout.clone();
    // In any order, by folder or by file.
    let words = ["report", "merge", "3-3", "1-3/storm.json", "2-3", "--out", "merged/storm.json"];
    let merged = bench.run(bench.barkeep(words)).ended(0).stdout.clone();
    let (merged_record, whole_record) = (record(&bench.path("merged")), record(&bench.out()));
    for part in ["episodes", "totals"] {
        assert_eq!(merged_record[part], whole_record[part], "{part}");
    }
    // All but the line that says of which shards it is.
    let table = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.contains("pass")).map(str::to_owned);
        lines.filter(|line| !line.contains("shard")).collect::<Vec<_>>()
    };
    assert_eq!(table(&merged), table(&whole));

    let lost = bench.run(bench.barkeep(["report", "merge", "1-3", "2-3"]));
    lost.ended(125);
    assert!(lost.stdout.contains("3/3"), "{}", lost.stdout);
    bench.run(bench.barkeep(["report", "merge", "1-3", "1-3"])).ended(2).tells(&["1/3"]);
    bench.run(bench.barkeep(["report", "merge", "1-3", "nothing"])).ended(2).tells(&["nothing"]);
}

/// What a run that failed must leave: short, and failing the same way each time.
fn shrunk(bench: &Bench, ran: &Ran, kernel: &[&str], times: usize) {
    ran.ended(1);
    for word in ["FAIL", "0x22222222", "shrunk from", "again: barkeep replay"] {
        assert!(ran.stdout.contains(word), "`{word}` is not in {}", ran.stdout);
    }
    let repro = fs::read_to_string(bench.out().join("repro.toml")).unwrap();
    let actions = repro.matches("[[action]]").count();
    assert!((1..=10).contains(&actions), "{actions} actions:\n{repro}");
    assert!(repro.starts_with("# ") && repro.contains("seed = ") && repro.contains("[simulated]"), "{repro}");
    let line = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("again: barkeep ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let line: Vec<&str> = words.into_iter().chain(kernel.iter().copied()).collect();
    for _ in 0..times {
        let mut again = bench.barkeep(&line);
        again.arg("--out").arg(bench.path("again"));
        let again = bench.run(again);
        again.ended(1);
        assert!(again.stdout.contains("0x22222222"), "it fails otherwise: {}", again.stdout);
    }
    let record = record(&bench.out());
    let seed = &record["episodes"].as_array().unwrap().last().unwrap()["seed"];
    let kept = bench.out().join("episodes").join(seed.to_string());
    assert!(kept.join("journal.jsonl").is_file() && kept.join("episode.toml").is_file());
}

#[test]
fn a_storm_that_fails_is_made_short_and_fails_the_same_way() {
    let bench = Bench::new();
    wrong(&bench, "0x22222222");
    let words = ["wrong.toml", "--count", "100", "--junit", "junit.xml", "--ktap", "ktap.txt"];
    let ran = ran(&bench, &words);
    shrunk(&bench, &ran, &[], 3);
    assert_eq!(record(&bench.out())["episodes"].as_array().unwrap().len(), 1, "it went on");
    assert!(bench.read("junit.xml").contains("<failure"), "{}", bench.read("junit.xml"));
    assert!(bench.read("ktap.txt").contains("not ok"), "{}", bench.read("ktap.txt"));
}

#[test]
fn without_time_to_shrink_the_episode_itself_is_what_to_replay() {
    let bench = Bench::new();
    wrong(&bench, "0x22222222");
    let ran = ran(&bench, &["wrong.toml", "--count", "20", "--shrink-time", "0s", "--keep-going"]);
    ran.ended(1);
    assert!(ran.stdout.contains("3 failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("episodes/2/episode.toml"), "{}", ran.stdout);
    assert!(!bench.out().join("repro.toml").exists());
}

#[test]
fn a_finding_that_is_known_is_no_failure_and_one_that_is_gone_is() {
    let bench = Bench::new();
    wrong(&bench, "0x22222222");
    let known = "version = 1\n[[known]]\ninvariant = \"expectation\"\nfinding = \"*verif*\"\nreason = \"it is wrong\"\n";
    bench.write("known.toml", known.replace("*verif*", "*Holds*"));
    let ran_known = ran(&bench, &["wrong.toml", "--count", "20", "--known", "known.toml"]);
    ran_known.ended(0);
    assert!(ran_known.stdout.contains("it is wrong"), "{}", ran_known.stdout);
    wrong(&bench, "0x11111111");
    ran(&bench, &["wrong.toml", "--count", "20", "--known", "known.toml"]).ended(1);
    bench.write("known.toml", "version = 1\n[[knwon]]\n");
    ran(&bench, &["flr", "--known", "known.toml"]).ended(2).tells(&["known.toml"]);
}

#[test]
fn on_github_it_annotates_and_writes_the_summary() {
    let bench = Bench::new();
    wrong(&bench, "0x22222222");
    let summary = bench.write("summary.md", "before\n");
    let mut command = storm(&bench, &["wrong.toml", "--count", "8", "--shrink-time", "0s"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let ran = bench.run(command);
    ran.ended(1);
    assert!(ran.stdout.contains("::error title="), "{}", ran.stdout);
    let text = bench.read("summary.md");
    assert!(text.starts_with("before\n### "), "{text}");
}

#[test]
fn what_is_typed_wrong_is_told_before_anything_is_made() {
    let good = || {
        let bench = Bench::new();
        wrong(&bench, "0x11111111");
        let text = bench.read("wrong.toml");
        (bench, text)
    };
    for (words, told) in [
        (&["flrr"][..], &["flrr", "did you mean `flr`"][..]),
        (&["none.toml"], &["none.toml"]),
        (&["flr", "--count", "0"], &["--count"]),
        (&["flr", "--shard", "0/3"], &["0/3"]),
        (&["flr", "--shard", "4/3"], &["4/3"]),
        (&["flr", "--lane", "modle"], &["modle", "model"]),
        (&["flr", "--duration", "soon"], &["soon", "10m"]),
        (&["flr", "--kernel", "bzImage"], &["--kernel", "--lane lab"]),
        (&["flr", "--device", "sim:memroy"], &["memroy"]),
        (&["flr", "--junit", "/proc/none/junit.xml"], &["/proc/none/junit.xml"]),
        (&["flr", "--seed", "9223372036854775808"], &["9223372036854775807"]),
        (&[], &["STORM"]),
    ] {
        let (bench, _) = good();
        ran(&bench, words).ended(2).tells(told);
        assert!(!bench.out().join("storm.json").exists(), "{words:?}");
    }
    for (from, to, told) in [
        ("weight = 3", "weigth = 3", &["weigth", "did you mean `weight`"][..]),
        ("resets = 8", "resets = 0", &["resets"]),
        ("resets = 8", "resets = 8\nrequire = [\"dma-inflight\"]", &["dma-inflight", "dma-in-flight"]),
        (
            "[[storm.ending]]",
            "[[storm.ending]]\nweight = 0",
            &["the weights of the storm's endings sum to zero"],
        ),
        ("delay=20us", "delai=20us", &["delai", "delay"]),
        ("version = 1", "version = 9", &["version 9"]),
    ] {
        let (bench, text) = good();
        assert!(text.contains(from));
        bench.write("wrong.toml", text.replacen(from, to, 1));
        ran(&bench, &["wrong.toml"]).ended(2).tells(told);
    }
}

/// One file in the way, one folder that cannot be written: one message, and nothing half-written.
#[test]
fn an_output_that_cannot_be_written_is_told_first() {
    let bench = Bench::new();
    bench.write("out", "a file\n");
    ran(&bench, &["flr"]).ended(2).tells(&["cannot write results"]);
    assert_eq!(bench.read("out"), "a file\n");
    let bench = Bench::new();
    fs::create_dir_all(bench.out().join("storm.json")).unwrap();
    ran(&bench, &["flr"]).ended(2).tells(&["storm.json"]);
}

/// What a former run left is not taken for this one's; what is others' stays.
#[test]
fn the_folder_of_a_former_storm_is_used_again() {
    let bench = Bench::new();
    wrong(&bench, "0x22222222");
    bench.write("out/notes.txt", "mine\n");
    ran(&bench, &["wrong.toml", "--count", "8", "--shrink-time", "5s"]).ended(1);
    assert!(bench.out().join("repro.toml").exists());
    ran(&bench, &["flr", "--count", "200"]).ended(0);
    assert!(!bench.out().join("repro.toml").exists());
    assert!(!bench.out().join("episodes/1").exists());
    assert_eq!(bench.read("out/notes.txt"), "mine\n");
}

#[test]
fn a_lane_that_cannot_host_a_storm_is_skipped_with_the_reason() {
    let bench = Bench::new();
    // Nobody emulates a device with an AF capability.
    let ran_af = ran(&bench, &["af-flr", "--lane", "lab", "--junit", "junit.xml"]);
    ran_af.ended(4);
    assert!(ran_af.stdout.contains("topology"), "{}", ran_af.stdout);
    assert!(bench.read("junit.xml").contains("<skipped"), "{}", bench.read("junit.xml"));
    if !Path::new("/dev/vfio/devices").exists() {
        ran(&bench, &["flr", "--lane", "host"]).ended(4);
    }
}

/// The emulators of a bench: its folder is on their command line.
fn emulators(bench: &Bench) -> Vec<i32> {
    let mark = bench.out().to_string_lossy().into_owned();
    let of = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let program = line.split('\0').next().unwrap_or_default();
        let of_this = program.contains("qemu") && line.contains(&mark);
        of_this.then(|| entry.file_name().to_string_lossy().parse().ok()).flatten()
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(of).collect()
}

/// An emulator that dies under an episode is that episode's verdict.
#[test]
fn a_dead_emulator_is_a_verdict() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let _alone = gate::emulator();
    let kernel = kernel.to_string_lossy().into_owned();
    // One boot at a time: what another emulator is in the middle of is no matter of this episode's.
    let words = [
        &["flr", "--lane", "lab", "--kernel", &kernel][..],
        &["--count", "20000", "--jobs", "1", "--shrink-time", "0s"],
    ]
    .concat();
    let child = bench.start(&mut storm(&bench, &words));
    // Minutes of resets follow: it is in the middle of them.
    eventually("an episode", || bench.out().join("episodes/1/journal.jsonl").exists());
    let running = emulators(&bench);
    assert!(!running.is_empty());
    for emulator in running {
        signal(emulator, rustix::process::Signal::KILL);
    }
    let ran = bench.wait(child);
    ran.ended(125);
    assert!(ran.stdout.contains("QEMU failed (signal: 9 (SIGKILL))"), "{}", ran.stdout);
    assert!(emulators(&bench).is_empty());
}

/// Workers of this storm: they have no name of their own but their parent's number.
fn workers(parent: u32) -> Vec<i32> {
    let of = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let of_this = line.contains("storm-worker") && line.contains(&format!("--parent {parent} "));
        of_this.then(|| entry.file_name().to_string_lossy().parse().ok()).flatten()
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(of).collect()
}

fn signal(process: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(process).unwrap(), signal).unwrap();
}

/// A worker that dies is the verdict of the episode it had begun, and a storm that dies leaves none.
#[test]
fn killed_processes_are_verdicts_and_nothing_is_left() {
    use rustix::process::Signal;
    let bench = Bench::new();
    for (how, told, status, patience) in
        [(Signal::KILL, "SIGKILL", 125, "60s"), (Signal::STOP, "did not end in its time", 124, "1s")]
    {
        let words =
            ["flr", "--duration", "10m", "--jobs", "2", "--shrink-time", "0s", "--patience", patience];
        let child = bench.start(&mut storm(&bench, &words));
        eventually("workers", || workers(child.id()).len() == 2);
        let one = workers(child.id())[0];
        let parent = child.id();
        signal(one, how);
        let ran = bench.wait(child);
        ran.ended(status);
        assert!(ran.stdout.contains(told), "`{told}` is not in {}", ran.stdout);
        assert!(workers(parent).is_empty());
    }
    let mut child = bench.start(&mut storm(&bench, &["flr", "--duration", "10m", "--jobs", "2"]));
    eventually("workers", || workers(child.id()).len() == 2);
    child.kill().unwrap();
    let parent = child.id();
    child.wait().unwrap();
    eventually("no workers", || workers(parent).is_empty());
    // The next one works, in the same folder.
    ran(&bench, &["flr", "--count", "400"]).ended(0);
}

#[test]
fn an_interrupt_ends_it_and_its_workers() {
    use rustix::process::Signal;
    let bench = Bench::new();
    let child = bench.start(&mut storm(&bench, &["flr", "--duration", "10m"]));
    let parent = child.id();
    eventually("workers", || !workers(parent).is_empty());
    signal(parent as i32, Signal::INT);
    bench.wait(child).ended(130).tells(&["interrupted"]);
    assert!(workers(parent).is_empty());
    assert!(!bench.out().join("storm.json").exists());
}

#[test]
fn a_duration_ends_it() {
    let bench = Bench::new();
    let ran = ran(&bench, &["flr", "--duration", "300ms"]);
    ran.ended(0);
    let record = record(&bench.out());
    assert!(record["header"]["count"].is_null() && !record["episodes"].as_array().unwrap().is_empty());
}

#[test]
fn shipped_storms_are_listed() {
    let bench = Bench::new();
    let ran = bench.run(bench.barkeep(["storm", "--list"]));
    ran.ended(0);
    for word in ["flr\n", "everything\n", "lanes: model", "must show: dma-in-flight"] {
        assert!(ran.stdout.contains(word), "`{word}` is not in {}", ran.stdout);
    }
}

/// One reset, or a few: time is real there.
#[test]
fn lane_kvm_takes_an_episode_alone() {
    if gate::kvm().is_none() {
        return;
    }
    let bench = Bench::new();
    wrong(&bench, "0x11111111");
    ran(&bench, &["wrong.toml", "--lane", "kvm", "--count", "8"]).ended(0);
    wrong(&bench, "0x22222222");
    let failed = ran(&bench, &["wrong.toml", "--lane", "kvm", "--count", "8"]);
    shrunk(&bench, &failed, &[], 1);
}

/// The journals of two runs are the same, byte for byte.
#[test]
fn a_storm_in_the_lab_passes_and_is_the_same_again() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let _alone = gate::emulator();
    let run = |words: &[&str]| {
        let mut command = bench.barkeep(["lab", "--kernel"]);
        command.arg(&kernel).arg("--out").arg(bench.out()).args(["--", "storm"]).args(words);
        bench.run(command)
    };
    let journals = || {
        let folders = fs::read_dir(bench.out().join("episodes")).unwrap().map(|entry| entry.unwrap().path());
        let mut journals: Vec<_> = folders.map(|folder| folder.join("journal.jsonl")).collect();
        journals.retain(|journal| journal.exists());
        journals.sort();
        journals.into_iter().map(|journal| fs::read(journal).unwrap()).collect::<Vec<_>>()
    };
    let first = run(&["flr", "--seed", "5", "--count", "60"]).ended(0).stdout.clone();
    let kept = journals();
    assert!(!kept.is_empty());
    assert_eq!(run(&["flr", "--seed", "5", "--count", "60"]).ended(0).stdout, first);
    assert!(journals() == kept, "the journals are others");
    run(&["everything", "--count", "20"]).ended(0);

    // And one that fails is made short there, too.
    wrong(&bench, "0x22222222");
    let failed = run(&["wrong.toml", "--count", "8", "--shrink-time", "60s"]);
    shrunk(&bench, &failed, &[], 1);
}
