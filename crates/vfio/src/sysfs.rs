//! What sysfs says of a PCI function, so that a wrong name or a wrong driver is told in
//! words before any ioctl fails with a number.

use barkeep_journal::DeviceAddress;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel keeps PCI functions.
pub const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// Why a function cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// No such function.
    #[error("there is no PCI device {0}; `ls {PCI_DEVICES}` lists those there are")]
    NotThere(DeviceAddress),
    /// Bound to another driver, or to none.
    #[error(
        "{address} is bound to {}, not to vfio-pci; `barkeep bind {address}` gives it to that",
        driver.as_deref().unwrap_or("no driver")
    )]
    NotBound {
        /// Which function.
        address: DeviceAddress,
        /// The driver it has.
        driver: Option<String>,
    },
    /// vfio-pci has it, but there is no character device.
    #[error(
        "{0} has no /dev/vfio/devices entry; the kernel needs CONFIG_VFIO_DEVICE_CDEV and CONFIG_IOMMUFD, \
         and the device an IOMMU"
    )]
    NoCharacterDevice(DeviceAddress),
}

/// The function's folder, if it is there and vfio-pci has it.
///
/// # Errors
/// See [`NotUsable`].
pub fn usable(address: DeviceAddress) -> Result<PathBuf, NotUsable> {
    let folder = Path::new(PCI_DEVICES).join(address.to_string());
    if !folder.exists() {
        return Err(NotUsable::NotThere(address));
    }
    let driver = driver(&folder);
    if !driver.as_deref().is_some_and(|d| d == "vfio-pci" || d.ends_with("-vfio-pci")) {
        return Err(NotUsable::NotBound { address, driver });
    }
    // Without CONFIG_VFIO_DEVICE_CDEV there is an entry all the same, and it has no device number.
    let mut entries = fs::read_dir(folder.join("vfio-dev")).into_iter().flatten().flatten();
    if !entries.any(|entry| entry.path().join("dev").exists()) {
        return Err(NotUsable::NoCharacterDevice(address));
    }
    Ok(folder)
}

/// The name of the driver a function is bound to.
pub fn driver(folder: &Path) -> Option<String> {
    let link = fs::read_link(folder.join("driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// Whether the function is virtual (SR-IOV): its decode bit does not exist.
pub fn is_virtual_function(folder: &Path) -> bool {
    folder.join("physfn").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_said_so() {
        let address = "ffff:ff:1f.7".parse().unwrap();
        let error = usable(address).unwrap_err().to_string();
        assert!(error.contains("no PCI device ffff:ff:1f.7"), "{error}");
    }
}
