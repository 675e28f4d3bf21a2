//! Something with a duration: a step's begin and end, joined.

use crate::Party;
use barkeep_journal::{DeviceAddress, Kind, Trigger};

/// What a slice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// A step with a begin and an end of this kind.
    Step(Kind),
    /// An event being handled, from its first sign to the keeper's word. In the guest's lane where a vCPU's
    /// write caused it: that vCPU has exited, and waits.
    Handling,
    /// A DMA, from the command to what was seen of it.
    Dma,
}

impl What {
    /// A word or two; [`Slice::label`] says more.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handling => "handling",
            Self::Dma => "DMA",
            Self::Step(kind) => match kind {
                Kind::SlotRemove => "withdraw slot",
                Kind::SlotAdd => "put slot back",
                Kind::P2pUnmap => "unmap",
                Kind::P2pMap => "map",
                Kind::FindOut => "find out",
                Kind::BarExport => "export",
                Kind::RamMap => "map RAM",
                Kind::AttachProbe => "try to attach",
                Kind::Administer => "administrator",
                Kind::Hold => "held by others",
                Kind::Trigger => "let through",
                other => other.name(),
            },
        }
    }
}

/// One slice of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Whose.
    pub party: Party,
    /// What it is.
    pub what: What,
    /// The event it begins with.
    pub seq: u64,
    /// When it begins, nanoseconds of the run's clock.
    pub begin_ns: u64,
    /// When it ends; `None` where the journal has no end of it.
    pub end_ns: Option<u64>,
    /// About which device.
    pub device: Option<DeviceAddress>,
    /// About which of its BARs.
    pub bar: Option<u8>,
    /// About which address, as its events say.
    pub address: Option<u64>,
    /// About which trigger.
    pub trigger: Trigger,
    /// What it came to: 0, a negative errno, or as its events say.
    pub result: Option<i32>,
    /// The event being handled meanwhile, by its number; 0 for none.
    pub handling: u64,
    /// The text of its events.
    pub text: String,
}

impl Slice {
    /// Nanoseconds it took, if it came to an end.
    pub fn ns(&self) -> Option<u64> {
        self.end_ns.map(|end| end.saturating_sub(self.begin_ns))
    }
}
