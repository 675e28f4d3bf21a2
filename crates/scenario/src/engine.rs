//! Devices as DMA engines: what a guest's driver would do to have one put data into a peer's BAR.
//!
//! Two kinds are known, told apart by their class code: QEMU's edu (and what is simulated after
//! it), whose data the scenario chooses, and an NVMe controller, which is asked to identify itself
//! and has its answer put there.

mod edu;
mod nvme;

use crate::guest_cpu::GuestCpu;
use crate::runner::{DeviceRef, RunError};
use crate::world::World;
use barkeep_export::Function;
use edu::Edu;
use nvme::Nvme;
pub(crate) use nvme::words;

/// Class code of an NVM Express controller (NVM Express, "Class Code Register").
const CLASS_NVME: u32 = 0x01_08_02;
/// Vendor and device ID of edu (QEMU, docs/specs/edu).
const VENDOR_EDU: u16 = 0x1234;
const DEVICE_EDU: u16 = 0x11e8;

/// A DMA that an engine is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Where to, an IOVA; a multiple of 4.
    pub to: u64,
    /// Bytes that are looked at afterwards; a multiple of 4, 4096 at the most.
    pub size: u64,
}

/// What a DMA brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// The same word, all over.
    Pattern(u32),
    /// Words of the engine's own, those that are looked at.
    Own(Vec<u32>),
}

impl Data {
    /// What stands first.
    pub fn first(&self) -> u32 {
        match self {
            Self::Pattern(word) => *word,
            Self::Own(words) => words.first().copied().unwrap_or_default(),
        }
    }
}

/// The write that sets a prepared DMA going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doorbell {
    /// Guest physical address of a register of 4 bytes.
    pub address: u64,
    pub value: u32,
}

/// What the engine itself says of a DMA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is over; how it went it does not say.
    Over,
    /// It says that it went well.
    Success,
    /// It says what went wrong.
    Failed(String),
    /// Nothing, for as long as anybody waited.
    Silent,
}

/// A device as an engine, and what is to be remembered of it between its DMAs.
pub(crate) enum Engine {
    Edu(Edu),
    Nvme(Nvme),
}

impl Engine {
    /// The engine that a device of the VM is, with its registers in BAR 0; `None` if it is none
    /// that is known.
    pub fn new(world: &dyn World, device: DeviceRef) -> Option<Self> {
        let layout = world.board().function(device.index).layout();
        match (layout.class, layout.vendor, layout.device) {
            (CLASS_NVME, ..) => Some(Self::Nvme(Nvme::new(device))),
            (_, VENDOR_EDU, DEVICE_EDU) => Some(Self::Edu(Edu)),
            _ => None,
        }
    }

    /// Whether the scenario chooses what it brings.
    pub fn takes_patterns(&self) -> bool {
        match self {
            Self::Edu(_) => true,
            Self::Nvme(_) => false,
        }
    }

    /// How much it writes at once, whatever was ordered.
    pub fn reach(&self, order: Order) -> u64 {
        match self {
            Self::Edu(_) => order.size,
            Self::Nvme(_) => nvme::IDENTIFY_BYTES,
        }
    }

    /// Gets the data ready; `pattern` is for those that take one. `registers` is the guest
    /// physical address of BAR 0, which may have moved since the last time.
    pub fn load(
        &mut self,
        cpu: GuestCpu<'_>,
        registers: u64,
        order: Order,
        pattern: u32,
    ) -> Result<Data, RunError> {
        match self {
            Self::Edu(edu) => edu.load(cpu, registers, order, pattern),
            Self::Nvme(nvme) => nvme.load(cpu, registers, order),
        }
    }

    /// Everything but the last write of the command.
    pub fn prepare(&mut self, cpu: GuestCpu<'_>, registers: u64, order: Order) -> Result<Doorbell, RunError> {
        match self {
            Self::Edu(edu) => edu.prepare(cpu, registers, order),
            Self::Nvme(nvme) => nvme.prepare(cpu, registers, order),
        }
    }

    /// Commands it.
    pub fn start(&mut self, cpu: GuestCpu<'_>, registers: u64, order: Order) -> Result<(), RunError> {
        match self {
            Self::Edu(edu) => edu.start(cpu, registers, order),
            Self::Nvme(nvme) => {
                let Doorbell { address, value } = nvme.prepare(cpu, registers, order)?;
                cpu.write32(address, value)
            }
        }
    }

    /// Waits for its end.
    pub fn finish(&mut self, cpu: GuestCpu<'_>, registers: u64) -> Result<Ending, RunError> {
        match self {
            Self::Edu(edu) => edu.finish(cpu, registers),
            Self::Nvme(nvme) => nvme.finish(cpu, registers),
        }
    }

    /// A prepared DMA was never set going.
    pub fn forget(&mut self) {
        match self {
            Self::Edu(_) => {}
            Self::Nvme(nvme) => nvme.forget(),
        }
    }
}
