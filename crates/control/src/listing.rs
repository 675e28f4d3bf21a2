//! What there is in a VM, as `list` says it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether the guest's vCPUs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestState {
    /// They do.
    Running,
    /// None does.
    Paused,
}

/// How a device is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It decodes: what may be mapped is.
    Live,
    /// It does not decode (memory decode off, D3hot, low power): nothing is mapped.
    Away,
    /// It is being reset.
    Resetting,
    /// Another event of it is being handled.
    Busy,
    /// The VMM has given it up.
    Removed,
}

/// One window of a BAR.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The BAR's index.
    pub bar: u8,
    /// Bytes into the BAR, hexadecimal.
    pub offset: String,
    /// Bytes, hexadecimal.
    pub size: String,
    /// Where the guest has it while anything reaches it, hexadecimal: its guest physical address, which is its IOVA too.
    /// `None` while nothing does, or an event is handled.
    pub address: Option<String>,
    /// Whether accesses of CPUs reach it by a memory slot, or by an exit each where it is registers.
    pub cpu: bool,
    /// Whether peers' DMA reaches it. `None` while an event is handled: it is not known from here.
    pub p2p: Option<bool>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    /// Its address on the host.
    pub device: String,
    /// What it is called.
    pub name: String,
    /// How it is.
    pub state: DeviceState,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// A VM.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listing {
    /// Whether its vCPUs run.
    pub guest: GuestState,
    /// Its devices, in the order in which they were named.
    pub devices: Vec<Device>,
}

impl fmt::Display for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
        })
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::Away => "away",
            Self::Resetting => "resetting",
            Self::Busy => "busy",
            Self::Removed => "removed",
        })
    }
}

/// For people: a line for the guest, one for each device, one for each window.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, devices } = self;
        write!(f, "guest {guest}")?;
        for Device { device, name, state, windows } in devices {
            write!(f, "\n{device}  {state:<9}  {name}")?;
            for Window { bar, offset, size, address, cpu, p2p } in windows {
                let cpu = if *cpu { "yes" } else { "no" };
                let p2p = match p2p {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "?",
                };
                write!(f, "\n    BAR {bar}, {size} bytes at {offset}: CPU {cpu}, P2P {p2p}")?;
                if let Some(address) = address {
                    write!(f, ", in the guest at {address}")?;
                }
            }
        }
        Ok(())
    }
}
