//! QEMU's edu: a pattern goes from guest RAM into its buffer, and from there to a BAR.

use super::{Data, Doorbell, Ending, Order};
use crate::guest_cpu::GuestCpu;
use crate::runner::RunError;
use barkeep_platform::map::SCRATCH;
use barkeep_probe::command::EDU_BUFFER;
use barkeep_probe::{Command, DmaDirection, Width};

/// edu needs 100 ms for each DMA; this is time enough for ten.
const PATIENCE_NS: u64 = 1_000_000_000;

// Registers of its DMA engine (QEMU, docs/specs/edu).
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const COMMAND: u64 = 0x98;
const COMMAND_START: u32 = 1 << 0;
const COMMAND_TO_MEMORY: u32 = 1 << 1;

/// Nothing has to be remembered of it.
pub(crate) struct Edu;

impl Edu {
    pub fn load(
        &self,
        cpu: GuestCpu<'_>,
        edu_bar: u64,
        order: Order,
        pattern: u32,
    ) -> Result<Data, RunError> {
        let buffer = SCRATCH.start;
        cpu.fill(buffer, order.size, pattern)?;
        cpu.call(Command::EduStart {
            edu_bar,
            source: buffer,
            destination: EDU_BUFFER,
            length: order.size,
            direction: DmaDirection::FromMemory,
        })?;
        cpu.call(Command::EduWait { edu_bar, max_ns: PATIENCE_NS })?;
        Ok(Data::Pattern(pattern))
    }

    pub fn prepare(&self, cpu: GuestCpu<'_>, edu_bar: u64, order: Order) -> Result<Doorbell, RunError> {
        for (register, value) in [(SOURCE, EDU_BUFFER), (DESTINATION, order.to), (COUNT, order.size)] {
            cpu.write(edu_bar + register, Width::Eight, value)?;
        }
        Ok(Doorbell { address: edu_bar + COMMAND, value: COMMAND_START | COMMAND_TO_MEMORY })
    }

    pub fn start(&self, cpu: GuestCpu<'_>, edu_bar: u64, order: Order) -> Result<(), RunError> {
        let Order { to: destination, size: length } = order;
        let (source, direction) = (EDU_BUFFER, DmaDirection::ToMemory);
        cpu.call(Command::EduStart { edu_bar, source, destination, length, direction }).map(drop)
    }

    pub fn finish(&self, cpu: GuestCpu<'_>, edu_bar: u64) -> Result<Ending, RunError> {
        cpu.call(Command::EduWait { edu_bar, max_ns: PATIENCE_NS })?;
        Ok(Ending::Over)
    }
}
