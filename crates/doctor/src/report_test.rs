use super::*;
use crate::tree::Tree;
use barkeep_pci::header;
use std::cell::RefCell;

const NVME: &str = "0000:00:03.0";
const EDU: &str = "0000:00:04.0";
const WANTED: Wanted = Wanted { memory: 64 << 20 };

/// Says what it is told to say, and what it was asked.
struct Told(Probed, RefCell<Vec<(DeviceAddress, Vec<Window>)>>);

impl Told {
    fn new(probed: Probed) -> Self {
        Self(probed, RefCell::default())
    }
}

impl Probe for Told {
    fn probe(&self, device: DeviceAddress, windows: &[Window]) -> Probed {
        self.1.borrow_mut().push((device, windows.to_vec()));
        self.0.clone()
    }
}

/// Two devices with vfio-pci, on a machine that has everything: an NVMe whose BAR 0 has an MSI-X table
/// in its fourth page, with an I/O BAR and a small one; and a function with one memory BAR.
fn tree() -> Tree {
    let tree = Tree::new();
    for (name, content) in [
        ("dev/kvm", ""),
        ("dev/iommu", ""),
        ("dev/vfio/devices/vfio0", ""),
        ("dev/vfio/devices/vfio1", ""),
        ("proc/cpuinfo", "model name\t: Xeon\nflags\t: vmx\n"),
        ("proc/self/limits", "Max locked memory  unlimited  unlimited  bytes\n"),
        ("sys/module/kvm_intel/parameters/ept", "Y\n"),
    ] {
        tree.write(name, content);
    }
    for (number, (address, config)) in [(NVME, nvme()), (EDU, vec![0; 256])].into_iter().enumerate() {
        tree.function(&format!("pci0000:00/{address}"));
        tree.drive(address, "vfio-pci");
        tree.group(number as u32, &[address]);
        tree.config(address, &config);
        tree.write_in(address, &format!("vfio-dev/vfio{number}/dev"), "");
        for (name, value) in [("vendor", "0x1b36"), ("device", "0x0010"), ("class", "0x010802")] {
            tree.write_in(address, name, value);
        }
    }
    tree.write_in(
        NVME,
        "resource",
        resources(&[(0x4000, 0x14_0200), (0, 0), (64, 0x101), (0, 0), (256, 0x200)]),
    );
    tree.write_in(EDU, "resource", resources(&[(1 << 20, 0x4_0200)]));
    tree.write_in(NVME, "reset_method", "flr bus\n");
    tree
}

/// With MSI-X: the table at 0x3000 of BAR 0, 65 vectors, the pending bits behind it.
fn nvme() -> Vec<u8> {
    let mut config = vec![0; 4096];
    let mut put = |at: u16, bytes: &[u8]| config[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
    put(header::STATUS, &[0x10, 0]);
    put(header::CAPABILITIES_POINTER, &[0x40]);
    put(0x40, &[0x11, 0, 64, 0]);
    put(0x44, &0x3000u32.to_le_bytes());
    put(0x48, &0x3800u32.to_le_bytes());
    config
}

/// Size and flags of each.
fn resources(all: &[(u64, u64)]) -> String {
    let line = |(number, (size, flags)): (u64, &(u64, u64))| match size {
        0 => "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".to_owned(),
        size => {
            let start = 0xfe00_0000 + (number << 20);
            format!("{start:#018x} {:#018x} {flags:#018x}\n", start + size - 1)
        }
    };
    (0..).zip(all).map(line).collect()
}

fn examined(tree: &Tree, devices: &[&str], probe: &dyn Probe) -> Report {
    let devices: Vec<DeviceAddress> = devices.iter().map(|address| address.parse().unwrap()).collect();
    examine(&tree.roots(), &devices, WANTED, 4096, probe).unwrap()
}

fn row<'a>(rows: &'a [Row], what: &str) -> &'a Row {
    rows.iter().find(|row| row.what == what).unwrap_or_else(|| panic!("no {what} in {rows:?}"))
}

#[test]
fn everything_is_there() {
    let (tree, probe) = (tree(), Told::new(Probed::Exports { mappable: false }));
    let report = examined(&tree, &[], &probe);
    assert!(report.ok, "{report}");
    assert_eq!(report.devices.len(), 2);
    assert_eq!(row(&report.machine, "dma-buf export").state, State::Ok);
    let rows = &report.devices[0].rows;
    assert_eq!(
        row(rows, "bar 0").found,
        "16 KiB, exported 0x0+12 KiB; not 0x3000..0x4000 holds the MSI-X table and pending bit array"
    );
    assert_eq!(row(rows, "bar 2").found, "64 bytes, not exported: it is I/O space");
    assert_eq!(row(rows, "bar 4").found, "256 bytes, not exported: it is smaller than a page");
    assert_eq!(row(rows, "resets").found, "flr bus");
    assert_eq!(row(&report.devices[1].rows, "resets").state, State::Note);
    // Only what may be exported is asked for.
    let asked = probe.1.borrow();
    assert_eq!(asked[0].1, [Window { bar: 0, offset: 0, size: 0x3000 }]);
    assert_eq!(asked[1].1, [Window { bar: 0, offset: 0, size: 1 << 20 }]);
    assert_eq!(report.peers.len(), 2);
    assert!(report.to_string().ends_with("\nnothing is in the way\n"), "{report}");
}

#[test]
fn each_failing_row_has_a_cause_and_a_cure_in_one_line() {
    let tree = tree();
    for name in ["dev/kvm", "dev/iommu", "dev/vfio/devices/vfio0"] {
        std::fs::remove_file(tree.path(name)).unwrap();
    }
    tree.write("proc/self/limits", "Max locked memory  8388608  8388608  bytes\n");
    tree.drive(EDU, "snd");
    tree.group(0, &[NVME, EDU]);
    let report = examined(&tree, &[NVME, EDU], &Told::new(Probed::Refused("it says no".into())));
    assert!(!report.ok);
    let rows: Vec<&Row> = report.machine.iter().chain(report.devices.iter().flat_map(|d| &d.rows)).collect();
    let failing: Vec<&str> = rows.iter().filter(|row| row.state == State::Fail).map(|row| row.what).collect();
    let wanted = ["kvm", "iommufd", "memory lock", "dma-buf export", "file", "group", "export", "driver"];
    assert_eq!(failing, wanted, "{report}");
    for row in rows.iter().filter(|row| row.state == State::Fail) {
        let cure = row.cure.as_deref().unwrap_or_default();
        assert!(!cure.is_empty() && !row.found.is_empty(), "{row:?}");
        assert!(!cure.contains('\n') && !row.found.contains('\n'), "{row:?}");
    }
    let text = report.to_string();
    assert!(
        text.contains("group 0 is shared with 0000:00:04.0, which snd has | cure: barkeep bind 0000:00:04.0")
    );
    assert!(text.ends_with("\n8 things are in the way\n"), "{text}");
}

#[test]
fn a_driver_that_lives_is_not_opened() {
    let tree = tree();
    tree.drive(EDU, "snd");
    let probe = Told::new(Probed::Exports { mappable: false });
    examined(&tree, &[EDU], &probe);
    assert!(probe.1.borrow().is_empty());
}

#[test]
fn without_a_device_the_export_is_not_known() {
    let tree = tree();
    tree.drive(NVME, "nvme");
    tree.drive(EDU, "snd");
    let report = examined(&tree, &[], &Told::new(Probed::Exports { mappable: false }));
    assert!(report.ok && report.devices.is_empty() && report.peers.is_empty());
    let export = row(&report.machine, "dma-buf export");
    assert_eq!(export.state, State::Unknown);
    assert!(export.found.contains("not known until a device is bound"));
    assert_eq!(row(&report.machine, "devices").state, State::Unknown);
}

#[test]
fn a_device_with_no_window_proves_nothing() {
    let tree = tree();
    tree.write_in(EDU, "resource", resources(&[(256, 0x200)]));
    let report = examined(&tree, &[EDU, NVME], &Told::new(Probed::Closed("in use".into())));
    assert_eq!(row(&report.machine, "dma-buf export").state, State::Unknown);
    let report = examined(&tree, &[EDU], &Told::new(Probed::Exports { mappable: false }));
    assert_eq!(row(&report.machine, "dma-buf export").state, State::Unknown);
    assert_eq!(row(&report.devices[0].rows, "export").state, State::Note);
    let report = examined(&tree, &[NVME, EDU], &NoProbe);
    assert!(report.to_string().contains("no [1]"), "{report}");
    assert!(report.to_string().contains("0000:00:04.0 has no window that can be exported"), "{report}");
}

#[test]
fn who_may_not_read_config_space_is_told_so() {
    let tree = tree();
    tree.config(NVME, &nvme()[..64]);
    let report = examined(&tree, &[NVME], &NoProbe);
    let bars = row(&report.devices[0].rows, "bars");
    assert_eq!(bars.state, State::Unknown);
    assert!(bars.found.contains("only root"));
    assert!(report.devices[0].bars.is_none());
}

#[test]
fn a_device_that_is_not_there() {
    let tree = tree();
    let gone: DeviceAddress = "0000:09:00.0".parse().unwrap();
    let error = examine(&tree.roots(), &[gone], WANTED, 4096, &NoProbe).unwrap_err();
    assert_eq!(error, NotThere(gone));
    // One that is named twice is looked at once.
    assert_eq!(examined(&tree, &[NVME, NVME], &NoProbe).devices.len(), 1);
}

#[test]
fn a_virtual_function_has_its_bars_and_ids_from_the_kernel() {
    let tree = tree();
    let mut config = nvme();
    config[..4].copy_from_slice(&[0xff; 4]);
    tree.config(NVME, &config);
    let report = examined(&tree, &[NVME], &NoProbe);
    let bars = report.devices[0].bars.as_ref().expect("bars");
    assert_eq!(
        bars.iter().map(|bar| (bar.index, bar.kind)).collect::<Vec<_>>(),
        [(0, "memory64"), (2, "io"), (4, "memory32")]
    );
}

#[test]
fn the_json_form_is_the_one_that_is_described() {
    let json = serde_json::to_value(examined(&tree(), &[], &Told::new(Probed::Exports { mappable: false })))
        .unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json), ["barkeep_doctor", "devices", "machine", "ok", "peers"]);
    assert_eq!(json["barkeep_doctor"], 1);
    let device = &json["devices"][0];
    let wanted = [
        "address",
        "bars",
        "class",
        "device",
        "driver",
        "group",
        "group_mates",
        "reset_methods",
        "rows",
        "vendor",
    ];
    assert_eq!(keys(device), wanted);
    assert_eq!(keys(&device["bars"][0]), ["excluded", "index", "kind", "size", "windows"]);
    assert_eq!(keys(&device["bars"][0]["windows"][0]), ["offset", "size"]);
    assert_eq!(keys(&device["bars"][0]["excluded"][0]), ["offset", "reason", "size"]);
    assert_eq!(keys(&json["peers"][0]), ["cure", "dma_api", "from", "reach", "to", "why"]);
    assert_eq!(keys(&json["machine"][0]), ["found", "state", "what"]);
}
