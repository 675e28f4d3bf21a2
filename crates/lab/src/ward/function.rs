//! One PCI function as sysfs shows it.

use crate::topology_rules::{NO_DRIVER, VFIO, parse_slot};
use barkeep_journal::DeviceAddress;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const DEVICES: &str = "/sys/bus/pci/devices";
const PROBE: &str = "/sys/bus/pci/drivers_probe";

/// COMMAND and STATUS in config space; they never are all ones. (The ids of a virtual function
/// are: PCIe keeps them in the physical one.)
const COMMAND_AND_STATUS: std::ops::Range<usize> = 4..8;

/// The functions the kernel has, also those on their way out.
pub(super) fn all() -> Vec<DeviceAddress> {
    below(Path::new(DEVICES))
}

/// What sits at `slot` of the root complex: there the slot is the address.
pub(super) fn on_the_root_complex(slot: &str) -> Option<DeviceAddress> {
    let address = DeviceAddress { domain: 0, bus: 0, devfn: devfn(slot)? };
    Function::at(address).path.exists().then_some(address)
}

/// What sits at `slot` behind `port`: the kernel numbered the bus.
pub(super) fn behind(port: DeviceAddress, slot: &str) -> Option<DeviceAddress> {
    let devfn = devfn(slot)?;
    below(&Function::at(port).path).into_iter().find(|address| address.devfn == devfn)
}

fn devfn(slot: &str) -> Option<u8> {
    parse_slot(slot).map(|(number, function)| number << 3 | function)
}

/// The functions that have a directory in `folder`.
fn below(folder: &Path) -> Vec<DeviceAddress> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A function; whether it is there shows when it is asked something.
pub(super) struct Function {
    address: DeviceAddress,
    path: PathBuf,
}

impl Function {
    pub(super) fn at(address: DeviceAddress) -> Self {
        Self { address, path: Path::new(DEVICES).join(address.to_string()) }
    }

    /// Whether a removal of it has begun and not ended. The kernel takes the file `remove` away
    /// with the first; a virtual function, which has none, loses the link to its physical one.
    pub(super) fn is_being_removed(&self) -> bool {
        // Last, as the removal may end between two looks.
        !self.path.join("remove").exists() && !self.path.join("physfn").exists() && self.path.exists()
    }

    /// Whether it answers to config reads.
    pub(super) fn answers(&self) -> bool {
        let config = fs::read(self.path.join("config")).unwrap_or_default();
        config.get(COMMAND_AND_STATUS).is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0xff))
    }

    /// One of its files, to be read and written.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        File::options().read(true).write(true).open(self.path.join(name))
    }

    /// Keeps it in D0, or leaves that to its driver again.
    pub(super) fn keep_awake(&self, awake: bool) -> io::Result<()> {
        fs::write(self.path.join("power/control"), if awake { "on" } else { "auto" })
    }

    /// Has the kernel find out again how it can be reset. A function that could not when it
    /// was found has no such file.
    pub(super) fn restore_reset_methods(&self) -> io::Result<()> {
        let file = self.path.join("reset_method");
        if file.exists() { fs::write(file, "default") } else { Ok(()) }
    }

    /// Whether `driver` has it; nobody is a driver too.
    pub(super) fn is_bound_to(&self, driver: &str) -> bool {
        let link = fs::read_link(self.path.join("driver")).ok();
        match link.as_deref().and_then(Path::file_name) {
            Some(bound) => bound == driver,
            None => driver == NO_DRIVER,
        }
    }

    /// Takes it from whoever has it and gives it to `driver`.
    pub(super) fn bind(&self, driver: &str) -> io::Result<()> {
        let bound = self.path.join("driver");
        if bound.exists() {
            fs::write(bound.join("unbind"), self.address.to_string())?;
        }
        if driver == NO_DRIVER {
            return Ok(());
        }
        fs::write(self.path.join("driver_override"), driver)?;
        fs::write(PROBE, self.address.to_string())?;
        if !self.is_bound_to(driver) {
            return Err(io::Error::other("the kernel has no such driver, or it refused the device"));
        }
        if driver == VFIO && !self.path.join("vfio-dev").exists() {
            return Err(io::Error::other(
                "it has no character device: the kernel lacks CONFIG_VFIO_DEVICE_CDEV",
            ));
        }
        Ok(())
    }

    /// Its virtual functions, which are to be `count`.
    pub(super) fn virtual_functions(&self, count: usize) -> io::Result<Vec<DeviceAddress>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let made = fs::read_to_string(self.path.join("sriov_numvfs"))?;
        if made.trim() != count.to_string() {
            return Err(io::Error::other(format!("it has {}", made.trim())));
        }
        let address = |number: usize| {
            let link = fs::read_link(self.path.join(format!("virtfn{number}")))?;
            let name = link.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.parse().ok())
                .ok_or_else(|| io::Error::other("it has an address of no form"))
        };
        (0..count).map(address).collect()
    }

    /// Has its driver make `count` virtual functions.
    pub(super) fn make_virtual_functions(&self, count: usize) -> io::Result<Vec<DeviceAddress>> {
        if !self.path.join("sriov_totalvfs").exists() {
            return Err(io::Error::other("it has no SR-IOV capability"));
        }
        // Nobody takes one before it is given to its driver.
        fs::write(self.path.join("sriov_drivers_autoprobe"), "0")?;
        // From some to others there is no way but by none.
        let numvfs = self.path.join("sriov_numvfs");
        if fs::read_to_string(&numvfs)?.trim() != "0" {
            fs::write(&numvfs, "0")?;
        }
        fs::write(&numvfs, count.to_string())?;
        self.virtual_functions(count)
    }
}
