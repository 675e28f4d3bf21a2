//! The hardware a recording names, looked at once: what its registers mean, and that nothing of it
//! leads whoever carries operations out astray.

use barkeep_model::hardware::Device;
use barkeep_model::{Abilities, Hardware};
use barkeep_pci::layout::{BarKind, Layout, LayoutError};
use std::ops::Index;
use thiserror::Error;

/// Devices there can be: a set of them is a word of 32 bits.
pub const DEVICES: usize = 32;

/// Hardware that operations can be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    hardware: Hardware,
    layouts: Vec<Layout>,
    abilities: Abilities,
}

/// A set of devices, one bit for each.
pub(crate) type Devices = u32;

/// Hardware that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HardwareError {
    /// None, or more than [`DEVICES`].
    #[error("{0} devices; there can be 1 to {DEVICES}")]
    Count(usize),
    /// Its config space is none.
    #[error("device `{name}`: {why}")]
    Config {
        /// What it is called.
        name: String,
        /// What is wrong.
        why: LayoutError,
    },
    /// The BAR that is to be memory is none.
    #[error("device `{name}` has no memory BAR {bar}")]
    MemoryBar {
        /// What it is called.
        name: String,
        /// The BAR.
        bar: u8,
    },
    /// An offset to look at is outside of the BAR, or not one of a word.
    #[error("device `{name}` has no word at {offset:#x} of its memory")]
    Watched {
        /// What it is called.
        name: String,
        /// The offset.
        offset: u64,
    },
}

/// What a BAR is to operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// There is none.
    Absent,
    /// I/O ports.
    Io,
    /// The device's registers: only the device knows what an access does.
    Registers,
    /// Plain memory.
    Memory,
}

impl Machine {
    /// Looks at hardware, under a kernel that can do nothing beside what it is released with.
    ///
    /// # Errors
    /// No machine can be made of it.
    pub fn new(hardware: Hardware) -> Result<Self, HardwareError> {
        if !(1..=DEVICES).contains(&hardware.devices.len()) {
            return Err(HardwareError::Count(hardware.devices.len()));
        }
        let layouts = hardware.devices.iter().map(layout).collect::<Result<_, _>>()?;
        let machine = Self { hardware, layouts, abilities: Abilities::default() };
        machine.devices().try_for_each(|device| machine.check_memory(device))?;
        Ok(machine)
    }

    /// The same, under a kernel that can do this much.
    #[must_use]
    pub fn able(self, abilities: Abilities) -> Self {
        Self { abilities, ..self }
    }

    /// What the kernel can do beside what it is released with.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn check_memory(&self, device: u8) -> Result<(), HardwareError> {
        let it = &self[device];
        let name = || it.name.clone();
        let size = match it.memory_bar {
            None => 0,
            Some(bar) if self.bar(device, u32::from(bar)) == Bar::Memory => it.bar_sizes[usize::from(bar)],
            Some(bar) => return Err(HardwareError::MemoryBar { name: name(), bar }),
        };
        let word =
            |offset: u64| offset.is_multiple_of(4) && offset.checked_add(4).is_some_and(|end| end <= size);
        match it.watched.iter().find(|offset| !word(**offset)) {
            None => Ok(()),
            Some(&offset) => Err(HardwareError::Watched { name: name(), offset }),
        }
    }

    /// What it was made of.
    #[must_use]
    pub fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// The numbers of its devices.
    pub(crate) fn devices(&self) -> impl DoubleEndedIterator<Item = u8> + use<> {
        0..self.hardware.devices.len() as u8
    }

    /// Those of a set.
    pub(crate) fn of(&self, devices: Devices) -> impl Iterator<Item = u8> + use<> {
        self.devices().filter(move |device| devices & bit(*device) != 0)
    }

    /// Where the registers of one lie.
    pub(crate) fn layout(&self, device: u8) -> &Layout {
        &self.layouts[usize::from(device)]
    }

    /// Bytes of a BAR or region, 0 for none.
    pub(crate) fn size(&self, device: u8, region: u32) -> u64 {
        let sizes = &self[device].bar_sizes;
        usize::try_from(region).ok().and_then(|region| sizes.get(region)).copied().unwrap_or(0)
    }

    /// What a BAR is.
    pub(crate) fn bar(&self, device: u8, region: u32) -> Bar {
        let kind =
            usize::try_from(region).ok().and_then(|region| self.layout(device).bars.get(region)?.as_ref());
        match kind.map(|bar| bar.kind) {
            None => Bar::Absent,
            Some(BarKind::Io) => Bar::Io,
            Some(BarKind::Memory32 | BarKind::Memory64) => {
                if self[device].memory_bar.map(u32::from) == Some(region) {
                    Bar::Memory
                } else {
                    Bar::Registers
                }
            }
        }
    }

    /// What a device is called; devices that are not there are, too.
    pub(crate) fn name(&self, device: u8) -> &str {
        self.hardware.devices.get(usize::from(device)).map_or("a device that is not there", |it| &it.name)
    }
}

impl Index<u8> for Machine {
    type Output = Device;

    fn index(&self, device: u8) -> &Device {
        &self.hardware.devices[usize::from(device)]
    }
}

/// The set of one device.
pub(crate) fn bit(device: u8) -> Devices {
    1_u32.checked_shl(u32::from(device)).unwrap_or(0)
}

fn layout(device: &Device) -> Result<Layout, HardwareError> {
    device.layout().map_err(|why| HardwareError::Config { name: device.name.clone(), why })
}
