//! The words of a scenario that are neither an action nor a number.

use super::is_default;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A place in a BAR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The device's name.
    pub device: String,
    /// BAR index.
    pub bar: u8,
    /// Bytes from its start.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offset: u64,
    /// Where that BAR was before its last move.
    #[serde(default, rename = "moved-from", skip_serializing_if = "is_default")]
    pub moved_from: bool,
}

impl Place {
    /// The start of a BAR, wherever that is.
    pub fn bar(device: &str, bar: u8) -> Self {
        Self { device: device.to_owned(), bar, offset: 0, moved_from: false }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.moved_from { " where it was" } else { "" };
        write!(f, "{}:{}+{:#x}{before}", self.device, self.bar, self.offset)
    }
}

/// How the I/O address spaces of the VM's devices are arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spaces {
    /// One for all.
    #[default]
    Shared,
    /// One for each, with every window mapped into all of them.
    Each,
}

/// What a guest CPU is to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// The pattern.
    #[default]
    Holds,
    /// All ones: nobody answers.
    Ones,
    /// Something, but not the pattern.
    Differs,
    /// Whatever is there: it is only seen what.
    Any,
}

/// What a watching vCPU is to have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// An outage, and inside it all ones.
    #[default]
    Ones,
    /// No outage.
    Nothing,
    /// The one or the other: it is only seen which.
    Any,
}

/// What is to become of a DMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The data arrives and no fault is recorded.
    Lands,
    /// The data does not arrive and the IOMMU records the fault.
    Faults,
    /// The data does not arrive; a fault may be recorded or not.
    Lost,
    /// It arrives or does not, by a moment nobody chose: it is only seen which.
    Either,
}

/// A register of config space that decides about mappings, or resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Register {
    /// COMMAND.
    Command,
    /// Device Control of the PCIe capability.
    DeviceControl,
    /// Control of the AF capability: one byte.
    AfControl,
    /// PMCSR.
    Pmcsr,
}

/// How bad an error is that a function has not had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// One transaction failed.
    Nonfatal,
    /// The link is no longer to be trusted.
    Fatal,
}

impl Severity {
    /// As the specification spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nonfatal => "non-fatal",
            Self::Fatal => "fatal",
        }
    }
}

/// What somebody else does with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// Turns memory decode off.
    DecodeOff,
    /// Turns memory decode on.
    DecodeOn,
    /// Puts it into D3hot.
    D3hot,
    /// Puts it into D0.
    D0,
    /// Writes a bare FLR.
    Flr,
    /// Resets it.
    DeviceReset,
    /// Resets its bus.
    HotReset,
    /// Unmaps one of its windows from the I/O address space.
    Unmap,
}

/// When the VMM gives a device up that the kernel asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// As soon as it is asked.
    #[default]
    AtOnce,
    /// When the scenario says so.
    Later,
}

/// By what somebody else holds a device file open, or a dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// A duplicate of the descriptor.
    Duplicate,
    /// A mapping of a BAR.
    Mapping,
    /// A descriptor on its way through a socket.
    Passed,
    /// KVM's VFIO device of another VM.
    Kvm,
    /// A descriptor that a child process was given.
    Inherited,
    /// The file opened once more by its descriptor's path.
    Reopened,
}

/// What a second process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Second {
    /// It starts, and is given the dma-buf of a window.
    Start,
    /// It maps the window.
    Import,
    /// It unmaps it.
    Unmap,
    /// It closes its descriptor of the dma-buf.
    Drop,
    /// Its engine writes to the window, and what became of it is looked at.
    Dma,
    /// The same, only commanded.
    DmaStart,
    /// What became of it.
    DmaFinish,
    /// It exits, and closes nothing before.
    End,
    /// It is ended by SIGKILL.
    Kill,
}

/// What an importing device's driver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importing {
    /// To attach to the dma-buf of a window.
    Attach,
    /// To map it.
    Map,
    /// To use it as a memory region is used: to map it where it is not mapped.
    Use,
    /// To unmap it.
    Unmap,
    /// To pin it.
    Pin,
    /// To unpin it.
    Unpin,
    /// Its device writes to the window by the address that was had last, and what became of it is looked at.
    Dma,
    /// The same, only commanded.
    DmaStart,
    /// What became of it.
    DmaFinish,
    /// To detach, mapped or not.
    Detach,
}

/// What a sleep is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Nothing but itself.
    #[default]
    Itself,
    /// Until the log that fault records are read from takes some again; needless where it takes
    /// every one.
    FaultLog,
}
