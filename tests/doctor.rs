//! `barkeep doctor`, `bind` and `unbind`, on real kernels.

mod common;

use common::bench::{Bench, Ran};
use common::{EDU, NVME, gate};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const IGB: &str = "0000:00:05.0";

/// Devices with the drivers the kernel gives them, or none.
const OWN_DRIVERS: &str = r#"
version = 1
name = "own-drivers"
[[device]]
name = "nvme"
model = "nvme"
slot = "03.0"
properties = { serial = "barkeep", cmb_size_mb = 16, legacy-cmb = true }
backend = { driver = "null-co", size = "64M", read-zeroes = true }
[[device]]
name = "edu"
model = "edu"
slot = "04.0"
bind = "none"
properties = { dma_mask = "0xffffffffffffffff" }
[[device]]
name = "pf"
model = "igb"
slot = "05.0"
properties = { romfile = "" }
"#;

/// What was said of each line, in their order.
struct Said(Vec<(String, String, i32)>);

impl Said {
    fn of(ran: &Ran) -> Self {
        let mut lines = Vec::new();
        for part in ran.stdout.split("> ").skip(1) {
            let (line, rest) = part.split_once('\n').unwrap_or_else(|| panic!("{}", ran.stdout));
            let (text, status) = rest.rsplit_once("< ").unwrap_or_else(|| panic!("{}", ran.stdout));
            let status = status.lines().next().unwrap().parse().unwrap();
            lines.push((line.to_owned(), text.to_owned(), status));
        }
        Self(lines)
    }

    /// The next line: which it was, how it ended, and words it has to have said.
    #[track_caller]
    fn next(&mut self, line: &str, status: i32, words: &[&str]) -> String {
        let (first, text, ended) = self.0.remove(0);
        assert_eq!(first, line, "{text}");
        assert_eq!(ended, status, "{line}: {text}");
        for word in words {
            assert!(text.contains(word), "{line}: no `{word}` in\n{text}");
        }
        text
    }
}

/// Carries lines out in one boot; see `tests/doctor/inside.c`.
fn carried_out(bench: &Bench, kernel: &Path, lines: &[&str]) -> Option<Said> {
    let compiler = gate::find("cc").or_else(|| gate::skip("cc is not in PATH"))?;
    let source = bench.write("inside.c", include_str!("doctor/inside.c"));
    fs::create_dir(bench.path("share")).unwrap();
    let compiled =
        Command::new(compiler).arg("-static").arg("-o").args([&bench.path("share/inside"), &source]).status();
    assert!(compiled.unwrap().success());
    bench.write("own.toml", OWN_DRIVERS);
    let inner: Vec<&str> = ["exec", "inside"].iter().chain(lines).copied().collect();
    let ran = bench.run_lab(kernel, &["--topology", "own.toml", "--share", "share"], &inner);
    ran.ended(0);
    Some(Said::of(&ran))
}

/// The JSON at the beginning of a text.
fn json(text: &str) -> Value {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    values.next().expect("JSON").unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// How a row is: its state, and what was found.
#[track_caller]
fn row<'a>(rows: &'a Value, what: &str) -> (&'a str, &'a str) {
    let row = rows.as_array().unwrap().iter().find(|row| row["what"] == what);
    let row = row.unwrap_or_else(|| panic!("no {what} in {rows}"));
    (row["state"].as_str().unwrap(), row["found"].as_str().unwrap())
}

#[test]
fn a_machine_that_has_everything() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let ran = bench.run_lab(&kernel, &[], &["doctor", "--json"]);
    ran.ended(0);
    let report = json(&ran.stdout);
    assert_eq!((&report["barkeep_doctor"], &report["ok"]), (&1.into(), &true.into()), "{report}");
    for what in ["iommu", "vfio", "vfio files", "iommufd", "memory lock", "dma-buf export"] {
        assert_eq!(row(&report["machine"], what).0, "ok", "{what}");
    }
    assert!(row(&report["machine"], "dma-buf export").1.starts_with("proved"));
    assert!(row(&report["machine"], "kvm").1.contains("emulated"));
    let [nvme, edu] = report["devices"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&nvme["address"], &edu["address"]), (&NVME.into(), &EDU.into()));
    assert_eq!(nvme["reset_methods"][0], "flr");
    assert_eq!(row(&edu["rows"], "resets").0, "note");
    // QEMU's NVMe: the MSI-X table in the third page of BAR 0, the pending bits in the fourth.
    let bar = &nvme["bars"][0];
    assert_eq!((&bar["size"], &bar["windows"][0]["size"]), (&0x4000.into(), &0x2000.into()), "{bar}");
    assert_eq!(bar["excluded"][0]["reason"], "holds the MSI-X table");
    assert_eq!(row(&nvme["rows"], "export"), ("ok", "its 2 windows were exported"));
    let peers = report["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 2);
    // QEMU's host bridge is none that the kernel lists, nor is its processor.
    assert!(peers.iter().all(|peer| peer["reach"] == "try" && peer["dma_api"] == "refused"), "{peers:?}");
}

#[test]
fn to_vfio_and_exactly_back() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let of = |device: &str, file: &str| format!("show /sys/bus/pci/devices/{device}/{file}");
    let (driver, reserved) = (of(NVME, "driver"), of(NVME, "driver_override"));
    let edu = of(EDU, "driver");
    let (bind, dry, unbind) =
        (format!("bind {NVME}"), format!("bind --dry-run {NVME}"), format!("unbind {NVME}"));
    let (bind_edu, unbind_edu) = (format!("bind {EDU}"), format!("unbind {EDU}"));
    let doctor = format!("doctor {NVME} {EDU}");
    let run = format!("run --device nvme={NVME} --device edu={EDU}");
    let state = "show /run/barkeep/bound/0000:00:03.0";
    let lines: Vec<&str> = [
        [&doctor, &driver, &dry, &driver, &unbind].as_slice(),
        &[&bind, &driver, &reserved, &bind, &bind_edu, &doctor, &run],
        &[&unbind, &driver, &reserved, &unbind, &unbind_edu, &edu],
    ]
    .concat()
    .into_iter()
    .map(String::as_str)
    .chain([state])
    .collect();
    let Some(mut said) = carried_out(&bench, &kernel, &lines) else { return };
    said.next(&doctor, 1, &["nvme has it, not vfio-pci | cure: barkeep bind 0000:00:03.0", "nobody has it"]);
    said.next(&driver, 0, &["nvme\n"]);
    said.next(
        &dry,
        0,
        &["echo vfio-pci >/sys/bus/pci/devices/0000:00:03.0/driver_override", "drivers/nvme/unbind"],
    );
    said.next(&driver, 0, &["nvme\n"]);
    said.next(&unbind, 2, &["cannot unbind 0000:00:03.0: nothing is remembered"]);
    said.next(&bind, 0, &["0000:00:03.0 is bound to vfio-pci\n"]);
    said.next(&driver, 0, &["vfio-pci\n"]);
    said.next(&reserved, 0, &["vfio-pci\n"]);
    said.next(&bind, 0, &["is bound to vfio-pci already: nothing to do"]);
    said.next(&bind_edu, 0, &[]);
    said.next(&doctor, 0, &["proved: windows of a device were exported", "nothing is in the way"]);
    said.next(&run, 0, &[]);
    said.next(&unbind, 0, &["0000:00:03.0 is as it was before\n"]);
    said.next(&driver, 0, &["nvme\n"]);
    said.next(&reserved, 0, &["(null)\n"]);
    said.next(&unbind, 2, &["nothing is remembered"]);
    said.next(&unbind_edu, 0, &[]);
    said.next(&edu, 1, &["nothing\n"]);
    said.next(state, 1, &["nothing\n"]);
}

#[test]
fn what_the_machine_uses_is_refused() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let vfs = format!("write /sys/bus/pci/devices/{IGB}/sriov_numvfs");
    let (two, none) = (format!("{vfs} 2"), format!("{vfs} 0"));
    let (bind, force, unbind) =
        (format!("bind {IGB}"), format!("bind --force {IGB}"), format!("unbind {IGB}"));
    let driver = format!("show /sys/bus/pci/devices/{IGB}/driver");
    let hold = "hold /dev/vfio/devices/vfio0";
    let lines = [
        [two.as_str(), &bind, &none],
        ["default eth0", &bind, &driver],
        [&force, hold, &unbind],
        ["drop", &unbind, &driver],
    ]
    .concat();
    let Some(mut said) = carried_out(&bench, &kernel, &lines) else { return };
    said.next(&two, 0, &[]);
    said.next(&bind, 2, &["cannot bind 0000:00:05.0", "has 2 virtual functions", "--force"]);
    said.next(&none, 0, &[]);
    said.next("default eth0", 0, &[]);
    said.next(&bind, 2, &["has the only network link with a default route (eth0)", "--force"]);
    said.next(&driver, 0, &["igb\n"]);
    said.next(&force, 0, &["is bound to vfio-pci"]);
    said.next(hold, 0, &[]);
    said.next(&unbind, 2, &["is in use by process", "(inside)"]);
    said.next("drop", 0, &[]);
    said.next(&unbind, 0, &["as it was before"]);
    said.next(&driver, 0, &["igb\n"]);
}

#[test]
fn a_kernel_that_gives_no_files_has_it_all_undone() {
    let Some(kernel) = gate::kernel(gate::NO_IOMMUFD) else { return };
    let bench = Bench::new();
    let driver = format!("show /sys/bus/pci/devices/{NVME}/driver");
    let reserved = format!("show /sys/bus/pci/devices/{NVME}/driver_override");
    let bind = format!("bind {NVME}");
    let Some(mut said) = carried_out(&bench, &kernel, &["doctor", &bind, &driver, &reserved]) else { return };
    said.next("doctor", 1, &["there is no /dev/iommu: this kernel was built without CONFIG_IOMMUFD"]);
    said.next(
        &bind,
        1,
        &["cannot have vfio-pci take it; 0000:00:03.0 is as it was before", "no file in /dev/vfio/devices"],
    );
    said.next(&driver, 0, &["nvme\n"]);
    said.next(&reserved, 0, &["(null)\n"]);
}

#[test]
fn a_kernel_that_exports_nothing_is_asked_by_a_bound_device() {
    let Some(kernel) = gate::kernel(gate::NO_DMABUF_EXPORT) else { return };
    let bench = Bench::new();
    let (bind, doctor) = (format!("bind {NVME}"), format!("doctor {NVME}"));
    let look = format!("doctor --look-only {NVME}");
    let Some(mut said) = carried_out(&bench, &kernel, &[&bind, &look, &doctor]) else { return };
    said.next(&bind, 0, &[]);
    said.next(&look, 1, &["was built without CONFIG_VFIO_PCI_DMABUF"]);
    let told = said.next(&doctor, 1, &["this kernel exports no BAR of 0000:00:03.0 as a dma-buf"]);
    assert!(told.contains("FAIL  dma-buf export") && told.contains("FAIL  export"), "{told}");
}

#[test]
fn devices_that_are_none() {
    let bench = Bench::new();
    let with = |words: &[&str]| bench.run(bench.barkeep(words));
    for command in ["doctor", "bind", "unbind"] {
        with(&[command, "0000:01:00"]).ended(2).tells(&["0000:01:00", "of the form 0000:01:00.0"]);
        let ran = with(&[command, "ffff:ff:1f.7"]);
        ran.ended(2).tells(&["there is no PCI device ffff:ff:1f.7", "ls /sys/bus/pci/devices"]);
        assert_eq!(ran.stdout, "");
    }
    with(&["bind"]).ended(2).tells(&["<BDF>"]);
    with(&["doctor", "--memory", "lots"]).ended(2).tells(&["lots", "--memory"]);
}
