//! The machine's administrator, by sysfs.

use crate::sysfs::PCI_DEVICES;
use barkeep_export::{Administrator, Errno, PcieError};
use barkeep_journal::DeviceAddress;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `reset_method` takes for "none": it compares up to a newline, and a write of no bytes
/// never gets there.
const NO_METHOD: &str = "\n";
const DEFAULT_METHODS: &str = "default";

/// Where `CONFIG_PCIEAER_INJECT` listens.
const INJECTOR: &str = "/dev/aer_inject";

/// Acts on this machine; needs the right to write to sysfs.
pub struct Sysfs;

impl Administrator for Sysfs {
    fn reset(&self, device: DeviceAddress) -> Result<(), Errno> {
        write(device, "reset", "1")
    }

    fn reset_methods(&self, device: DeviceAddress, present: bool) -> Result<(), Errno> {
        write(device, "reset_method", if present { DEFAULT_METHODS } else { NO_METHOD })
    }

    fn remove(&self, device: DeviceAddress) -> Result<(), Errno> {
        write(device, "remove", "1")
    }

    fn unbind(&self, device: DeviceAddress) -> Result<(), Errno> {
        let driver = folder(device).join("driver");
        if !driver.exists() {
            return Err(Errno::NODEV);
        }
        write_to(&driver.join("unbind"), device.to_string().as_bytes())
    }

    fn is_bound(&self, device: DeviceAddress) -> bool {
        folder(device).join("driver").exists()
    }

    fn virtual_functions(&self, physical: DeviceAddress, count: u16) -> Result<(), Errno> {
        write(physical, "sriov_numvfs", &count.to_string())
    }

    fn inject_error(&self, device: DeviceAddress, error: PcieError) -> Result<(), Errno> {
        write_to(Path::new(INJECTOR), &aer_error(device, error))
    }

    fn is_there(&self, device: DeviceAddress) -> bool {
        folder(device).exists()
    }
}

fn folder(device: DeviceAddress) -> PathBuf {
    Path::new(PCI_DEVICES).join(device.to_string())
}

/// `struct aer_error_inj` (`drivers/pci/pcie/aer_inject.c`): where the function is, the two status registers, and the
/// header of a request, of which there was none.
fn aer_error(device: DeviceAddress, error: PcieError) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..3].copy_from_slice(&[device.bus, device.devfn >> 3, device.devfn & 7]);
    bytes[4..8].copy_from_slice(&error.bit().to_ne_bytes());
    bytes[28..].copy_from_slice(&u32::from(device.domain).to_ne_bytes());
    bytes
}

/// One `write` of all of it, to a file that is there already.
fn write(device: DeviceAddress, file: &str, text: &str) -> Result<(), Errno> {
    write_to(&folder(device).join(file), text.as_bytes())
}

fn write_to(file: &Path, bytes: &[u8]) -> Result<(), Errno> {
    let opened = std::fs::OpenOptions::new().write(true).open(file);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_enoent() {
        let device = "ffff:ff:1f.7".parse().unwrap();
        assert!(!Sysfs.is_there(device));
        assert_eq!(Sysfs.remove(device), Err(Errno::NOENT));
    }

    #[test]
    fn an_error_names_its_function_as_the_injector_reads_it() {
        let error = aer_error("0002:01:04.3".parse().unwrap(), PcieError::DataLinkProtocol);
        assert_eq!(error[..8], [1, 4, 3, 0, 0x10, 0, 0, 0]);
        assert_eq!((&error[8..28], &error[28..]), (&[0; 20][..], &[2, 0, 0, 0][..]));
    }
}
