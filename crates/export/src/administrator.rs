//! Somebody outside of the VM who administers the machine.

use crate::contract::Errno;
use barkeep_journal::DeviceAddress;

/// An uncorrectable error of the PCI Express specification (7.8.4.2, Uncorrectable Error Status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcieError {
    /// A request was never answered: not fatal, unless the function's severity register was changed.
    CompletionTimeout,
    /// The other end of the link says what it must not: fatal, unless that was changed.
    DataLinkProtocol,
}

impl PcieError {
    /// Its bit in Uncorrectable Error Status.
    pub fn bit(self) -> u32 {
        match self {
            Self::CompletionTimeout => 1 << 14,
            Self::DataLinkProtocol => 1 << 4,
        }
    }
}

/// What an administrator does to PCI functions through sysfs, past whoever uses them.
pub trait Administrator: Send + Sync {
    /// Resets the function (`reset`). vfio-pci is not told: nothing is revoked, and what the
    /// device held is gone all the same.
    ///
    /// # Errors
    /// ENOTTY where no method is left; the reset's own.
    fn reset(&self, device: DeviceAddress) -> Result<(), Errno>;

    /// Takes all reset methods out, or puts the default ones back (`reset_method`).
    ///
    /// # Errors
    /// The errno of the write.
    fn reset_methods(&self, device: DeviceAddress, present: bool) -> Result<(), Errno>;

    /// Takes the function out of the machine (`remove`). Where a kernel does it, it waits for the
    /// last reference to the function's device file.
    ///
    /// # Errors
    /// ENOENT if it is not there.
    fn remove(&self, device: DeviceAddress) -> Result<(), Errno>;

    /// Takes the function from its driver (`unbind`), which waits as [`Self::remove`] does. It stays in the
    /// machine, and nobody's.
    ///
    /// # Errors
    /// ENODEV if it has no driver; EOPNOTSUPP where nothing like that is simulated.
    fn unbind(&self, _device: DeviceAddress) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Whether the function has a driver.
    fn is_bound(&self, device: DeviceAddress) -> bool {
        self.is_there(device)
    }

    /// Has the driver of a physical function make so many virtual ones (`sriov_numvfs`). 0
    /// removes them, and waits as [`Self::remove`] does.
    ///
    /// # Errors
    /// EBUSY if there are some and more are wanted; EOPNOTSUPP, ENOENT where there is no SR-IOV.
    fn virtual_functions(&self, physical: DeviceAddress, count: u16) -> Result<(), Errno>;

    /// Tells the kernel of an error that the function has not had (`/dev/aer_inject`). It does what it would about
    /// a real one: it tells the driver, and resets everything below the function's port if the error is a fatal one.
    ///
    /// # Errors
    /// ENOENT from a kernel without `CONFIG_PCIEAER_INJECT`; EPROTONOSUPPORT if the function or its root port has
    /// no Advanced Error Reporting; ENODEV if it is not there or below no port; EOPNOTSUPP where nothing like that
    /// is simulated.
    fn inject_error(&self, _device: DeviceAddress, _error: PcieError) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Whether the function is in the machine.
    fn is_there(&self, device: DeviceAddress) -> bool;
}
