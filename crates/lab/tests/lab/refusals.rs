//! What is refused, and what is told, before or instead of a boot. Needs neither QEMU nor a
//! kernel.

use crate::support::{Bench, eventually, send, words};
use std::fs;
use std::path::Path;
use std::process::Output;

fn with_qemu(bench: &Bench, version: &str, script: &str, options: &[&str]) -> Output {
    let mut command = bench.command(&bench.image(), options, &["hello"]);
    command.env("BARKEEP_QEMU", bench.qemu(version, script)).output().unwrap()
}

fn told(output: &Output, status: i32, part: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", words(output));
    assert!(words(output).contains(part), "{part} is not in {}", words(output));
}

#[test]
fn kernels_that_are_none() {
    let bench = Bench::new("kernels");
    told(&bench.run(Path::new("/no/such/kernel"), &[], &["hello"]), 2, "/no/such/kernel");
    told(&bench.run(Path::new("/bin/sh"), &[], &["hello"]), 2, "PVH");
    let image = bench.image();
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() - 1]).unwrap();
    told(&bench.run(&image, &[], &["hello"]), 2, "is truncated");
    fs::write(&image, "not a kernel").unwrap();
    told(&bench.run(&image, &[], &["hello"]), 2, "not an x86-64 kernel");
}

#[test]
fn topologies_that_are_none() {
    let bench = Bench::new("topologies");
    let image = bench.image();
    told(&bench.run(&image, &["topology=nvme-edo"], &["hello"]), 2, "did you mean `nvme-edu`");
    told(&bench.run(&image, &["topology=./none.toml"], &["hello"]), 2, "./none.toml");
}

#[test]
fn results_that_cannot_be_written_are_told_before_qemu_starts() {
    let bench = Bench::new("out");
    fs::write(bench.out(), "a file in the way").unwrap();
    let started = bench.dir.path().join("started");
    let output = with_qemu(&bench, "10.0.2", &format!("touch {}", started.display()), &[]);
    told(&output, 2, "cannot write results to");
    assert!(!started.exists());
}

#[test]
fn an_emulator_that_will_not_do() {
    let bench = Bench::new("emulator");
    told(&with_qemu(&bench, "8.1.5", "", &[]), 125, "qemu-system-x86");
    let mut command = bench.command(&bench.image(), &[], &["hello"]);
    told(&command.env("BARKEEP_QEMU", "/no/such/qemu").output().unwrap(), 2, "/no/such/qemu");
    let mut command = bench.command(&bench.image(), &[], &["hello"]);
    told(&command.env("BARKEEP_QEMU", "/bin/true").output().unwrap(), 125, "which version");
    let mut command = bench.command(&bench.image(), &[], &["hello"]);
    command.env_remove("BARKEEP_QEMU").env("PATH", bench.dir.path());
    told(&command.output().unwrap(), 125, "install the package");
}

#[test]
fn an_emulator_that_dies_is_quoted() {
    let bench = Bench::new("dies");
    let output = with_qemu(&bench, "10.0.2", "echo 'no such device' >&2; exit 1", &[]);
    told(&output, 125, "no such device");
    assert!(bench.journal_has("QEMU failed (exit status: 1)"));
    told(&with_qemu(&bench, "10.0.2", "kill -9 $$", &[]), 125, "signal: 9");
}

#[test]
fn a_topology_qemu_refuses_is_the_users() {
    let bench = Bench::new("refused");
    let script = "echo 'qemu: -device edu,addr=04.0,colour=red: Property not found' >&2; exit 1";
    told(&with_qemu(&bench, "10.0.2", script, &[]), 2, "colour=red");
}

#[test]
fn a_machine_that_goes_off_before_pid_1_is_told() {
    let bench = Bench::new("off");
    told(&with_qemu(&bench, "10.0.2", "exit 0", &[]), 125, "the machine went down before PID 1");
}

#[test]
fn a_machine_that_never_gets_anywhere_is_ended() {
    let bench = Bench::new("nowhere");
    told(
        &with_qemu(&bench, "10.0.2", "exec sleep 100", &["timeout=1"]),
        124,
        "the kernel never started PID 1",
    );
}

#[test]
fn an_interrupt_before_pid_1_ends_it() {
    let bench = Bench::new("interrupt");
    let started = bench.dir.path().join("started");
    let script = format!("touch {}; while :; do sleep 0.1; done", started.display());
    let mut command = bench.command(&bench.image(), &[], &["hello"]);
    let mut child = command.env("BARKEEP_QEMU", bench.qemu("10.0.2", &script)).spawn().unwrap();
    eventually("started", || started.exists());
    send(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(bench.processes(), Vec::<String>::new());
}

#[test]
fn a_dry_run_starts_and_writes_nothing() {
    let bench = Bench::new("dry");
    let output = with_qemu(&bench, "10.0.2", "exit 1", &["dry"]);
    told(&output, 0, "-device edu,id=lab-edu,addr=04.0");
    assert!(!bench.out().exists());
}
