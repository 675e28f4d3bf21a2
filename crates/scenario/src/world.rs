//! What a scenario needs of a lane.

use crate::language::Unseen;
use barkeep_export::Errno;
use barkeep_journal::{DeviceAddress, Journal};
use barkeep_pci::layout::Layout;
use barkeep_probe::{Command, Reply};
use std::time::Duration;

/// A device of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRef {
    /// The driver's number.
    pub index: u16,
    /// Where it is.
    pub address: DeviceAddress,
}

/// A register a scenario writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// COMMAND.
    Command,
    /// Device Control of the PCIe capability.
    DeviceControl,
    /// Control of the AF capability.
    AfControl,
    /// PMCSR.
    Pmcsr,
}

/// A fault the IOMMU recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IommuFault {
    /// The kernel's time of it.
    pub time_ns: u64,
    /// Whose DMA it was.
    pub requester: DeviceAddress,
    /// IOVA.
    pub iova: u64,
    /// The record.
    pub text: String,
}

/// Why a lane could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The guest gave no answer in time: a hang.
    #[error("{0}")]
    Hang(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A running VM whose guest is the probe.
pub trait World: Sync {
    /// The journal of the run.
    fn journal(&self) -> &Journal;

    /// A device by its name.
    fn device(&self, name: &str) -> Option<DeviceRef>;

    /// The names of all devices.
    fn device_names(&self) -> Vec<String>;

    /// What a device is.
    fn layout(&self, device: u16) -> &Layout;

    /// Guest physical address (and IOVA) of a place in a BAR, wherever its registers put it.
    fn bar_address(&self, device: u16, bar: u8, offset: u64) -> Option<u64>;

    /// Guest physical address of a config register.
    fn register_address(&self, device: u16, register: u16) -> u64;

    /// Guest physical addresses of the outage word of the window at a place.
    fn outage_word(&self, device: u16, bar: u8, offset: u64) -> Option<u64>;

    /// Whether CPU access to the window at a place is away at this moment.
    fn is_out(&self, device: u16, bar: u8, offset: u64) -> bool;

    /// Guest physical address of a word that tells a vCPU to stop what it is at.
    fn stop_word(&self, vcpu: usize) -> u64;

    /// Sets that word.
    fn set_stop_word(&self, vcpu: usize, value: u64);

    /// Guest physical address of RAM for DMA, at least 4 KiB.
    fn dma_buffer(&self) -> u64;

    /// Sends the probe on a vCPU a command.
    ///
    /// # Errors
    /// See [`WorldError`].
    fn send(&self, vcpu: usize, command: Command) -> Result<(), WorldError>;

    /// Waits for its reply.
    ///
    /// # Errors
    /// See [`WorldError`].
    fn receive(&self, vcpu: usize) -> Result<Reply, WorldError>;

    /// `VFIO_DEVICE_RESET`, through the driver.
    ///
    /// # Errors
    /// The reset's errno.
    fn device_reset(&self, device: u16) -> Result<(), Errno>;

    /// Gives up the device file, through the driver.
    fn close(&self, device: u16);

    /// What a second holder of the device file would do, past the driver.
    ///
    /// # Errors
    /// The errno of the write or the reset.
    fn unseen(&self, device: u16, what: Unseen) -> Result<(), Errno>;

    /// Tells the driver that something may have happened unseen.
    fn suspect(&self, device: u16);

    /// Tries to map a window at an IOVA nobody uses, and unmaps it.
    ///
    /// # Errors
    /// What the kernel says to an importer.
    fn attach(&self, device: u16, bar: u8, offset: u64) -> Result<(), Errno>;

    /// The IOMMU's fault records since the last call; `None` where they cannot be read.
    fn faults(&self) -> Option<Vec<IommuFault>>;

    /// CPU time this process has used.
    fn cpu_time(&self) -> Duration;

    /// Waits, outside of the guest.
    fn pause(&self, time: Duration);
}
