//! What a second holder of the device file does: past the keeper, which is not told.

use crate::language::Unseen;
use barkeep_export::{Errno, RawDevice};
use barkeep_pci::header;

/// Does it.
///
/// # Errors
/// The errno of the write or the reset; ENOTTY where the device lacks the capability, or where it
/// is none of the device's own.
pub(crate) fn happens(device: &dyn RawDevice, what: Unseen) -> Result<(), Errno> {
    let layout = device.layout();
    let pmcsr = || Ok(layout.pm.as_ref().ok_or(Errno::NOTTY)?.offset + header::PM_PMCSR);
    match what {
        Unseen::DecodeOff => change(device, header::COMMAND, header::COMMAND_MEMORY, 0),
        Unseen::DecodeOn => change(device, header::COMMAND, 0, header::COMMAND_MEMORY),
        Unseen::D3hot => change(device, pmcsr()?, 0, header::PM_PMCSR_STATE),
        Unseen::D0 => change(device, pmcsr()?, header::PM_PMCSR_STATE, 0),
        Unseen::Flr => {
            let control = layout.pcie.as_ref().ok_or(Errno::NOTTY)?.offset + header::PCIE_DEVCTL;
            change(device, control, 0, header::PCIE_DEVCTL_FLR)
        }
        Unseen::DeviceReset => device.reset(),
        Unseen::HotReset => device.hot_reset(),
        Unseen::Unmap => Err(Errno::NOTTY),
    }
}

fn change(device: &dyn RawDevice, register: u16, clear: u16, set: u16) -> Result<(), Errno> {
    let mut value = [0; 2];
    device.config_read(register, &mut value)?;
    let value = u16::from_le_bytes(value) & !clear | set;
    device.config_write(register, &value.to_le_bytes())
}
