//! A PCI function as a guest's own user space has it: by sysfs.

use anyhow::{Context, bail};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

const DEVICES: &str = "/sys/bus/pci/devices";
/// PCI Local Bus 3.0, 6.1: the command register with its bits, the pointer to the capabilities.
const COMMAND: u64 = 4;
const MEMORY_AND_BUS_MASTER: u16 = 1 << 1 | 1 << 2;
const CAPABILITIES: u64 = 0x34;
/// More than fit into the 192 bytes behind the header.
const MOST_CAPABILITIES: usize = 48;

/// One of the guest's.
pub struct Function {
    folder: PathBuf,
}

impl Function {
    /// That at `address`, as sysfs writes it.
    ///
    /// # Errors
    /// There is none.
    pub fn at(address: &str) -> anyhow::Result<Self> {
        let folder = Path::new(DEVICES).join(address);
        if !folder.join("config").exists() {
            bail!("there is no PCI function {address}");
        }
        Ok(Self { folder })
    }

    /// All, by their addresses.
    ///
    /// # Errors
    /// Those of sysfs.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let entries = fs::read_dir(DEVICES).context(DEVICES)?;
        let mut folders: Vec<_> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().context(DEVICES)?;
        folders.sort();
        Ok(folders.into_iter().map(|folder| Self { folder }).collect())
    }

    /// The first whose `file` of sysfs begins with `start`.
    ///
    /// # Errors
    /// None has.
    pub fn with(file: &str, start: &str) -> anyhow::Result<Self> {
        let found = Self::all()?.into_iter().find(|function| function.text(file).starts_with(start));
        found.with_context(|| format!("no PCI function has {file} {start}"))
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What a file of its says; nothing if it has none.
    pub fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_default().trim().to_owned()
    }

    /// The name of its driver, or `none`.
    pub fn driver(&self) -> String {
        let driver = fs::read_link(self.folder.join("driver")).unwrap_or_default();
        driver.file_name().map_or_else(|| "none".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Writes into a file of its.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tell(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {text} to {}", path.display()))
    }

    /// Lets it answer memory accesses and make its own.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enable(&self) -> anyhow::Result<()> {
        self.tell("enable", "1")?;
        let command = self.read16(COMMAND)?;
        self.write16(COMMAND, command | MEMORY_AND_BUS_MASTER)
    }

    /// Where its capability `id` is in its config space.
    ///
    /// # Errors
    /// It has none.
    pub fn capability(&self, id: u8) -> anyhow::Result<u64> {
        let mut at = u64::from(self.read16(CAPABILITIES)? as u8);
        for _ in 0..MOST_CAPABILITIES {
            if at == 0 {
                break;
            }
            let [found, next] = self.read16(at)?.to_le_bytes();
            if found == id {
                return Ok(at);
            }
            at = next.into();
        }
        bail!("{} has no capability {id:#x}", self.address())
    }

    /// 2 bytes of its config space.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read16(&self, at: u64) -> anyhow::Result<u16> {
        let mut bytes = [0; 2];
        self.config()?.read_exact_at(&mut bytes, at).with_context(|| self.config_error(at))?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// Writes 2 bytes of it, whoever its driver is.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write16(&self, at: u64, value: u16) -> anyhow::Result<()> {
        self.config()?.write_all_at(&value.to_le_bytes(), at).with_context(|| self.config_error(at))
    }

    fn config(&self) -> anyhow::Result<File> {
        let path = self.folder.join("config");
        File::options().read(true).write(true).open(&path).with_context(|| path.display().to_string())
    }

    fn config_error(&self, at: u64) -> String {
        format!("config space of {} at {at:#x}", self.address())
    }

    /// A BAR, for CPUs.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn bar(&self, index: u8) -> anyhow::Result<Bar> {
        let place = self.text("resource").lines().nth(index.into()).map(str::to_owned).unwrap_or_default();
        let numbers: Vec<u64> = place
            .split_whitespace()
            .filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
            .collect();
        let [start, last, _] = numbers[..] else { bail!("{} has no BAR {index}", self.address()) };
        let path = self.folder.join(format!("resource{index}"));
        let what = || format!("cannot map {}", path.display());
        let file = File::options().read(true).write(true).open(&path).with_context(what)?;
        let size = usize::try_from(last - start + 1).with_context(what)?;
        let file = FileOffset::new(file, 0);
        let region = MmapRegion::from_file(file, size).with_context(what)?;
        Ok(Bar { start, region })
    }
}

/// A BAR that is mapped.
pub struct Bar {
    /// Its address on the bus, and the guest's physical one.
    pub start: u64,
    region: MmapRegion,
}

impl Bar {
    /// 8 bytes, at a multiple of 8.
    ///
    /// # Errors
    /// It is not as large.
    pub fn read(&self, offset: usize) -> anyhow::Result<u64> {
        Ok(self.region.get_ref::<u64>(offset).context("outside of the BAR")?.load())
    }

    /// As [`Self::read`].
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, offset: usize, value: u64) -> anyhow::Result<()> {
        self.region.get_ref::<u64>(offset).context("outside of the BAR")?.store(value);
        Ok(())
    }
}
