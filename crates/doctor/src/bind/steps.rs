//! The two ways, step by step, and why in this order.

use super::memory::{self, Memory};
use crate::function::{Function, VFIO};
use crate::roots::Roots;
use barkeep_journal::DeviceAddress;
use std::fmt;
use std::path::{Path, PathBuf};

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Write a file of one's own, whole or not at all.
    Remember {
        /// Where.
        place: PathBuf,
        /// What.
        text: String,
    },
    /// Write to a file of the kernel's.
    Write {
        /// Where.
        place: PathBuf,
        /// What; a newline alone for "nobody".
        text: String,
        /// What it does.
        what: String,
        /// Why it is done, and done then.
        why: &'static str,
    },
    /// Look whether the function has come to whom it was to come.
    Look {
        /// Which one.
        function: Function,
        /// Who is to have it.
        driver: Option<String>,
    },
    /// Remove a file of one's own.
    Forget {
        /// Where.
        place: PathBuf,
    },
}

impl Step {
    /// Why, and why then.
    #[must_use]
    pub fn why(&self) -> &'static str {
        match self {
            Self::Remember { .. } => "first, so that it can be put back whatever ends this",
            Self::Write { why, .. } => why,
            Self::Look { .. } => "the kernel says yes to a write and may have done something else",
            Self::Forget { .. } => "last, so that what has failed before can be tried again",
        }
    }

    /// What it does, after "cannot".
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Remember { place, .. } => format!("remember how it was in {}", place.display()),
            Self::Write { what, .. } => what.clone(),
            Self::Look { driver, .. } => format!("have {} take it", driver.as_deref().unwrap_or("nobody")),
            Self::Forget { place } => format!("remove {}", place.display()),
        }
    }
}

impl fmt::Display for Step {
    /// As a shell would do it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remember { place, text } => {
                let folder = place.parent().unwrap_or(Path::new("."));
                write!(f, "mkdir -p {}\ncat >{} <<'end'\n{text}end", folder.display(), place.display())
            }
            Self::Write { place, text, .. } => write!(f, "echo {} >{}", text.trim_end(), place.display()),
            Self::Look { function, driver } => {
                let link = function.folder.join("driver");
                match driver {
                    Some(driver) => {
                        write!(f, "test \"$(basename \"$(readlink {})\")\" = {driver}", link.display())
                    }
                    None => write!(f, "test ! -e {}", link.display()),
                }
            }
            Self::Forget { place } => write!(f, "rm {}", place.display()),
        }
    }
}

/// A way from one driver to another.
#[derive(Clone, Debug)]
pub struct Way {
    /// Which function.
    pub address: DeviceAddress,
    /// In this order.
    pub steps: Vec<Step>,
    /// What undoes them, from wherever it stopped.
    pub undo: Undo,
}

/// How a way is undone: which driver has the function then, and what else is to be true.
#[derive(Clone, Debug)]
pub struct Undo {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The drivers' folder.
    pub(super) drivers: PathBuf,
    /// Who is to have it.
    pub(super) driver: Option<String>,
    /// Its `driver_override`, in the end.
    pub(super) driver_override: Option<String>,
    /// What is to be removed.
    pub(super) forget: Option<PathBuf>,
}

/// From the driver that has it to vfio-pci.
pub(super) fn to_vfio(roots: &Roots, function: &Function, memory: Memory, state: &Path) -> Way {
    let at = Writes::of(roots, function);
    let place = memory::place(state, function.address);
    let mut steps = vec![
        Step::Remember { place: place.clone(), text: memory.text() },
        at.order(
            Some(VFIO),
            "before it is taken from its driver: whatever has the kernel look for one in between finds vfio-pci",
        ),
    ];
    if let Some(driver) = &memory.driver {
        steps.push(at.take(driver, "a function has one driver"));
    }
    steps.push(
        at.give(VFIO, "by its own file, not by drivers_probe, which does not tell why a driver refuses"),
    );
    steps.push(at.look(Some(VFIO)));
    let undo = at.undo(memory.driver, memory.driver_override, Some(place));
    Way { address: function.address, steps, undo }
}

/// From vfio-pci to where it was.
pub(super) fn back(roots: &Roots, function: &Function, memory: Memory, state: &Path) -> Way {
    let at = Writes::of(roots, function);
    let now = Memory::of(roots, function);
    let Memory { driver, driver_override, .. } = memory;
    let mut steps = vec![at.order(
        driver.as_deref().or(driver_override.as_deref()),
        "before it is taken from vfio-pci: nobody but who had it gets it in between",
    )];
    if let Some(vfio) = &now.driver {
        steps.push(at.take(vfio, "a function has one driver; this waits until its file is closed"));
    }
    if let Some(driver) = &driver {
        steps.push(
            at.give(
                driver,
                "by its own file, not by drivers_probe, which does not tell why a driver refuses",
            ),
        );
        if driver_override.as_ref() != Some(driver) {
            steps.push(at.order(
                driver_override.as_deref(),
                "after it was given back: what it was before may name another driver, or none",
            ));
        }
    }
    steps.push(at.look(driver.as_deref()));
    steps.push(Step::Forget { place: memory::place(state, function.address) });
    let undo = at.undo(now.driver, now.driver_override, None);
    Way { address: function.address, steps, undo }
}

/// The files a function is moved by.
struct Writes {
    address: DeviceAddress,
    folder: PathBuf,
    drivers: PathBuf,
}

impl Writes {
    fn of(roots: &Roots, function: &Function) -> Self {
        let drivers = roots.sys.join("bus/pci/drivers");
        Self { address: function.address, folder: function.folder.clone(), drivers }
    }

    /// `driver_override`. The kernel takes a newline for nobody; a write of no bytes never gets there.
    fn order(&self, driver: Option<&str>, why: &'static str) -> Step {
        order(&self.folder, driver, why)
    }

    fn take(&self, driver: &str, why: &'static str) -> Step {
        take(&self.drivers, driver, self.address, why)
    }

    fn give(&self, driver: &str, why: &'static str) -> Step {
        give(&self.drivers, driver, self.address, why)
    }

    fn look(&self, driver: Option<&str>) -> Step {
        let function = Function { address: self.address, folder: self.folder.clone() };
        Step::Look { function, driver: driver.map(str::to_owned) }
    }

    fn undo(self, driver: Option<String>, driver_override: Option<String>, forget: Option<PathBuf>) -> Undo {
        Undo { folder: self.folder, drivers: self.drivers, driver, driver_override, forget }
    }
}

pub(super) fn order(folder: &Path, driver: Option<&str>, why: &'static str) -> Step {
    let what = match driver {
        Some(driver) => format!("reserve it for {driver}"),
        None => "reserve it for nobody".to_owned(),
    };
    let text = format!("{}\n", driver.unwrap_or_default());
    Step::Write { place: folder.join("driver_override"), text, what, why }
}

pub(super) fn take(drivers: &Path, driver: &str, address: DeviceAddress, why: &'static str) -> Step {
    let what = format!("take it from {driver}");
    // No newline: the kernel compares up to one where it is the last byte, and older ones not at all.
    Step::Write { place: drivers.join(driver).join("unbind"), text: address.to_string(), what, why }
}

pub(super) fn give(drivers: &Path, driver: &str, address: DeviceAddress, why: &'static str) -> Step {
    let what = format!("give it to {driver}");
    Step::Write { place: drivers.join(driver).join("bind"), text: address.to_string(), what, why }
}
