//! What firmware does before the guest: places BARs and turns decode and bus mastering on.

use crate::map;
use crate::pci_root::PciRoot;
use barkeep_export::{Errno, Function};
use barkeep_journal::DeviceAddress;
use barkeep_pci::bars::{self, AllocateError, Assignment, Request};
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;
use std::sync::Arc;

/// Why the devices could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// The BARs do not fit.
    #[error("cannot place the BARs of the passed-through devices")]
    NoRoom(#[from] AllocateError),
    /// A register cannot be written.
    #[error("cannot write the config space of {0}")]
    Write(DeviceAddress, #[source] Errno),
}

/// How a register of a function is written.
pub type Write<'a> = &'a dyn Fn(usize, &ConfigWrite) -> Result<(), Errno>;

/// Places the BARs of all functions and turns them on: the same functions are always placed the same.
///
/// # Errors
/// See [`FirmwareError`].
pub fn set_up(functions: &[Arc<dyn Function>], write: Write<'_>) -> Result<(), FirmwareError> {
    let mut requests = Vec::new();
    for (device, function) in functions.iter().enumerate() {
        let function_number = guest_function(device);
        requests.extend(
            function.layout().bars.iter().flatten().map(|&bar| Request { function: function_number, bar }),
        );
    }
    let assignments = bars::allocate(&requests, map::MMIO32, map::MMIO64)?;
    for (device, function) in functions.iter().enumerate() {
        let failed = |errno| FirmwareError::Write(function.address(), errno);
        // Off while the BARs move, so that nothing is decoded at half an address.
        write(device, &ConfigWrite::word(header::COMMAND, 0)).map_err(failed)?;
        for assignment in assignments.iter().filter(|a| a.function == guest_function(device)) {
            place(device, assignment, write).map_err(failed)?;
        }
        let on = header::COMMAND_MEMORY | header::COMMAND_MASTER;
        write(device, &ConfigWrite::word(header::COMMAND, on)).map_err(failed)?;
    }
    Ok(())
}

/// The function number a passed-through device has in the guest: device on bus 0.
fn guest_function(device: usize) -> u16 {
    u16::from(PciRoot::slot(device as u16)) << 3
}

fn place(device: usize, assignment: &Assignment, write: Write<'_>) -> Result<(), Errno> {
    let Some(address) = assignment.address else {
        return Ok(());
    };
    let (low, high) = bars::registers(&assignment.bar, address);
    let register = header::BAR0 + 4 * u16::from(assignment.bar.index);
    write(device, &ConfigWrite::dword(register, low))?;
    if let Some(high) = high {
        write(device, &ConfigWrite::dword(register + 4, high))?;
    }
    Ok(())
}
