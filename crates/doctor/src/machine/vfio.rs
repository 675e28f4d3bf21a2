//! IOMMU, VFIO and iommufd.

use super::kernel::{Built, option};
use crate::function::VFIO;
use crate::roots::{self, Roots};
use crate::row::Row;
use std::io::ErrorKind;

/// Without an IOMMU nothing a guest's driver tells a device is kept to the guest's memory.
pub(super) fn iommu(roots: &Roots) -> Row {
    let groups = roots::names(&roots.sys.join("kernel/iommu_groups")).len();
    let units = roots::names(&roots.sys.join("class/iommu"));
    if groups == 0 {
        return Row::fail(
            "iommu",
            "there are no IOMMU groups: firmware or kernel has it off",
            "turn VT-d or AMD-Vi on in the firmware; on Intel boot with intel_iommu=on",
        );
    }
    let of = if units.is_empty() { String::new() } else { format!(", by {}", units.join(" ")) };
    Row::ok("iommu", format!("{groups} groups{of}"))
}

pub(super) fn driver(roots: &Roots) -> Row {
    match roots.pci_driver(VFIO).exists() {
        true => Row::ok("vfio", "vfio-pci is there"),
        false if option(roots, "CONFIG_VFIO_PCI") == Built::Out => Row::fail(
            "vfio",
            "this kernel was built without CONFIG_VFIO_PCI",
            "a kernel with it; barkeep lab --print-config prints what is needed",
        ),
        false => Row::fail("vfio", "there is no driver vfio-pci", "modprobe vfio-pci"),
    }
}

/// The files devices are opened by; there are some once a device is bound, and then only with the option.
pub(super) fn devices(roots: &Roots) -> Row {
    const WHAT: &str = "vfio files";
    let files = roots::names(&roots.dev.join("vfio/devices"));
    if !files.is_empty() {
        return Row::ok(WHAT, format!("/dev/vfio/devices has {}", files.join(" ")));
    }
    let bind = "barkeep bind BDF, then barkeep doctor BDF";
    match option(roots, "CONFIG_VFIO_DEVICE_CDEV") {
        Built::In => Row::unknown(WHAT, "/dev/vfio/devices is made when a device is bound", bind),
        Built::Out => Row::fail(
            WHAT,
            "this kernel was built without CONFIG_VFIO_DEVICE_CDEV: devices have no files in /dev/vfio/devices",
            "a kernel with it; barkeep lab --print-config prints what is needed",
        ),
        Built::Secret => Row::unknown(WHAT, "not known until a device is bound", bind),
    }
}

pub(super) fn iommufd(roots: &Roots) -> Row {
    const WHAT: &str = "iommufd";
    match roots::openable(&roots.dev.join("iommu")) {
        Ok(()) => Row::ok(WHAT, "/dev/iommu opens"),
        Err(error) if error.kind() == ErrorKind::NotFound => match option(roots, "CONFIG_IOMMUFD") {
            Built::Out => Row::fail(
                WHAT,
                "there is no /dev/iommu: this kernel was built without CONFIG_IOMMUFD",
                "a kernel with it; barkeep lab --print-config prints what is needed",
            ),
            Built::In | Built::Secret => Row::fail(WHAT, "there is no /dev/iommu", "modprobe iommufd"),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Row::fail(
            WHAT,
            "/dev/iommu is there, and you may not open it",
            "be root, or give it to your group by a udev rule (docs/hardware.md)",
        ),
        Err(error) => Row::fail(WHAT, format!("/dev/iommu cannot be opened: {error}"), "modprobe iommufd"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::State;
    use crate::tree::Tree;

    #[test]
    fn a_machine_with_nothing_and_then_with_all_of_it() {
        let tree = Tree::new();
        let rows = || [iommu, driver, devices, iommufd].map(|row| row(&tree.roots()));
        let states = rows().map(|row| row.state);
        assert_eq!(states, [State::Fail, State::Fail, State::Unknown, State::Fail]);
        assert!(rows().iter().all(|row| row.cure.is_some()));
        tree.function("pci0000:00/0000:00:03.0");
        tree.group(7, &["0000:00:03.0"]);
        tree.write("sys/class/iommu/dmar0/x", "");
        tree.link("sys/bus/pci/drivers/vfio-pci/module", "sys/module/vfio_pci");
        tree.write("dev/vfio/devices/vfio0", "");
        tree.write("dev/iommu", "");
        assert_eq!(rows().map(|row| row.state), [State::Ok; 4]);
        assert_eq!(rows()[0].found, "1 groups, by dmar0");
    }

    #[test]
    fn what_the_kernel_was_built_without_is_named() {
        let tree = Tree::new();
        tree.write("proc/sys/kernel/osrelease", "7.3.4");
        tree.write("boot/config-7.3.4", "CONFIG_PCI=y\n");
        for (row, option) in [
            (driver(&tree.roots()), "CONFIG_VFIO_PCI"),
            (devices(&tree.roots()), "CONFIG_VFIO_DEVICE_CDEV"),
            (iommufd(&tree.roots()), "CONFIG_IOMMUFD"),
        ] {
            assert_eq!(row.state, State::Fail);
            assert!(row.found.contains(option), "{row:?}");
        }
    }
}
