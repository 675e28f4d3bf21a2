//! A function to vfio-pci, and exactly back.
//!
//! Both ways are a list of [`Step`]s, made before anything is written: it can be printed instead
//! of carried out. A step that fails has all before it undone, by the other way's steps.

mod blocks;
mod carry_out;
pub mod holds;
mod links;
pub mod memory;
mod openers;
pub mod steps;

use crate::function::{Function, VFIO};
use crate::roots::Roots;
use barkeep_journal::DeviceAddress;
use holds::Use;
use memory::{Memory, MemoryError};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use carry_out::{Hand, Sysfs, carry_out};
pub use steps::{Step, Way};

/// What to do, or that there is nothing to do.
#[derive(Debug)]
pub enum Plan {
    /// These steps.
    Steps(Box<Way>),
    /// It is so already; in words.
    Nothing(String),
}

/// Why a function is not given to another driver.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No such function.
    #[error("there is no PCI device {0}; `ls /sys/bus/pci/devices` lists those there are")]
    NotThere(DeviceAddress),
    /// vfio-pci takes endpoints only.
    #[error("{0} is a bridge, and vfio-pci takes endpoints only; name a device behind it")]
    Bridge(DeviceAddress),
    /// The driver is not there.
    #[error("there is no driver {driver}; load it with `modprobe {module}`")]
    NoDriver {
        /// As the PCI bus has it.
        driver: String,
        /// As modprobe has it.
        module: String,
    },
    /// The machine would lose something.
    #[error("{address} {}; --force does it all the same", all(uses))]
    Used {
        /// The function.
        address: DeviceAddress,
        /// What.
        uses: Vec<Use>,
    },
    /// Nobody has remembered where it came from.
    #[error(
        "nothing is remembered of {address} ({} is not there): it was not bound by `barkeep bind`, or the machine \
         has booted since",
        place.display()
    )]
    Unremembered {
        /// The function.
        address: DeviceAddress,
        /// Where it would be.
        place: PathBuf,
    },
    /// What is remembered is of something else.
    #[error("{address} is bound to {}, not to vfio-pci: somebody else has moved it; remove {}", driver.as_deref().unwrap_or("no driver"), place.display())]
    Moved {
        /// The function.
        address: DeviceAddress,
        /// Who has it.
        driver: Option<String>,
        /// What is not true any more.
        place: PathBuf,
    },
    /// Its file is open: taking it from vfio-pci would wait for that, uninterruptibly.
    #[error("{address} is in use by {}; end that first, or --force to wait for it", by.join(", "))]
    Open {
        /// The function.
        address: DeviceAddress,
        /// Processes.
        by: Vec<String>,
    },
    /// What is remembered cannot be read or written.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A step failed, and what was done before is undone.
    #[error("cannot {step}; {} is as it was before{}", address, hint(source))]
    Undone {
        /// The function.
        address: DeviceAddress,
        /// Which step.
        step: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A step failed, and what was done before cannot be undone either.
    #[error("cannot {step} ({source}), and {address} cannot be put back either{}", hint(source))]
    Stuck {
        /// The function.
        address: DeviceAddress,
        /// Which step.
        step: String,
        /// What the kernel said to that.
        source: io::Error,
        /// What it said to the first step back that failed.
        #[source]
        back: io::Error,
    },
}

impl BindError {
    /// Whether what was typed or named is wrong, and nothing was written.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotThere(_)
            | Self::Bridge(_)
            | Self::NoDriver { .. }
            | Self::Used { .. }
            | Self::Unremembered { .. }
            | Self::Moved { .. }
            | Self::Open { .. }
            | Self::Memory(_) => true,
            Self::Undone { .. } | Self::Stuck { .. } => false,
        }
    }
}

fn all(uses: &[Use]) -> String {
    uses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and ")
}

fn hint(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied { "; only root may do it" } else { "" }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// Which function.
    pub address: DeviceAddress,
    /// Also if the machine loses something by it.
    pub force: bool,
    /// Where is remembered how things were.
    pub state: &'a Path,
}

/// Where is remembered how things were, unless somebody says otherwise: gone with the boot, as are the
/// bindings.
#[must_use]
pub fn state_folder(roots: &Roots) -> PathBuf {
    roots.run.join("barkeep/bound")
}

/// How to give a function to vfio-pci.
///
/// # Errors
/// See [`BindError`]; nothing has been written.
pub fn to_vfio(roots: &Roots, wish: &Wish<'_>) -> Result<Plan, BindError> {
    let address = wish.address;
    let function = Function::find(roots, address).ok_or(BindError::NotThere(address))?;
    if function.is_bridge() {
        return Err(BindError::Bridge(address));
    }
    if let Some(driver) = function.driver().filter(|_| function.is_passed_through()) {
        return Ok(Plan::Nothing(format!("{address} is bound to {driver} already")));
    }
    there(roots, VFIO)?;
    let uses = holds::uses(roots, &function);
    if !wish.force && !uses.is_empty() {
        return Err(BindError::Used { address, uses });
    }
    // Whatever is remembered of it is of another time: vfio-pci does not have it.
    let memory = Memory::of(roots, &function);
    Ok(Plan::Steps(Box::new(steps::to_vfio(roots, &function, memory, wish.state))))
}

/// How to put a function back to where [`to_vfio`] has found it.
///
/// # Errors
/// See [`BindError`]; nothing has been written.
pub fn back(roots: &Roots, wish: &Wish<'_>) -> Result<Plan, BindError> {
    let address = wish.address;
    let function = Function::find(roots, address).ok_or(BindError::NotThere(address))?;
    let place = memory::place(wish.state, address);
    let memory =
        Memory::read(roots, &place)?.ok_or(BindError::Unremembered { address, place: place.clone() })?;
    if !function.is_passed_through() {
        return Err(BindError::Moved { address, driver: function.driver(), place });
    }
    if let Some(driver) = &memory.driver {
        there(roots, driver)?;
    }
    let by = openers::of(roots, &function);
    if !wish.force && !by.is_empty() {
        return Err(BindError::Open { address, by });
    }
    Ok(Plan::Steps(Box::new(steps::back(roots, &function, memory, wish.state))))
}

fn there(roots: &Roots, driver: &str) -> Result<(), BindError> {
    match roots.pci_driver(driver).exists() {
        true => Ok(()),
        false => Err(BindError::NoDriver { driver: driver.to_owned(), module: driver.to_owned() }),
    }
}

impl fmt::Display for Way {
    /// As a shell would do it, with the reasons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "# {}\n{step}", step.why()))
    }
}

#[cfg(test)]
#[path = "bind_test.rs"]
mod tests;
