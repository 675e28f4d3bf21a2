//! The lab on a real kernel. Each test says so and passes where there is none to boot.

use crate::support::{Bench, eventually, kernel, send, words};
use std::fs;

#[test]
fn the_inner_status_output_and_files_come_out() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("hello");
    let output = bench.run(&kernel, &[], &["hello"]);
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert_eq!(bench.read("stdout.txt"), "hello on stdout\n");
    assert_eq!(bench.read("stderr.txt"), "hello on stderr\n");
    assert_eq!(bench.read("sub/hello.txt"), "hello in a file\n");
    let journal = bench.read("journal.jsonl");
    assert!(journal.starts_with("{\"barkeep_journal\":1,\"lane\":\"lab\",\"clock\":\"virtual\"}\n"));
    for part in ["Linux version", "bind nvme to vfio-pci", "hello from inside", "goodbye"] {
        assert!(journal.contains(part), "{part}");
    }
    assert!(!journal.contains("degraded"), "{journal}");
    assert_eq!(bench.processes(), Vec::<String>::new());
}

#[test]
fn wall_clock_mode_runs_too() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("fast");
    let output = bench.run(&kernel, &["fast"], &["devices"]);
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert!(bench.journal_has("\"clock\":\"emulated\""));
    assert!(bench.read("stdout.txt").contains("nvme=0000:00:03.0 edu=0000:00:04.0"));
}

#[test]
fn two_runs_give_the_same_bytes() {
    let Some(kernel) = kernel() else { return };
    let journals = [1, 2].map(|_| {
        // The same mark: the kernel's command line is in its log.
        let bench = Bench::new("twice");
        let output = bench.run(&kernel, &[], &["spin"]);
        assert_eq!(output.status.code(), Some(7), "{}", words(&output));
        bench.read("journal.jsonl")
    });
    assert!(journals[0] == journals[1], "the journals differ");
}

#[test]
fn carried_and_shared_files_are_there_and_exec_runs_them() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("carry");
    let file = bench.dir.path().join("scenario.toml");
    fs::write(&file, "carried in\n").unwrap();
    let carry = format!("carry={}", file.display());
    let output = bench.run(&kernel, &[&carry], &["show", "/in/0-scenario.toml"]);
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert!(bench.read("stdout.txt").starts_with("carried in\n"));
    let share = format!("share={}", bench.dir.path().display());
    let output = bench.run(&kernel, &[&share], &["exec", "/init", "show", "/share/scenario.toml"]);
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert!(bench.read("stdout.txt").starts_with("carried in\n"));
    let output = bench.run(&kernel, &[&share], &["exec", "no-such-program"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(bench.journal_has("cannot start /share/no-such-program"));
}

#[test]
fn a_crash_of_the_command_is_a_status_and_an_event() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("crash");
    let output = bench.run(&kernel, &[], &["crash"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(bench.journal_has("the command was killed by SIGABRT"));
}

#[test]
fn processes_left_behind_inside_are_counted() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("leave");
    let output = bench.run(&kernel, &[], &["leave"]);
    assert_eq!(output.status.code(), Some(7), "{}", words(&output));
    assert!(bench.journal_has("\"kind\":\"leftover\",\"actor\":\"lab\",\"value\":1,\"text\":\"processes\""));
}

#[test]
fn a_kernel_that_dies_leaves_its_last_words() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("fill");
    let output = bench.run(&kernel, &["append=sysctl.vm.panic_on_oom=2 mem=160M"], &["fill"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("the machine went down under the command"), "{}", words(&output));
    assert!(bench.journal_has("Kernel panic - not syncing"));
}

#[test]
fn a_kernel_that_cannot_start_pid_1_is_told_apart() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("no-init");
    let output = bench.run(&kernel, &["append=rdinit=/nowhere"], &["hello"]);
    assert_eq!(output.status.code(), Some(125), "{}", words(&output));
    assert!(words(&output).contains("before PID 1 had set up its journal: "), "{}", words(&output));
    assert!(bench.journal_has("Kernel panic - not syncing"));
}

#[test]
fn a_time_out_names_the_last_event() {
    let Some(kernel) = kernel() else { return };
    let bench = Bench::new("hang");
    let output = bench.run(&kernel, &["timeout=25", "fast"], &["hang"]);
    assert_eq!(output.status.code(), Some(124), "{}", words(&output));
    // Which one it is depends on the wall clock here: the kernel may still have something to say.
    assert!(words(&output).contains("last event, at"), "{}", words(&output));
    assert!(bench.journal_has("hello from inside"));
    assert!(bench.journal_has("timed out after 25 s of wall time"));
    assert_eq!(bench.processes(), Vec::<String>::new());
}

#[test]
fn interrupts_and_sudden_death_leave_no_process() {
    let Some(kernel) = kernel() else { return };
    for (signal, status) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let bench = Bench::new(&format!("signal-{signal}"));
        let mut child = bench.start_until(&kernel, &[], &["hang"], "hello from inside");
        assert_ne!(bench.processes(), Vec::<String>::new());
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), status, "{signal}");
        eventually("no process", || bench.processes().is_empty());
    }
}
