//! Interrupts of real devices, delivered to a guest by KVM.

mod common;

use common::bench::Bench;
use common::gate;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/interrupts");
    assert!(program.exists(), "the example interrupts is not built: run cargo test without --test");
    program
}

#[test]
fn messages_of_real_devices_arrive_as_the_guest_has_them() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let share = bench.path("share");
    fs::create_dir(&share).unwrap();
    fs::copy(program(), share.join("interrupts")).unwrap();
    let options = ["--topology", "nvme-edu", "--share", share.to_str().unwrap()];
    let ran = bench.run_lab(&kernel, &options, &["exec", "interrupts"]);
    ran.ended(0);
    assert!(ran.stdout.lines().any(|line| line == "all interrupts came"), "{}", ran.stdout);
}

/// A Linux whose NVMe driver may use no messages is told by ACPI which pin the device has, and its driver
/// comes up and reads the namespace by that alone.
#[test]
fn a_driver_without_messages_gets_a_pin() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let (guest, cmdline) = (kernel.to_str().unwrap(), "pci=nomsi nvme.use_cmb_sqes=0 barkeep.do=interrupts");
    let cmdline = format!("console=ttyS0 quiet panic=-1 {cmdline}");
    let words =
        ["run", "--guest", guest, "--initrd", "self", "--append", &cmdline, "--device", "nvme=0000:00:03.0"];
    let ran = bench.run_lab(&kernel, &[], &words);
    ran.ended(0);
    let line = ran.stdout.lines().find(|line| line.contains("nvme0q0")).expect("the driver has an interrupt");
    assert!(line.contains("IO-APIC") && line.contains("17-fasteoi"), "{line}");
    let came: u64 = line.split_whitespace().nth(3).and_then(|count| count.parse().ok()).expect("a number");
    // One for each command of bringing it up.
    assert!(came >= 8, "{line}");
    let journal = bench.journal();
    let changes = journal.all(&json!({"kind": "interrupts", "device": "0000:00:03.0"}));
    let changes: Vec<_> =
        changes.iter().map(|event| (event["text"].as_str(), event["value"].as_u64())).collect();
    assert_eq!(changes, [(Some("INTx"), Some(1)), (Some("INTx"), Some(0))]);
}
