//! The DMA engine: QEMU's edu, asked through its device file.
//!
//! It knows one buffer of its own, not to be seen from outside, and moves data between that and
//! its bus 100 ms after it was told to. A read that the IOMMU refuses leaves zeroes there (QEMU's
//! answer to a read of nothing), and `Ok` in its registers.

use crate::device_file::DeviceFile;
use crate::errors;
use barkeep_model::Errno;
use barkeep_model::op::RAM_IOVA;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::Duration;

const BAR: u8 = 0;
/// Where the engine knows its own buffer.
pub(crate) const BUFFER: u64 = 0x4_0000;

pub(crate) const SOURCE: u64 = 0x80;
pub(crate) const DESTINATION: u64 = 0x88;
pub(crate) const COUNT: u64 = 0x90;
pub(crate) const COMMAND: u64 = 0x98;
pub(crate) const START: u32 = 1;
/// From the engine's buffer to the bus, not the other way.
pub(crate) const TO_BUS: u32 = 2;

/// A little more than the 100 ms that a DMA takes.
pub(crate) const TAKES: Duration = Duration::from_millis(102);
/// How often a late one is looked at; an engine in virtual time is never late.
const LOOKS: u32 = 500;

/// Copies 4 bytes from the RAM page to `iova`.
///
/// In two DMAs, since the engine has no other way. Neither is told apart by what became of it:
/// both go through the same bus master bit and the same address space, and nothing but this
/// operation runs between them, so where the first cannot read RAM the second cannot write
/// either. Nothing but `value` ever gets anywhere.
pub(crate) fn copy(engine: &DeviceFile, ram: &File, iova: u64, value: u32) -> Result<u64, Errno> {
    start(engine, ram, iova, value)?;
    finish(engine)?;
    Ok(0)
}

/// The same up to the command of the second DMA, which is then in flight until [`finish`].
pub(crate) fn start(engine: &DeviceFile, ram: &File, iova: u64, value: u32) -> Result<(), Errno> {
    ram.write_all_at(&value.to_le_bytes(), 0).map_err(|e| errors::of_io(&e))?;
    transfer(engine, RAM_IOVA, BUFFER, START)?;
    finish(engine)?;
    transfer(engine, BUFFER, iova, START | TO_BUS)
}

fn transfer(engine: &DeviceFile, source: u64, destination: u64, command: u32) -> Result<(), Errno> {
    for (register, value) in [(SOURCE, source), (DESTINATION, destination), (COUNT, 4)] {
        write(engine, register, value)?;
    }
    write(engine, COMMAND, command.into())
}

/// Waits until the engine has carried out what it was told last.
pub(crate) fn finish(engine: &DeviceFile) -> Result<(), Errno> {
    sleep(TAKES);
    for _ in 0..LOOKS {
        if engine.region_read(BAR, COMMAND)? & START == 0 {
            return Ok(());
        }
        // Never at once: whoever spins on it sees a different number of looks each time.
        sleep(TAKES / 10);
    }
    Err(Errno::EBUSY)
}

/// The registers are of 64 bits, and take all of them at once or only the lower half.
fn write(engine: &DeviceFile, register: u64, value: u64) -> Result<(), Errno> {
    engine.region_write_wide(BAR, register, value)
}
