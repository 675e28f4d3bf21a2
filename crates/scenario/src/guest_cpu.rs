//! What the runner has a guest CPU do: single accesses and walks, one command each.

use crate::runner::RunError;
use crate::world::World;
use barkeep_probe::{Command, Reply, Width};
use std::time::Duration;

/// A vCPU of the guest.
#[derive(Clone, Copy)]
pub(crate) struct GuestCpu<'a> {
    pub world: &'a dyn World,
    pub vcpu: usize,
}

impl GuestCpu<'_> {
    pub fn call(&self, command: Command) -> Result<Reply, RunError> {
        self.world.send(self.vcpu, command)?;
        Ok(self.world.receive(self.vcpu)?)
    }

    pub fn read(&self, address: u64, width: Width) -> Result<u64, RunError> {
        match self.call(Command::Read { address, width })? {
            Reply::Value(value) => Ok(value),
            other => Err(RunError::Confused(other)),
        }
    }

    pub fn read32(&self, address: u64) -> Result<u32, RunError> {
        Ok(self.read(address, Width::Four)? as u32)
    }

    pub fn write(&self, address: u64, width: Width, value: u64) -> Result<(), RunError> {
        self.call(Command::Write { address, width, value }).map(drop)
    }

    pub fn write32(&self, address: u64, value: u32) -> Result<(), RunError> {
        self.write(address, Width::Four, value.into())
    }

    /// In two halves, the lower one first: what every device takes.
    pub fn write64(&self, address: u64, value: u64) -> Result<(), RunError> {
        self.write32(address, value as u32)?;
        self.write32(address + 4, (value >> 32) as u32)
    }

    /// Writes the same word all over; address and length are multiples of 4.
    pub fn fill(&self, address: u64, length: u64, pattern: u32) -> Result<(), RunError> {
        self.call(Command::Fill { address, length, pattern, step: 0 }).map(drop)
    }

    /// Copies word by word; all of it multiples of 4.
    pub fn copy(&self, from: u64, to: u64, length: u64) -> Result<(), RunError> {
        self.call(Command::Copy { from, to, length }).map(drop)
    }

    pub fn sleep(&self, time: Duration) -> Result<(), RunError> {
        self.call(Command::Sleep { ns: nanoseconds(time) }).map(drop)
    }
}

/// As the probe takes times: more than 584 years are as good as those.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
