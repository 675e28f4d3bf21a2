//! Linux guests with devices passed through, on a real kernel's KVM and VFIO: they boot, the devices' stock
//! drivers work and outlive what revokes, and the guest's end is the command's.

mod common;

use common::bench::{Bench, Ran};
use common::{EDU, gate};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a guest has its first device.
const FIRST: &str = "0000:00:01.0";
/// QEMU keeps an NVMe from reading queues in its own memory; and three seconds are time enough.
const FOR_NVME: &str = "nvme.use_cmb_sqes=0 nvme_core.io_timeout=3 nvme_core.admin_timeout=3";

/// The guest's kernel is the one under test: any Linux will do. `lab` are words for the lab, `run` for the run, and
/// `tasks` what its PID 1 does one after the other.
fn guest(bench: &Bench, kernel: &Path, lab: &[&str], run: &[&str], tasks: &[&str]) -> Ran {
    let _alone = gate::emulator();
    let mut command = bench.barkeep(["lab", "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out()).args(lab).args(["--", "run", "--guest"]);
    command.arg(kernel).args(run);
    if !run.contains(&"--initrd") {
        command.args(["--initrd", "self"]);
    }
    command.arg("--append");
    let tasks: Vec<String> = tasks.iter().map(|task| format!("barkeep.do={task}")).collect();
    command.arg(format!("console=ttyS0 quiet panic=-1 {FOR_NVME} {}", tasks.join(" ")));
    bench.run(command)
}

fn tells(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stdout.contains(word), "`{word}` is not in:\n{}\n{}", ran.stdout, ran.stderr);
    }
}

/// How often each vCPU met the interrupt called `name`.
fn counts(ran: &Ran, name: &str) -> Vec<u64> {
    let line = ran.stdout.lines().find(|line| line.trim_end().ends_with(name));
    let line = line.unwrap_or_else(|| panic!("no interrupt {name} in:\n{}", ran.stdout));
    let (_, counts) = line.split_once(": ").and_then(|(_, rest)| rest.split_once(':')).unwrap();
    counts.split_whitespace().map_while(|word| word.parse().ok()).collect()
}

/// What the bytes are is in `barkeep_lab::disk`; that reading them asks the device each time is the tasks' affair.
#[test]
fn an_nvme_and_its_stock_driver_outlive_resets_that_it_is_told_of_and_others() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let (reset, flr) = (format!("reset:{FIRST}"), format!("flr:{FIRST}"));
    let works = ["disk:nvme0n1", "peer"];
    let tasks = [&["devices"], &works[..], &[&reset], &works, &[&flr], &works, &["interrupts"]].concat();
    let ran = guest(&bench, &kernel, &["--topology", "nvme-disk"], &["--cpus", "2"], &tasks);
    ran.ended(0).tells(&["the guest has powered off"]);
    tells(&ran, &["0x1b36 0x0010 driver nvme", "0x1234 0x11e8 driver none", "\npass  lab"]);
    let times = |words: &str| ran.stdout.matches(words).count();
    let right = "disk nvme0n1 has 16777216 bytes, all right, read by 2 CPUs through 2 queues";
    assert_eq!((times(right), times("copied 64 bytes within BAR 2")), (3, 3), "{}", ran.stdout);
    for queue in ["nvme0q0", "nvme0q1", "nvme0q2"] {
        assert!(counts(&ran, queue).iter().sum::<u64>() > 0, "{}", ran.stdout);
    }
    let journal = bench.journal();
    let begun =
        |trigger: &str| journal.all(&json!({"kind": "trigger", "trigger": trigger, "phase": "begin"}));
    assert_eq!(begun("flr").len(), 2, "the kernel's and the one under the driver");
    assert!(begun("decode_off").len() > 2, "Linux turns decode off while it sizes BARs, and for its reset");
    assert!(!journal.all(&json!({"kind": "interrupts", "text": "MSI-X"})).is_empty());
}

/// By the drivers, which the kernel tells to; and by the config space alone, which nobody is told of.
#[test]
fn a_device_that_slept_works_when_it_is_awake() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let d3hot = format!("d3hot:{FIRST}");
    let tasks = ["disk:nvme0n1", "sleep", "disk:nvme0n1", "peer", &d3hot, "disk:nvme0n1", "peer"];
    let ran = guest(&bench, &kernel, &["--topology", "nvme-disk"], &[], &tasks);
    ran.ended(0).tells(&["the guest has powered off"]);
    tells(&ran, &["all devices were asleep and are awake", "was in D3hot and is back", "\npass  lab"]);
    let journal = bench.journal();
    let slept = journal.all(&json!({"kind": "trigger", "trigger": "d3hot", "phase": "begin"}));
    assert!(!slept.is_empty());
}

#[test]
fn the_guests_end_is_the_commands() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let edu = format!("edu={EDU}");
    for (task, status, told) in [
        ("reboot", 0, "the guest has rebooted"),
        ("status:3", 3, ""),
        ("panic", 70, "the guest's kernel has panicked"),
        ("nonsense", 1, ""),
    ] {
        let bench = Bench::new();
        let ran = guest(&bench, &kernel, &[], &["--device", &edu], &[task]);
        ran.ended(status).tells(&[told]);
        tells(&ran, &["guest: up"]);
        let journal = bench.journal();
        let closed = journal.all(&json!({"kind": "trigger", "trigger": "close", "phase": "end"}));
        assert_eq!(closed.len(), 1, "whatever the end, the device is given back");
    }
}

#[test]
fn a_network_card_has_a_link_and_somebody_answers() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    // Among the tasks stands a word of the kernel's own.
    let address = "devices ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off";
    let tasks = [address, "ping:10.0.2.2", "sleep", "ping:10.0.2.2", "interrupts"];
    let ran = guest(&bench, &kernel, &["--topology", "igb"], &[], &tasks);
    ran.ended(0);
    tells(&ran, &["driver igb", "link of eth0 is up", "10.0.2.2 answered 10 of 10 requests", "\npass  lab"]);
    for queue in ["eth0-rx-0", "eth0-tx-0"] {
        assert!(counts(&ran, queue).iter().sum::<u64>() > 0, "{}", ran.stdout);
    }
    let slept = json!({"kind": "trigger", "trigger": "d3hot", "phase": "begin"});
    assert!(!bench.journal().all(&slept).is_empty(), "its driver has sent it to sleep");
}

/// A program of the examples, in a folder of its own to be shared with the lab.
fn share(bench: &Bench, files: &[(&Path, &str)]) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/guests");
    assert!(program.exists(), "the example guests is not built: run cargo test without --test");
    let share = bench.path("share");
    fs::create_dir(&share).unwrap();
    for (file, name) in files.iter().copied().chain([(program.as_path(), "guests")]) {
        fs::copy(file, share.join(name)).unwrap();
    }
    share
}

/// The physical function stays with the host's driver.
#[test]
fn two_guests_with_a_virtual_function_each_reach_each_other() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let share = share(&bench, &[(&kernel, "bzImage")]);
    let options = ["--topology", "igb-vfs", "--share", share.to_str().unwrap()];
    let ran = bench.run_lab(&kernel, &options, &["exec", "guests", "functions", "/share/bzImage"]);
    ran.ended(0);
    tells(
        &ran,
        &["0: guest: 10.0.0.2 answered", "1: guest: 10.0.0.1 answered", "all guests reached each other"],
    );
}

/// Its kernel and its initrd know nothing of Barkeep; somebody types at the shell, and leaves the input open.
#[test]
fn a_distributions_kernel_comes_to_its_shell() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let Some(distribution) = gate::distribution() else { return };
    let bench = Bench::new();
    let [guest, initrd] = ["vmlinuz", "initrd.img"].map(|name| distribution.join(name));
    let share = share(&bench, &[(&guest, "vmlinuz"), (&initrd, "initrd.img")]);
    let options = ["--share", share.to_str().unwrap()];
    let inner = ["exec", "guests", "shell", "/share/vmlinuz", "/share/initrd.img"];
    let ran = bench.run_lab(&kernel, &options, &inner);
    ran.ended(0);
    tells(
        &ran,
        &["(initramfs)", "x86_64", "reboot: Power down", "the shell was there", "left over     nothing"],
    );
}

/// Two devices: one that two VMs want, and one beside which the host's own NVMe driver has part of its group.
const REFUSALS: &str = r#"
version = 1
name = "refusals"
memory = "1G"
[[device]]
name = "own"
model = "nvme"
slot = "03.0"
bind = "vfio-pci"
properties = { serial = "own", cmb_size_mb = 16, legacy-cmb = true }
backend = { driver = "null-co", size = "64M", read-zeroes = true }
[[device]]
name = "bridge"
model = "pcie-pci-bridge"
slot = "05.0"
[[device]]
name = "shared"
model = "edu"
slot = "01.0"
bus = "bridge"
bind = "vfio-pci"
[[device]]
name = "live"
model = "nvme"
slot = "02.0"
bus = "bridge"
properties = { serial = "live" }
backend = { driver = "null-co", size = "64M", read-zeroes = true }
"#;

/// Whom the device belongs to is said; whoever has it keeps it and ends well.
#[test]
fn devices_that_others_have_and_a_host_without_kvm() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.write("refusals.toml", REFUSALS);
    let share = share(&bench, &[(&kernel, "bzImage")]);
    let options = ["--topology", "refusals.toml", "--share", share.to_str().unwrap()];
    let ran = bench.run_lab(&kernel, &options, &["exec", "guests", "refusals", "/share/bzImage"]);
    ran.ended(0);
    let told = |name: &str| {
        let begin = format!("{name}: exit status: 2: barkeep: ");
        let line = ran.stdout.lines().find_map(|line| line.split_once(&begin)).map(|(_, told)| told);
        line.unwrap_or_else(|| panic!("no `{begin}` in:\n{}", ran.stdout))
    };
    let in_use = told("in use");
    assert!(
        in_use.contains("cannot bind 0000:00:03.0 to the I/O address space: somebody has it already"),
        "{in_use}"
    );
    let shared = told("shared group");
    assert!(shared.contains("with its IOMMU group, which has 0000:00:05.0 ("), "{shared}");
    assert!(shared.contains("0000:01:02.0 (nvme), too"), "{shared}");
    let no_kvm = told("no KVM");
    assert!(
        no_kvm.contains("cannot open /dev/kvm") && no_kvm.ends_with("No such file or directory"),
        "{no_kvm}"
    );
    tells(&ran, &["the first guest ended with exit status: 130"]);
}

/// A kernel that lacks its end is refused; of an initrd only the guest's kernel can tell.
#[test]
fn images_that_are_cut_or_too_large() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let image = fs::read(&kernel).unwrap();
    let cut = bench.write("cut", &image[..image.len() / 2]);
    let large = bench.write("large", vec![0; 65 << 20]);
    let run = |words: &[&str]| {
        let mut command = bench.barkeep(["run", "--lane", "kvm", "--device", "sim:memory", "--guest"]);
        command.args(words).arg("--out").arg(bench.out());
        bench.run(command)
    };
    if gate::kvm().is_some() {
        let [cut, large, kernel] = [&cut, &large, &kernel].map(|path| path.to_str().unwrap());
        run(&[cut]).ended(2).tells(&["the guest's kernel is truncated: its header says 0x"]);
        let ran = run(&[kernel, "--initrd", large, "--memory", "64M"]);
        ran.ended(2).tells(&["an initrd of 0x4100000 bytes does not fit", "give more memory"]);
        for (words, told) in [
            (["--memory", "7M"], "between 8M and 255G"),
            (["--memory", "1000G"], "between 8M and 255G"),
            (["--memory", "lots"], "`lots` is not a size"),
            (["--cpus", "0"], "0 is not in 1..=64"),
            (["--cpus", "65"], "65 is not in 1..=64"),
        ] {
            run(&[&[kernel][..], &words].concat()).ended(2).tells(&[told]);
        }
    }
    // The first bytes of an archive, and then the file ends.
    let cut = bench.write("cut.cpio", [&b"070701"[..], &[b'0'; 100]].concat());
    let edu = format!("edu={EDU}");
    let ran = guest(&bench, &kernel, &[], &["--device", &edu, "--initrd", cut.to_str().unwrap()], &[]);
    ran.ended(70).tells(&["the guest's kernel has panicked"]);
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
