//! What is remembered of a function while vfio-pci has it.

use crate::function::Function;
use crate::roots::{self, Roots};
use barkeep_journal::DeviceAddress;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// How a function was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Of this file.
    version: u32,
    /// The boot this is of: with the next one drivers are bound anew.
    boot: String,
    /// Who had it.
    pub driver: Option<String>,
    /// Its `driver_override`.
    pub driver_override: Option<String>,
}

/// Why what is remembered is of no use.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not of this form.
    #[error("{} is not what `barkeep bind` writes", .0.display())]
    Form(PathBuf, #[source] Box<toml::de::Error>),
    /// It is of another version.
    #[error("{} has version {found}, and this is for version {VERSION}", place.display())]
    Version {
        /// Where.
        place: PathBuf,
        /// Which.
        found: u32,
    },
    /// The machine has booted since.
    #[error("{} is of an earlier boot: nothing is bound by it any more; remove it", .0.display())]
    EarlierBoot(PathBuf),
}

/// Where the memory of a function is.
#[must_use]
pub fn place(folder: &Path, address: DeviceAddress) -> PathBuf {
    folder.join(address.to_string())
}

fn boot(roots: &Roots) -> String {
    roots::text(&roots.proc.join("sys/kernel/random/boot_id")).unwrap_or_default()
}

impl Memory {
    /// How the function is now.
    #[must_use]
    pub fn of(roots: &Roots, function: &Function) -> Self {
        Self {
            version: VERSION,
            boot: boot(roots),
            driver: function.driver(),
            driver_override: function.driver_override(),
        }
    }

    /// What was written; `None` if nothing was.
    ///
    /// # Errors
    /// See [`MemoryError`].
    pub fn read(roots: &Roots, place: &Path) -> Result<Option<Self>, MemoryError> {
        let text = match fs::read_to_string(place) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(MemoryError::Read(place.to_owned(), error)),
        };
        let form = |error| MemoryError::Form(place.to_owned(), Box::new(error));
        let memory: Self = toml::from_str(&text).map_err(form)?;
        if memory.version != VERSION {
            return Err(MemoryError::Version { place: place.to_owned(), found: memory.version });
        }
        if memory.boot != boot(roots) {
            return Err(MemoryError::EarlierBoot(place.to_owned()));
        }
        Ok(Some(memory))
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        // Four plain fields always have a form.
        toml::to_string(self).unwrap_or_default()
    }
}
