//! A Linux guest with devices passed through, on a real kernel's KVM and VFIO: it boots, the NVMe's stock
//! driver works with it by MSI-X, and the guest's end is the command's.

mod common;

use common::bench::{Bench, Ran};
use common::{EDU, gate};
use serde_json::json;
use std::path::Path;

/// The guest's kernel is the one under test: any Linux will do. `lab` are words for the lab, `run` for the run.
fn guest(bench: &Bench, kernel: &Path, lab: &[&str], run: &[&str], cmdline: &str) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["lab", "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out()).args(lab).args(["--", "run", "--guest"]);
    command.arg(kernel).args(["--initrd", "self"]).args(run).arg("--append");
    command.arg(format!("console=ttyS0 quiet panic=-1 {cmdline}"));
    bench.run(command)
}

fn tells(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stdout.contains(word), "`{word}` is not in:\n{}", ran.stdout);
    }
}

/// Not in virtual time: with one emulated CPU that counts instructions, a guest with an NVMe may stand still.
#[test]
#[ignore = "a guest may stand still in the emulator (docs/architecture.md, where the abstraction leaks)"]
fn the_stock_driver_of_an_nvme_works_by_msi_x() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    // QEMU keeps an NVMe from reading queues in its own memory.
    let cmdline = "nvme.use_cmb_sqes=0 barkeep.do=devices barkeep.do=interrupts";
    let ran = guest(&bench, &kernel, &["--fast"], &[], cmdline);
    ran.ended(0).tells(&["the guest has powered off"]);
    tells(&ran, &["guest: up", "00:01.0 0x1b36 0x0010 driver nvme", "00:02.0 0x1234 0x11e8 driver none"]);
    tells(
        &ran,
        &["PCI-MSIX-0000:00:01.0    0-edge      nvme0q0", "PCI-MSIX-0000:00:01.0    1-edge      nvme0q1"],
    );
    let journal = bench.journal();
    let sizing = journal.all(&json!({"kind": "trigger", "trigger": "decode_off", "phase": "begin"}));
    assert_eq!(sizing.len(), 2, "Linux turns decode off while it sizes BARs, and the keeper has seen it");
    let vectors = journal.all(&json!({"kind": "interrupts", "text": "MSI-X"}));
    assert!(!vectors.is_empty(), "the driver has turned MSI-X on");
}

#[test]
#[ignore = "a guest may stand still in the emulator (docs/architecture.md, where the abstraction leaks)"]
fn a_guest_that_powers_off_or_reboots_ends_the_command() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let edu = format!("edu={EDU}");
    for (cmdline, told) in [
        ("barkeep.do=interrupts", "the guest has powered off"),
        ("barkeep.do=reboot", "the guest has rebooted"),
    ] {
        let bench = Bench::new();
        let ran = guest(&bench, &kernel, &[], &["--device", &edu], cmdline);
        ran.ended(0).tells(&[told]);
        tells(&ran, &["guest: up", "\npass  lab"]);
    }
}

/// Each told before anything is opened.
#[test]
fn what_is_no_guest_is_told() {
    let bench = Bench::new();
    let none = bench.write("none", "not a kernel\n");
    let small = bench.write("small.elf", "\x7fELF and no more\n");
    for (words, told) in [
        (&["--guest", "nowhere"][..], &["cannot read the guest's kernel nowhere"][..]),
        (&["--initrd", "self"], &["--guest"]),
        (&["--append", "quiet"], &["--guest"]),
        (&["--guest", none.to_str().unwrap(), "--scenario", "hammer"], &["--scenario"]),
        (
            &["--guest", none.to_str().unwrap(), "--initrd", "nowhere"],
            &["cannot read the guest's initrd nowhere"],
        ),
        (&["--guest", none.to_str().unwrap()], &["neither an x86-64 ELF nor a bzImage"]),
        (&["--guest", small.to_str().unwrap()], &["cannot load the guest's kernel"]),
    ] {
        if gate::kvm().is_none() {
            return;
        }
        let mut command = bench.barkeep(["run", "--lane", "kvm", "--device", "sim:memory"]);
        command.args(words).arg("--out").arg(bench.out());
        bench.run(command).ended(2).tells(told);
    }
    let mut command = bench.barkeep(["run", "--lane", "model", "--guest"]);
    command.arg(&none);
    bench.run(command).ended(2).tells(&["lane model has none", "--lane kvm"]);
}
