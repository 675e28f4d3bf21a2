//! What a second holder of the device file does: past the keeper, which is not told.

use crate::language::Unseen;
use barkeep_export::{Errno, RawDevice};
use barkeep_pci::header;

/// Does it.
///
/// # Errors
/// The errno of the write or the reset.
pub(crate) fn happens(device: &dyn RawDevice, what: Unseen) -> Result<(), Errno> {
    let mut command = [0; 2];
    device.config_read(header::COMMAND, &mut command)?;
    let command = u16::from_le_bytes(command);
    match what {
        Unseen::DecodeOff => {
            device.config_write(header::COMMAND, &(command & !header::COMMAND_MEMORY).to_le_bytes())
        }
        Unseen::DecodeOn => {
            device.config_write(header::COMMAND, &(command | header::COMMAND_MEMORY).to_le_bytes())
        }
        Unseen::DeviceReset => device.reset(),
    }
}
