//! One way into one window, away from when to when, by whose doing, and who ended it.

use crate::vocabulary::named;
use barkeep_journal::{Actor, DeviceAddress, Trigger};

named! {
    /// A window's two ways in.
    Way {
        /// Guest CPUs, by a memory slot.
        Cpu = "CPU";
        /// Peers' DMA, by a mapping in the I/O address space.
        P2p = "P2P";
    }
}

named! {
    /// Who ended an outage: its length says something else each time.
    EndedBy {
        /// The VMM, as soon as it could: this is what a revoke costs.
        Vmm = "by the VMM";
        /// Whoever had taken access away gave it back: decode was off, the device asleep, as long as they liked.
        Guest = "by whoever began it";
        /// The VMM, once it had noticed what somebody else did past it.
        Notice = "once noticed";
    }
}

/// What took a way away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The event that says so.
    pub seq: u64,
    /// Its time, nanoseconds of the run's clock.
    pub time_ns: u64,
    /// What was let through, or was being handled.
    pub trigger: Trigger,
    /// Who did it.
    pub actor: Actor,
    /// Past the VMM, by somebody else.
    pub by_others: bool,
    /// The revoke of which it is ([`crate::Point::Revoke`]), where it is one.
    pub revoke: Option<u64>,
}

/// An outage that is over, or that the journal leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Which way was away.
    pub way: Way,
    /// Of which device.
    pub device: DeviceAddress,
    /// Of which BAR.
    pub bar: u8,
    /// Of the window at this guest physical address, which is its IOVA.
    pub address: u64,
    /// Its begin.
    pub taken: Taken,
    /// Its end; `None` where there is none in the journal.
    pub end: Option<Back>,
}

/// The end of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// The event that says so.
    pub seq: u64,
    /// Its time, nanoseconds of the run's clock.
    pub time_ns: u64,
    /// What was being handled.
    pub trigger: Trigger,
    /// Who ended it.
    pub by: EndedBy,
}

impl Outage {
    /// Nanoseconds it lasted, if it came to an end.
    pub fn ns(&self) -> Option<u64> {
        self.end.map(|end| end.time_ns.saturating_sub(self.taken.time_ns))
    }
}
