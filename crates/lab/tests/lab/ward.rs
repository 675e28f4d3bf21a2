//! Whatever was done to the machine's devices, it is put right again.

use crate::support::{Bench, kernel, words};

/// What the machine is after `disturb`, and whether the journal says that `action` was needed.
fn put_right(topology: &str, disturb: &[&str], actions: &[&str]) -> Option<String> {
    let kernel = kernel()?;
    let bench = Bench::new("ward");
    let command: Vec<_> = std::iter::once("ward").chain(disturb.iter().copied()).collect();
    let output = bench.run(&kernel, &[&format!("topology={topology}")], &command);
    let said = bench.read("stdout.txt");
    assert_eq!(output.status.code(), Some(7), "{}{}", words(&output), bench.read("stderr.txt"));
    for action in actions {
        assert!(bench.journal_has(action), "{action} is not in the journal");
    }
    Some(said)
}

#[test]
fn what_is_right_stays() {
    let Some(said) = put_right("nvme-edu", &[], &[]) else { return };
    assert!(said.starts_with("nvme=0000:00:03.0 vfio-pci [flr]\nedu=0000:00:04.0 vfio-pci []\n"), "{said}");
}

#[test]
fn a_device_removed_unbound_or_without_reset_methods_is_itself_again() {
    let disturb = [
        "devices/0000:00:03.0/remove=1",
        // Not an empty write, which the kernel never sees.
        "devices/0000:00:04.0/reset_method=\n",
        "drivers/vfio-pci/unbind=0000:00:05.0",
        "devices/0000:00:05.0/driver_override=none",
    ];
    let actions = ["look for devices that are gone", "bind nvme-a to vfio-pci", "bind nvme-c to vfio-pci"];
    let Some(said) = put_right("mesh", &disturb, &actions) else { return };
    let expected = "nvme-a=0000:00:03.0 vfio-pci [flr]\nnvme-b=0000:00:04.0 vfio-pci [flr]\n\
                    nvme-c=0000:00:05.0 vfio-pci [flr]\nedu=0000:00:06.0 vfio-pci []\n";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_port_removed_with_what_is_behind_it_is_there_again() {
    let Some(said) = put_right("twins", &["devices/0000:00:03.0/remove=1"], &["bind twin-b to vfio-pci"])
    else {
        return;
    };
    let driver = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(driver("twin-a=").contains("vfio-pci [flr]"), "{said}");
    assert!(driver("twin-b=").contains("vfio-pci [flr]"), "{said}");
    assert!(driver("port=").contains("pcieport"), "{said}");
}

#[test]
fn virtual_functions_are_made_again() {
    let expected = "pf=0000:00:03.0 igb [flr pm]\nvf0=0000:00:13.0 vfio-pci [flr]\n\
                    vf1=0000:00:13.2 vfio-pci [flr]\nedu=0000:00:04.0 vfio-pci []\n";
    let pf = "devices/0000:00:03.0";
    let none = format!("{pf}/sriov_numvfs=0");
    let one = format!("{pf}/sriov_numvfs=1");
    let gone = format!("{pf}/remove=1");
    for disturb in [vec![none.as_str()], vec![&none, &one], vec![&gone]] {
        let Some(said) = put_right("igb-vfs", &disturb, &["make the virtual functions of pf"]) else {
            return;
        };
        assert!(said.starts_with(expected), "{disturb:?}: {said}");
    }
}

#[test]
fn a_removal_that_somebody_holds_up_is_told_and_not_waited_for_for_ever() {
    let Some(kernel) = kernel() else { return };
    for (topology, held, removal, address) in [
        ("nvme-edu", "vfio0", "&devices/0000:00:03.0/remove=1", "0000:00:03.0"),
        ("igb-vfs", "vfio0", "&devices/0000:00:03.0/sriov_numvfs=0", "0000:00:13.0"),
    ] {
        let bench = Bench::new("held");
        let hold = format!("hold=/dev/vfio/devices/{held}");
        bench.run(&kernel, &[&format!("topology={topology}")], &["ward", &hold, removal]);
        let said = bench.read("stderr.txt");
        assert!(said.contains(&format!("{address} is still being removed")), "{topology}: {said}");
    }
}
