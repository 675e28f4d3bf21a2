//! Where the kernel shows itself, and how that is read: what is not there is nothing, not an error.

use barkeep_journal::DeviceAddress;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where things are.
#[derive(Clone, Debug)]
pub struct Roots {
    /// sysfs, `/sys`.
    pub sys: PathBuf,
    /// Device files, `/dev`.
    pub dev: PathBuf,
    /// procfs, `/proc`.
    pub proc: PathBuf,
    /// What is to be forgotten at the next boot, `/run`.
    pub run: PathBuf,
    /// Where distributions keep the kernel's configuration, `/boot`.
    pub boot: PathBuf,
}

impl Default for Roots {
    /// Those of this machine.
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    /// Those below a folder with `sys`, `dev`, `proc`, `run` and `boot`.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        let at = |name| folder.join(name);
        Self { sys: at("sys"), dev: at("dev"), proc: at("proc"), run: at("run"), boot: at("boot") }
    }

    /// Where the kernel keeps PCI functions.
    #[must_use]
    pub fn pci_devices(&self) -> PathBuf {
        self.sys.join("bus/pci/devices")
    }

    /// The folder of a PCI driver, there or not.
    #[must_use]
    pub fn pci_driver(&self, name: &str) -> PathBuf {
        self.sys.join("bus/pci/drivers").join(name)
    }

    /// All PCI functions, in the order of their addresses.
    #[must_use]
    pub fn functions(&self) -> Vec<DeviceAddress> {
        let mut all: Vec<DeviceAddress> =
            names(&self.pci_devices()).iter().filter_map(|name| name.parse().ok()).collect();
        all.sort_by_key(|address| address.to_bits());
        all
    }

    /// Where a path of the machine is below these roots; only `/dev` and `/sys` are looked into.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<PathBuf> {
        let below = |root: &str, to: &Path| path.strip_prefix(root).ok().map(|rest| to.join(rest));
        below("/dev", &self.dev).or_else(|| below("/sys", &self.sys))
    }
}

/// A file's text without blanks around it; `None` if it cannot be read.
#[must_use]
pub fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A file's number, decimal or hexadecimal with `0x`.
#[must_use]
pub fn number(path: &Path) -> Option<u64> {
    let text = text(path)?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The last part of what a link points to.
#[must_use]
pub fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// What is in a folder, in order; nothing if it is not there.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// Whether a device file may be opened for reading and writing.
///
/// # Errors
/// What the kernel says.
pub fn openable(path: &Path) -> io::Result<()> {
    File::options().read(true).write(true).open(path).map(drop)
}
