//! A thread that makes a call it may not make is the end of its process, and says what it was.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

fn forbidden(words: &[&str]) -> Output {
    let mut program = std::env::current_exe().unwrap();
    program.pop();
    program.set_file_name("examples");
    Command::new(program.join("forbidden")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_not_on_the_list_ends_the_process_and_is_named() {
    for (role, call, told) in [
        ("process", "socket", "the system call socket (41)"),
        ("vcpu", "socket", "the system call socket (41)"),
        ("vcpu", "ioctl", "the system call ioctl (16), arguments 0x"),
        ("vcpu", "open-to-write", "the system call openat (257)"),
        ("device", "open-to-write", "the system call openat (257)"),
        ("device", "ioctl", "0x802c542a"),
        ("console", "ioctl", "the system call ioctl (16)"),
    ] {
        let output = forbidden(&["trap", role, call]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(159), "{role} {call}: {said}");
        assert!(said.contains("barkeep: confined: thread ") && said.contains(told), "{role} {call}: {said}");
        assert!(!text(&output.stdout).contains("it lived"));
    }
}

/// The C library starts a thread with all signals blocked. The kernel ends the process all the same, and by the
/// same signal; there is nobody to tell more of it.
#[test]
fn who_cannot_be_told_of_is_ended_too() {
    let output = forbidden(&["trap", "console", "clone"]);
    assert_eq!(output.status.signal(), Some(31), "{output:?}");
    assert!(!text(&output.stdout).contains("it lived"));
}

#[test]
fn what_is_on_the_list_and_what_is_only_logged_is_carried_out() {
    for (mode, role, call) in [
        ("trap", "process", "open-to-write"),
        ("trap", "process", "clone"),
        ("trap", "vcpu", "none"),
        ("log", "vcpu", "socket"),
        ("off", "vcpu", "socket"),
    ] {
        let output = forbidden(&[mode, role, call]);
        assert_eq!(output.status.code(), Some(0), "{mode} {role} {call}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("it lived"));
    }
}

#[test]
fn a_confined_process_has_a_filter_and_no_privileges() {
    let told = text(&forbidden(&["trap", "process", "none"]).stdout);
    let confined = "Seccomp:\t2 NoNewPrivs:\t1 CapEff:\t0000000000000000";
    assert!(told.starts_with(confined), "{told}");
    let told = text(&forbidden(&["off", "process", "none"]).stdout);
    assert!(told.starts_with("Seccomp:\t0 NoNewPrivs:\t0"), "{told}");
}
