//! A run that is carried out again and stopped: at the same event each time, with the same to be seen there, and without a
//! trace of it in what follows.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use common::journal::Journal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const REVOKING: [&str; 12] = [
    "flr",
    "af_flr",
    "decode_off",
    "d3hot",
    "device_reset",
    "hot_reset",
    "close",
    "bar_move",
    "low_power_entry",
    "remove",
    "sysfs_reset",
    "unmap",
];

/// The N-th revoke of a journal, counted a second time.
fn revoke(journal: &Journal, number: usize) -> &Value {
    let begins = journal.all(&json!({"kind": "trigger", "phase": "begin"}));
    let revoking = |event: &&&Value| REVOKING.contains(&event["trigger"].as_str().unwrap());
    begins.iter().filter(revoking).nth(number - 1).expect("a revoke")
}

/// `seq   562   0.919805 s  what`: the place.
fn place(line: &str) -> u64 {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("seq"), "{line}");
    words.next().unwrap().parse().unwrap()
}

/// What a session has printed of each of its commands, and before the first.
fn answers(ran: &Ran) -> Vec<(String, Vec<String>)> {
    let mut answers = vec![(String::new(), Vec::new())];
    for line in ran.stdout.lines() {
        match line.strip_prefix("> ") {
            Some(command) => answers.push((command.to_owned(), Vec::new())),
            None => answers.last_mut().unwrap().1.push(line.to_owned()),
        }
    }
    answers
}

/// Two stretches of a journal are the same; where they part is told, and not all of both.
#[track_caller]
fn same(some: &[Value], others: &[Value]) {
    for (one, other) in some.iter().zip(others) {
        assert_eq!(one, other);
    }
    assert_eq!(some.len(), others.len());
}

fn replay(bench: &Bench, words: &[&str], commands: &str) -> Ran {
    bench.write("commands", commands);
    let mut command = bench.barkeep(["replay", "main-job", "--commands", "commands"]);
    command.args(words).arg("--out").arg(bench.out());
    bench.run(command)
}

fn plain(bench: &Bench, lane: &str) -> Journal {
    let mut command = bench.barkeep(["replay", "main-job", "--lane", lane, "--out", "plain"]);
    if lane == "lab" {
        command.arg("--kernel").arg(gate::kernel(gate::PLAIN).unwrap());
    }
    bench.run(command).ended(0);
    Journal::read(&bench.path("plain/journal.jsonl"))
}

#[test]
fn it_stops_looks_goes_back_and_leaves_no_trace() {
    let bench = Bench::new();
    let plain = plain(&bench, "model");
    let commands = "inspect nvme:2\nbytes nvme:2 0 16\nmappings\n# a remark\n\nstep 4\nback 3\nbytes nvme:2 0 4\n\
                    next revoke\nevent\nuntil 1.0\nhistory edu\nfindings\ncontinue\n";
    let ran = replay(&bench, &["--lane", "model", "--until", "revoke:1"], commands);
    ran.ended(0);
    let told = answers(&ran);
    let of = |command: &str| &told.iter().find(|(said, _)| said == command).expect(command).1;
    let first = revoke(&plain, 1)["seq"].as_u64().unwrap();
    assert_eq!(place(&told[0].1[0]), first);
    assert!(told[0].1[0].ends_with("[revoke:1]"), "{told:?}");
    // As the journal has it up to here, found again: the slot is out, the mapping not yet dead, the dma-buf there.
    let seen = of("inspect nvme:2").join("\n");
    let slot = plain.events.iter().rposition(|event| {
        event["kind"] == "slot_remove" && event["phase"] == "end" && event["seq"].as_u64().unwrap() < first
    });
    let slot = plain.events[slot.unwrap()]["seq"].to_string();
    for part in [
        "FLR under way",
        "exported",
        &format!("slot     out, withdrawn for FLR (seq {slot})"),
        "mapping  being revoked by FLR",
        "CPU      away, for FLR",
    ] {
        assert!(seen.contains(part), "{part} is not in\n{seen}");
    }
    // The pattern of the DMA before, as bytes; what CPUs see is away.
    let pattern = 0x5a5a_0001u32.to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(of("bytes nvme:2 0 16"), &[format!("0x00000000  {pattern} {pattern} {pattern} {pattern}")]);
    assert!(of("mappings").iter().any(|line| line.contains("guest-ram")), "{:?}", of("mappings"));
    let places: Vec<u64> = plain.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    let at = places.iter().position(|seq| *seq == first).unwrap();
    assert_eq!(place(&of("step 4")[0]), places[at + 4]);
    assert_eq!(place(&of("back 3")[0]), places[at + 1]);
    assert_eq!(of("bytes nvme:2 0 4"), &[format!("0x00000000  {pattern}")]);
    assert_eq!(place(&of("next revoke")[0]), revoke(&plain, 2)["seq"].as_u64().unwrap());
    assert_eq!(of("event"), of("next revoke"));
    let start = plain.events[0]["t_ns"].as_u64().unwrap();
    let second =
        plain.events.iter().find(|event| event["t_ns"].as_u64().unwrap() >= start + 1_000_000_000).unwrap();
    assert_eq!(place(&of("until 1.0")[0]), second["seq"].as_u64().unwrap());
    assert!(of("history edu").iter().all(|line| place(line) <= second["seq"].as_u64().unwrap()));
    assert_eq!(of("findings"), &["nothing found so far"]);
    assert!(ran.stdout.contains("pass  model, virtual time: nothing found (status 0)"), "{}", ran.stdout);
    // Who looked has changed nothing.
    same(&bench.journal().events, &plain.events);
}

/// Ten times the same event, and there the same to be seen. The run is one that fails: a DMA is expected to land during an
/// outage.
#[test]
fn a_watch_stops_at_the_finding_ten_of_ten() {
    const FAILING: &str = "version = 1\nname = \"failing\"\ntopology = \"nvme-edu\"\n[[action]]\ndo = \"flr\"\n\
        device = \"nvme\"\n[[action]]\ndo = \"decode-off\"\ndevice = \"nvme\"\n[[action]]\ndo = \"dma\"\n\
        engine = \"edu\"\nto = { device = \"nvme\", bar = 2 }\nexpect = \"lands\"\n";
    let bench = Bench::new();
    bench.write("failing.toml", FAILING);
    bench.write("commands", "inspect\nbytes nvme:2 0 64\nfindings\nback 2\nquit\n");
    let mut first: Option<String> = None;
    for _ in 0..10 {
        let ran = bench.run(bench.barkeep([
            "replay",
            "failing.toml",
            "--lane",
            "model",
            "--break",
            "--commands",
            "commands",
            "--out",
            "out",
        ]));
        ran.ended(0);
        let finding = ran.stdout.lines().next().unwrap();
        assert!(finding.contains("NOT AS EXPECTED"), "{}", ran.stdout);
        assert_eq!(first.get_or_insert_with(|| ran.stdout.clone()), &ran.stdout);
    }
}

#[test]
fn a_journal_is_carried_out_again() {
    let bench = Bench::new();
    let mut command = bench.barkeep([
        "run",
        "--lane",
        "model",
        "--device",
        "nvme=sim:memory,size=64K",
        "--device",
        "edu=sim:dma",
    ]);
    command.args(["--seed", "7", "--out", "first"]);
    bench.run(command).ended(0);
    let again = bench.barkeep(["replay", "first/journal.jsonl", "--out", "again"]);
    bench.run(again).ended(0);
    let [first, again] = ["first", "again"].map(|folder| bench.read(&format!("{folder}/journal.jsonl")));
    assert!(first == again, "the same bytes, its first line too");
    // Where it is stopped, too; and its own results are not written over.
    bench.write("commands", "quit\n");
    let ran = bench.run(bench.barkeep([
        "replay",
        "first/journal.jsonl",
        "--until",
        "revoke:2",
        "--commands",
        "commands",
        "--out",
        "third",
    ]));
    assert!(ran.ended(0).stdout.contains("[revoke:2]"), "{}", ran.stdout);
    let ran = bench.run(bench.barkeep(["replay", "first/journal.jsonl", "--out", "first"]));
    assert!(ran.ended(2).stderr.contains("name another folder"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let bench = Bench::new();
    bench.write("bad", "inspect\njump\n");
    bench.write("foreign.jsonl", "{\"barkeep_journal\":1,\"lane\":\"model\",\"clock\":\"virtual\"}\n");
    for (words, told) in [
        (&["main-job", "--lane", "kvm", "--until", "revoke:1"][..], "a run is not the same again"),
        (&["main-job", "--lane", "model", "--until", "revoke:99"], "the run has no revoke:99"),
        (&["main-job", "--lane", "model", "--until", "later"], "is no point of a run"),
        (&["main-job", "--lane", "model", "--until", "revoke:1", "--gdb"], "--gdb is for --lane lab"),
        (&["main-job", "--lane", "model", "--commands", "none"], "cannot read the commands none"),
        (&["main-job", "--lane", "model", "--commands", "bad"], "line 2: `jump` is no command"),
        (&["main-job", "--lane", "model", "--times", "3", "--break"], "a run that is stopped is one run"),
        (&["foreign.jsonl"], "does not say what it is of"),
    ] {
        let ran = bench.run(bench.barkeep([&["replay"], words].concat()));
        assert!(ran.ended(2).stderr.contains(told), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn real_vcpus_are_stopped_as_well_as_may_be() {
    let Some(()) = gate::kvm() else { return };
    // Nothing in it depends on how busy this machine is.
    const TWO: &str = "version = 1\nname = \"two\"\n[[action]]\ndo = \"fill\"\nto = { device = \"nvme\", bar = 2 }\n\
        pattern = 7\n[[action]]\ndo = \"repeat\"\ntimes = 2\naction = [{ do = \"flr\", device = \"nvme\" }]\n\
        [[action]]\ndo = \"verify\"\nat = { device = \"nvme\", bar = 2 }\npattern = 7\n";
    let bench = Bench::new();
    bench.write("two.toml", TWO);
    bench.write("commands", "inspect nvme\nbytes nvme:2 0 4\nstep\nback\nnext revoke\ncontinue\n");
    let mut command =
        bench.barkeep(["replay", "two.toml", "--lane", "kvm", "--until", "revoke:1", "--best-effort"]);
    command.args(["--commands", "commands", "--out"]).arg(bench.out());
    let ran = bench.run(command);
    ran.ended(0);
    let told = answers(&ran);
    assert!(told[0].1[0].ends_with("[revoke:1]"), "{told:?}");
    assert!(told.iter().any(|(_, lines)| lines.iter().any(|line| line.contains("no way back in lane kvm"))));
    assert!(ran.stdout.contains("pass  kvm, hardware time: nothing found"), "{}", ran.stdout);
}

#[test]
fn the_emulated_machine_stands_between_two_events() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let kernel = kernel.to_str().unwrap();
    let bench = Bench::new();
    let _alone = gate::emulator();
    let plain = plain(&bench, "lab");
    let commands =
        "inspect nvme:2\nbytes nvme:2 0 16\nmappings\nstep\nback 1\nuntil revoke:2\nbytes nvme:2 0 4\n";
    let ran = replay(&bench, &["--lane", "lab", "--kernel", kernel, "--until", "revoke:1"], commands);
    ran.ended(0);
    let told = answers(&ran);
    let of = |command: &str| &told.iter().find(|(said, _)| said == command).expect(command).1;
    let first = revoke(&plain, 1);
    assert_eq!(place(&told[0].1[0]), first["seq"].as_u64().unwrap());
    assert_eq!(told[0].1[1], "the machine stands there");
    // The machine that stands has written what the plain run wrote, to the nanosecond, and nothing behind it.
    let standing = Journal::read(&bench.out().join("standing/journal.jsonl"));
    same(&standing.events, &plain.events[..standing.events.len()]);
    assert_eq!(standing.events.last().unwrap(), revoke(&plain, 2));
    let pattern = 0x5a5a_0001u32.to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(of("bytes nvme:2 0 16"), &[format!("0x00000000  {pattern} {pattern} {pattern} {pattern}")]);
    assert!(of("inspect nvme:2").iter().any(|line| line.contains("mapping  being revoked by FLR")));
    assert!(of("mappings").iter().any(|line| line.contains("memory")), "{:?}", of("mappings"));
    same(&bench.journal().events, &plain.events);
}

/// A bug that is put into the kernel on purpose: an FLR by its config write gives nothing back.
const BUG: &str = "BARKEEP_TEST_KERNEL_BUG_FLR_STAYS_REVOKED";

#[test]
#[ignore = "minutes: a kernel with a bug, ten times"]
fn a_planted_bug_is_explained_and_stopped_at_ten_of_ten() {
    let Some(kernel) = gate::kernel(BUG) else { return };
    let kernel = kernel.to_str().unwrap();
    let bench = Bench::new();
    let _alone = gate::emulator();
    let words = ["--lane", "lab", "--kernel", kernel, "--kernel-trace", "--break"];
    let told: Vec<String> = (0..10)
        .map(|_| {
            replay(&bench, &words, "findings\ninspect\nbytes nvme:2 0 64\nquit\n").ended(0).stdout.clone()
        })
        .collect();
    assert!(told[0].contains("ok expected, ENODEV found"), "{}", told[0]);
    assert!(told.iter().all(|other| *other == told[0]), "not the same each time");
    let explained = bench.run(bench.barkeep(["explain", "out/journal.jsonl", "nvme:2"]));
    let cause = "met ENODEV: the dma-buf was still revoked";
    assert!(explained.ended(0).stdout.contains(cause), "{}", explained.stdout);
    // And the kernel's own trace shows which of its steps is not there: nothing un-revokes inside of the FLR.
    let journal = bench.journal();
    let flr = revoke(&journal, 1);
    let begin = journal.events.iter().position(|event| event == flr).unwrap();
    let end = journal.position(begin, &json!({"step": flr["step"], "phase": "end", "kind": "trigger"}));
    let within = |text: &str| journal.events[begin..end].iter().any(|event| event["text"] == text);
    assert!(within("vfio_pci_dma_buf_move revoked=1") && within("pci_try_reset_function"));
    assert!(!within("vfio_pci_dma_buf_move revoked=0"));
}

/// Up to a tenth of a minute each.
#[test]
#[ignore = "a minute: ten machines, each of which is booted twice"]
fn the_emulated_machine_stands_at_the_same_event_ten_of_ten() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let kernel = kernel.to_str().unwrap();
    let bench = Bench::new();
    let _alone = gate::emulator();
    let words = ["--lane", "lab", "--kernel", kernel, "--until", "revoke:2"];
    let told: Vec<String> = (0..10)
        .map(|_| replay(&bench, &words, "bytes nvme:2 0 256\nquit\n").ended(0).stdout.clone())
        .collect();
    assert!(told[0].contains("[revoke:2]") && told[0].contains("the machine stands there"), "{}", told[0]);
    assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
}

/// A debugger's remote protocol, as little as two questions need.
struct Stub(UnixStream);

impl Stub {
    fn ask(&mut self, packet: &str) -> String {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0, "${packet}#{sum:02x}").unwrap();
        let mut said = Vec::new();
        let mut byte = [0];
        while !(said.len() >= 3 && said[said.len() - 3] == b'#') {
            self.0.read_exact(&mut byte).unwrap();
            if !(said.is_empty() && byte[0] == b'+') {
                said.push(byte[0]);
            }
        }
        self.0.write_all(b"+").unwrap();
        String::from_utf8(said[1..said.len() - 3].to_vec()).unwrap()
    }

    fn number(&mut self, packet: &str) -> u64 {
        let hex = self.ask(packet);
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        u64::from_le_bytes(bytes.try_into().unwrap_or_else(|_| panic!("{packet}: {hex}")))
    }
}

/// Functions of a vmlinux by their addresses, as `nm` tells them.
fn function(vmlinux: &str, address: u64) -> String {
    let said = Command::new("nm").args(["-n", vmlinux]).output().expect("nm, of binutils").stdout;
    let said = String::from_utf8_lossy(&said);
    let functions = said.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let at = u64::from_str_radix(words.next()?, 16).ok()?;
        words.next().filter(|kind| matches!(*kind, "t" | "T"))?;
        Some((at, words.next()?))
    });
    functions.take_while(|(at, _)| *at <= address).last().map(|(_, name)| name.to_owned()).unwrap_or_default()
}

#[test]
fn a_debugger_finds_the_kernel_where_it_revokes() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    if !Path::new(&kernel).with_file_name("vmlinux").exists() || gate::find("nm").is_none() {
        gate::say("skipped: no vmlinux beside the kernel, or no nm");
        return;
    }
    let bench = Bench::new();
    let _alone = gate::emulator();
    let mut command =
        bench.barkeep(["replay", "main-job", "--lane", "lab", "--until", "revoke:1", "--gdb", "--kernel"]);
    command.arg(&kernel).arg("--out").arg(bench.out());
    let child = bench.start(&mut command);
    let start = Instant::now();
    let line = loop {
        if let Some(line) = bench.read(".stdout").lines().find(|line| line.contains("target remote")) {
            break line.to_owned();
        }
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "{}{}",
            bench.read(".stdout"),
            bench.read(".stderr")
        );
        std::thread::sleep(Duration::from_millis(100));
    };
    let (_, rest) = line.split_once("target remote ").unwrap();
    let (socket, vmlinux) = rest.split_once("' ").unwrap();
    let mut stub = Stub(UnixStream::connect(socket).unwrap());
    assert!(stub.ask("?").starts_with('T'), "it stands");
    // RIP, and what is on top of the stack: from where it was called.
    let (rip, rsp) = (stub.number("p10"), stub.number("p7"));
    let caller = stub.number(&format!("m{rsp:x},8"));
    assert_eq!(function(vmlinux, rip), "vfio_pci_dma_buf_move");
    // An FLR's write: drivers/vfio/pci/vfio_pci_config.c.
    assert_eq!(function(vmlinux, caller), "vfio_exp_config_write");
    // The second argument: it revokes.
    assert_eq!(stub.number("p4") & 0xff, 1);
    assert_eq!(stub.ask("D"), "OK");
    drop(stub);
    let ran = bench.wait(child);
    ran.ended(0);
    assert!(ran.stdout.contains("vfio_pci_dma_buf_move+0x0"), "{}", ran.stdout);
    assert!(ran.stdout.contains("let go on, the run has ended with status"), "{}", ran.stdout);
    assert_eq!(bench.processes(), Vec::<String>::new());
}
