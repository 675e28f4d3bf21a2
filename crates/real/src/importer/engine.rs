//! An importing device at work: QEMU's edu, told through its BAR to write to addresses that the importer
//! was given. So what is mapped is seen to be mapped, and what is not, not.

use super::{Attachment, Direction, Form, Manner, Session};
use crate::engine::{BUFFER, COMMAND, COUNT, DESTINATION, SOURCE, START, TAKES, TO_BUS};
use crate::parts::{BarMapping, RamBuffer};
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
use std::thread::sleep;

/// What it says it is, and how much of it there is (QEMU, docs/specs/edu.rst).
const IDENTITY: u64 = 0;
const IDENTITY_MASK: u32 = 0xff;
const IDENTITY_OF_EDU: u32 = 0xed;
const BAR_SIZE: u64 = 1 << 20;

const PAGE: u64 = 0x1000;

/// An edu, and the RAM that its data comes from.
pub struct Engine {
    registers: BarMapping,
    ram: RamBuffer,
    /// Of the RAM; its mapping goes with it.
    _attachment: Attachment,
    ram_at: u64,
}

impl Engine {
    /// The importing device of this session; `None` if it is no edu.
    ///
    /// # Errors
    /// Its BAR cannot be mapped, or RAM not be had: ENOENT without `/dev/udmabuf`.
    pub fn of(device: DeviceAddress, session: &Session) -> Result<Option<Self>, Errno> {
        let registers = BarMapping::of_function(device, 0, BAR_SIZE)?;
        if registers.read(IDENTITY)? & IDENTITY_MASK != IDENTITY_OF_EDU {
            return Ok(None);
        }
        let ram = RamBuffer::new(PAGE)?;
        let manner = Manner { direction: Direction::ToDevice, ..Manner::default() };
        let attachment = session.attach(&ram.buffer, manner)?;
        attachment.map(Form::Table)?;
        let ram_at = attachment.segments(false)?.first().map_or(0, |segment| segment.address);
        Ok(Some(Self { registers, ram, _attachment: attachment, ram_at }))
    }

    /// Has it write 4 bytes there, and does not wait until it has: only until it has the data to write, 100 ms.
    ///
    /// # Errors
    /// EBUSY if it still writes; EFAULT where its BAR does not answer.
    pub fn start(&self, address: u64, value: u32) -> Result<(), Errno> {
        if self.works()? {
            return Err(Errno::EBUSY);
        }
        self.ram.write(0, value)?;
        self.transfer(self.ram_at, BUFFER, START)?;
        self.finish()?;
        self.transfer(BUFFER, address, START | TO_BUS)
    }

    /// The same, and waits until it has.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn write(&self, address: u64, value: u32) -> Result<(), Errno> {
        self.start(address, value)?;
        self.finish()
    }

    /// Waits until it has, or has found that it cannot.
    ///
    /// # Errors
    /// EFAULT where its BAR does not answer.
    pub fn finish(&self) -> Result<(), Errno> {
        if !self.works()? {
            return Ok(());
        }
        sleep(TAKES);
        while self.works()? {
            // Never at once: whoever spins on it sees a different number of looks each time.
            sleep(TAKES / 10);
        }
        Ok(())
    }

    fn works(&self) -> Result<bool, Errno> {
        self.registers.read(COMMAND).map(|command| command & START != 0)
    }

    fn transfer(&self, source: u64, destination: u64, command: u32) -> Result<(), Errno> {
        for (register, value) in [(SOURCE, source), (DESTINATION, destination), (COUNT, 4)] {
            self.registers.write_wide(register, value)?;
        }
        self.registers.write_wide(COMMAND, command.into())
    }
}
