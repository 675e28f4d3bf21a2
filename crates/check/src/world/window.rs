//! One window: its memory slot, its peer-to-peer mapping, its outage.

use super::Tick;

/// A memory slot, by the steps that were journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Never set.
    Never,
    /// On its way in or out, or its withdrawal failed: an access may land or not.
    Moving,
    /// Set.
    In,
    /// Certainly away since then.
    Out(Tick),
    /// Could not be set; away since then.
    Failed(Tick),
}

/// A mapping in the I/O address space, by the steps that were journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum P2p {
    /// Never made.
    Never,
    /// Made then, and nothing has revoked it since.
    Live(Tick),
    /// Being revoked, or the event that may have revoked it failed.
    Unsure,
    /// Certainly dead or gone since then.
    Dead(Tick),
    /// As `Dead`, and being made anew.
    Remaking(Tick),
}

/// An outage under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub generation: u64,
    pub time_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub bar: u8,
    /// Guest physical address and IOVA, which are the same.
    pub address: u64,
    pub size: u64,
    pub slot: Slot,
    pub p2p: P2p,
    /// The I/O address space holds it, live or dead.
    pub mapped: bool,
    /// Its slot was put in since the registers were last looked at.
    pub put_in: bool,
    pub outage: Option<Outage>,
}

impl Window {
    pub fn new(bar: u8, address: u64, size: u64) -> Self {
        Self {
            bar,
            address,
            size,
            slot: Slot::Never,
            p2p: P2p::Never,
            mapped: false,
            put_in: false,
            outage: None,
        }
    }

    /// Whether it holds this address.
    pub fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }

    /// Whether the ranges have a byte in common.
    pub fn overlaps(&self, address: u64, size: u64) -> bool {
        self.address < address.saturating_add(size) && address < self.address.saturating_add(self.size)
    }

    /// Since when its slot is certainly away.
    pub fn out_since(&self) -> Option<Tick> {
        match self.slot {
            Slot::Out(since) | Slot::Failed(since) => Some(since),
            Slot::Never | Slot::Moving | Slot::In => None,
        }
    }

    /// The BAR it is of may have moved, and it with it: nothing of it is left where it was.
    pub fn may_have_moved(&self) -> bool {
        // One that is peers' alone has no slot to take away.
        let away = match self.slot {
            Slot::Out(_) => true,
            Slot::Never => matches!(self.p2p, P2p::Dead(_)),
            Slot::Moving | Slot::In | Slot::Failed(_) => false,
        };
        away && !self.mapped
    }

    /// An event that kills mappings is let through.
    pub fn revoke_begins(&mut self) {
        if let P2p::Live(_) = self.p2p {
            self.p2p = P2p::Unsure;
        }
    }

    /// It certainly has killed them.
    pub fn revoked(&mut self, tick: Tick) {
        match self.p2p {
            P2p::Live(_) | P2p::Unsure => self.p2p = P2p::Dead(tick),
            P2p::Never | P2p::Dead(_) | P2p::Remaking(_) => {}
        }
    }

    pub fn map_begins(&mut self) {
        if let P2p::Dead(since) = self.p2p {
            self.p2p = P2p::Remaking(since);
        }
    }

    pub fn map_ends(&mut self, success: bool, tick: Tick) {
        self.p2p = match (success, self.p2p) {
            (true, _) => P2p::Live(tick),
            (false, P2p::Remaking(since)) => P2p::Dead(since),
            (false, p2p) => p2p,
        };
        self.mapped |= success;
    }

    pub fn unmapped(&mut self, tick: Tick) {
        self.mapped = false;
        if !matches!(self.p2p, P2p::Never | P2p::Dead(_)) {
            self.p2p = P2p::Dead(tick);
        }
    }
}
