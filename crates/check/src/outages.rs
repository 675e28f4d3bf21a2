//! How long each way into a BAR was away, by who ended it.

use crate::durations::Durations;
use serde::{Deserialize, Serialize};

/// Who ends an outage decides what its length says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// The VMM, as soon as it could: this is what a revoke costs.
    Vmm,
    /// Who had taken access away: decode was off, the device asleep, as long as they liked.
    Guest,
    /// The VMM, once it had noticed what somebody else did past it.
    Notice,
}

/// Outages of one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outages {
    /// The VMM ended it by itself: the event and the restoring.
    pub by_vmm: Durations,
    /// It lasted until the guest, or whoever had put the device away, gave it back.
    pub by_guest: Durations,
    /// Somebody else revoked past the VMM, which ended it when it noticed.
    pub by_notice: Durations,
}

impl Outages {
    /// All that came to an end.
    pub fn count(&self) -> u64 {
        self.by_vmm.count().saturating_add(self.by_guest.count()).saturating_add(self.by_notice.count())
    }

    pub(crate) fn add(&mut self, ended_by: EndedBy, ns: u64) {
        match ended_by {
            EndedBy::Vmm => self.by_vmm.add(ns),
            EndedBy::Guest => self.by_guest.add(ns),
            EndedBy::Notice => self.by_notice.add(ns),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { by_vmm, by_guest, by_notice } = other;
        self.by_vmm.merge(by_vmm);
        self.by_guest.merge(by_guest);
        self.by_notice.merge(by_notice);
    }
}

/// Both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ways {
    /// CPU access: from the line that announces it to the one behind its last sign.
    pub cpu: Outages,
    /// Peers' DMA: from the begin of what took it away to the end of the map that brought it back.
    pub p2p: Outages,
}

impl Ways {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.cpu.merge(&other.cpu);
        self.p2p.merge(&other.p2p);
    }
}
