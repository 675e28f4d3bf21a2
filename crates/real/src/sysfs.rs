//! A PCI function's folder in sysfs: what it says, and what is written there.

use crate::errors;
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
use barkeep_model::hardware::ResetMethod;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const DEVICES: &str = "/sys/bus/pci/devices";
const RESCAN: &str = "/sys/bus/pci/rescan";
const PROBE: &str = "/sys/bus/pci/drivers_probe";
const VFIO: &str = "vfio-pci";
/// The folder that names the character device, while there is one.
const CHARACTER_DEVICE: &str = "vfio-dev";
const CHARACTER_DEVICES: &str = "/dev/vfio/devices";

/// The folder of one function.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    address: DeviceAddress,
    path: PathBuf,
}

impl Folder {
    pub(crate) fn of(address: DeviceAddress) -> Self {
        Self { address, path: Path::new(DEVICES).join(address.to_string()) }
    }

    /// Its character device. Looked up every time: its number is another one after a removal,
    /// and the old number may be another device's.
    ///
    /// # Errors
    /// ENOENT if it has none.
    pub(crate) fn character_device(&self) -> Result<PathBuf, Errno> {
        let mut entries = fs::read_dir(self.path.join(CHARACTER_DEVICE)).map_err(|e| errors::of_io(&e))?;
        let entry = entries.next().ok_or(Errno::ENOENT)?.map_err(|e| errors::of_io(&e))?;
        Ok(Path::new(CHARACTER_DEVICES).join(entry.file_name()))
    }

    /// Whether vfio-pci, or a variant of it, has it.
    pub(crate) fn is_bound(&self) -> bool {
        self.driver().is_some_and(|driver| driver == VFIO || driver.ends_with("-vfio-pci"))
    }

    /// Whether the driver of this name has it.
    pub(crate) fn is_driven_by(&self, name: &str) -> bool {
        self.driver().is_some_and(|driver| driver == name)
    }

    fn driver(&self) -> Option<String> {
        let link = fs::read_link(self.path.join("driver")).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    }

    /// A virtual function: its physical one is named.
    pub(crate) fn is_virtual(&self) -> bool {
        self.path.join("physfn").exists()
    }

    /// Where the kernel put BARs 0 to 5; 0 for none.
    pub(crate) fn bar_addresses(&self) -> Option<[u64; 6]> {
        let table = fs::read_to_string(self.path.join("resource")).ok()?;
        // First address, last address, flags, each as 0x0000000000000000.
        let first = |line: &str| u64::from_str_radix(line.get(2..18)?, 16).ok();
        let addresses = table.lines().take(6).map(first).collect::<Option<Vec<_>>>()?;
        addresses.try_into().ok()
    }

    /// Whether runtime power management has put the function to sleep. Asking does not wake it.
    pub(crate) fn is_asleep(&self) -> bool {
        let status = fs::read_to_string(self.path.join("power/runtime_status"));
        status.is_ok_and(|status| status.trim_end() == "suspended")
    }

    /// The kernel's reset methods, in its order; none where it lists none. A word that no method
    /// of [`ResetMethod`] has is given as it is.
    pub(crate) fn reset_methods(&self) -> Result<Vec<ResetMethod>, String> {
        let words = fs::read_to_string(self.path.join("reset_method")).unwrap_or_default();
        words.split_whitespace().map(|word| method(word).ok_or_else(|| word.to_owned())).collect()
    }

    /// Writes to one of its files.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<u64, Errno> {
        write(&self.path.join(file), text)
    }

    /// Rescans every bus and has vfio-pci take the function, whoever took it first.
    pub(crate) fn bring_back(&self) -> Result<u64, Errno> {
        write(Path::new(RESCAN), "1")?;
        if self.driver().is_some_and(|driver| driver != VFIO) {
            self.write("driver/unbind", &self.address.to_string())?;
        }
        self.write("driver_override", VFIO)?;
        write(Path::new(PROBE), &self.address.to_string())?;
        self.character_device().map(|_| 0)
    }
}

fn method(word: &str) -> Option<ResetMethod> {
    Some(match word {
        "device_specific" => ResetMethod::DeviceSpecific,
        "acpi" => ResetMethod::Acpi,
        "flr" => ResetMethod::Flr,
        "af_flr" => ResetMethod::AfFlr,
        "pm" => ResetMethod::Pm,
        "bus" => ResetMethod::Bus,
        "cxl_bus" => ResetMethod::CxlBus,
        _ => return None,
    })
}

/// One `write` of all of it, to a file that is there already.
fn write(path: &Path, text: &str) -> Result<u64, Errno> {
    let mut file = fs::OpenOptions::new().write(true).open(path).map_err(|e| errors::of_io(&e))?;
    file.write_all(text.as_bytes()).map(|()| 0).map_err(|e| errors::of_io(&e))
}
