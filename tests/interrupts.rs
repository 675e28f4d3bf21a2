//! Interrupts of real devices on a real kernel: MSI of edu and MSI-X of an NVMe, through vfio-pci, an
//! eventfd and KVM, up to the guest's local interrupt controller; masked, pending, with another
//! message, after an FLR. The program is the example `interrupts`.

mod common;

use common::bench::Bench;
use common::gate;
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
