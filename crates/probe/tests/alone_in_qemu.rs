// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The probe alone, as QEMU's kernel: does it find its way, and does it fail when it should?

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use barkeep_probe::IMAGE;

const QEMU: &str = "qemu-system-x86_64";
/// Virtual time, in which idling costs nothing and two runs are alike.
const VIRTUAL_TIME: &[&str] = &["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off"];
/// Firmware that leaves BARs at 0.
const NO_ADDRESSES: &[&str] = &["-bios", "qboot.rom"];
const NVME: &[&str] = &[
    "-drive",
    "if=none,id=d0,driver=null-co,size=64M",
    "-device",
    "nvme,addr=3,drive=d0,serial=a,cmb_size_mb=16,legacy-cmb=on",
];
const EDU: &[&str] = &["-device", "edu,addr=4,dma_mask=0xffffffffffffffff"];

/// How a run ended: what stood on serial, and QEMU's exit status.
struct Run {
    serial: String,
    status: Option<i32>,
}

impl Run {
    /// The one verdict, on the last line.
    fn verdict(&self) -> &str {
        let verdicts: Vec<&str> =
            self.serial.lines().filter_map(|line| line.strip_prefix("probe: verdict ")).collect();
        assert_eq!(verdicts.len(), 1, "{}", self.serial);
        assert!(self.serial.trim_end().ends_with(verdicts[0]), "{}", self.serial);
        verdicts[0]
    }

    fn assert_pass(&self) {
        assert_eq!(self.verdict(), "pass", "{}", self.serial);
        assert_eq!(self.status, Some(1), "isa-debug-exit makes 0 a 1");
    }

    fn assert_fail(&self, why: &str) {
        assert_eq!(self.verdict(), format!("fail: {why}"), "{}", self.serial);
        assert_eq!(self.status, Some(3), "isa-debug-exit makes 1 a 3");
    }
}

/// Without QEMU there is nothing to test: said aloud, and not accepted in CI.
fn qemu_or_skip() -> Option<()> {
    match Command::new(QEMU).arg("--version").output() {
        Ok(_) => Some(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let in_ci = env::var("CI").is_ok_and(|value| value == "true");
            assert!(!in_ci, "CI must have {QEMU}");
            println!("skipped: {QEMU} is not installed");
            None
        }
        Err(error) => panic!("{QEMU}: {error}"),
    }
}

fn image_file() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("probe-{:?}.elf", std::thread::current().id()));
    std::fs::write(&path, IMAGE).expect("the image is written");
    path
}

/// `None` if there is no QEMU.
fn run(command_line: &str, arguments: &[&[&str]]) -> Option<Run> {
    qemu_or_skip()?;
    let image = image_file();
    let output = Command::new("timeout")
        .args(["60", QEMU, "-M", "q35", "-cpu", "max", "-m", "256M", "-nodefaults"])
        .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4"])
        .arg("-kernel")
        .arg(&image)
        .args(["-append", &format!("debug_exit=0xf4 {command_line}")])
        .args(arguments.concat())
        .output()
        .expect("QEMU starts");
    std::fs::remove_file(&image).expect("the image is removed");
    let serial = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(serial.contains("probe: alone"), "{serial}\n{errors}");
    Some(Run { serial, status: output.status.code() })
}

#[test]
fn every_step_passes_in_wall_clock_time() {
    let Some(run) = run("absent=0", &[NVME, EDU]) else { return };
    run.assert_pass();
    for line in [
        "probe: target 00:03.0 bar 2",
        "probe: step cpu: ok",
        "probe: step p2p: ok",
        "probe: flr: the DMA in flight did not land",
        "probe: step flr: ok",
        "probe: step decode: ok",
    ] {
        assert!(run.serial.contains(line), "{line} is missing:\n{}", run.serial);
    }
}

#[test]
fn two_runs_in_virtual_time_are_alike() {
    let arguments = [NVME, EDU, VIRTUAL_TIME, NO_ADDRESSES];
    let Some(first) = run("absent=0", &arguments) else { return };
    first.assert_pass();
    let second = run("absent=0", &arguments).expect("QEMU was there");
    assert_eq!(first.serial, second.serial);
}

#[test]
fn bars_that_firmware_left_at_0_are_placed_above_4_gib_too() {
    let place = "absent=0 mmio32=0xd0000000 mmio64=0x8000000000";
    let Some(run) = run(place, &[NVME, EDU, VIRTUAL_TIME, NO_ADDRESSES]) else { return };
    run.assert_pass();
    assert!(run.serial.contains("edu 00:04.0 at 0xd0000000"), "{}", run.serial);
    assert!(run.serial.contains("bar 2 at 0x8001000000"), "{}", run.serial);
}

#[test]
fn a_target_behind_a_bridge_is_found_and_other_cpus_start() {
    let behind = [
        "-device",
        "pcie-root-port,id=rp1,chassis=1,addr=5",
        "-drive",
        "if=none,id=d0,driver=null-co,size=64M",
        "-device",
        "nvme,bus=rp1,drive=d0,serial=a,cmb_size_mb=16,legacy-cmb=on",
        "-smp",
        "4",
    ];
    let Some(run) = run("absent=0 cpus=4", &[&behind, EDU]) else { return };
    run.assert_pass();
    assert!(run.serial.contains("target 01:00.0 bar 2"), "{}", run.serial);
    assert!(!run.serial.contains("did not start"), "{}", run.serial);
}

#[test]
fn steps_and_their_order_are_a_choice() {
    let Some(run) = run("absent=0 steps=decode,cpu", &[NVME, VIRTUAL_TIME]) else { return };
    run.assert_pass();
    let steps: Vec<&str> = run.serial.lines().filter(|line| line.starts_with("probe: step")).collect();
    assert_eq!(steps, ["probe: step decode: ok", "probe: step cpu: ok"]);
}

/// What must fail, and with which words: the command line, whether there is an edu, why.
const FAILURES: &[(&str, bool, &str)] = &[
    ("plant=no-bus-master", true, "edu's DMA did not land in the BAR"),
    ("target=00:1f.0", true, "no target BAR"),
    ("target=00:03.0 bar=0 steps=cpu", true, "the BAR does not hold what the CPU wrote"),
    ("target=3", true, "target= is not BB:DD.F"),
    ("", false, "there is no edu device"),
    // QEMU answers 0 where PCI says all ones: without absent=0 that is a failure.
    ("steps=decode", true, "the BAR answers with decode off"),
    ("steps=flr", true, "the BAR answers after an FLR, before decode is on"),
    ("steps=cpu,nonsense", true, "steps= names a step there is not"),
    ("offset=0x1000000", true, "offset= and length= go beyond the BAR"),
];

#[test]
fn each_thing_that_is_wrong_is_a_failure_with_its_own_words() {
    for (command_line, with_edu, why) in FAILURES {
        let edu = if *with_edu { EDU } else { &[] };
        let Some(run) = run(command_line, &[NVME, edu, VIRTUAL_TIME]) else { return };
        run.assert_fail(why);
    }
}

#[test]
fn a_device_without_flr_skips_that_step_unless_it_was_asked_for() {
    let ram = ["-object", "memory-backend-ram,id=m,size=1M", "-device", "ivshmem-plain,memdev=m,addr=6"];
    let arguments: [&[&str]; 3] = [&ram, EDU, VIRTUAL_TIME];
    let Some(skipped) = run("absent=0", &arguments) else { return };
    skipped.assert_pass();
    assert!(skipped.serial.contains("step flr: skipped"), "{}", skipped.serial);
    let asked = run("absent=0 steps=cpu,flr", &arguments).expect("QEMU was there");
    asked.assert_fail("the target has no FLR");
}
