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

/// An outage of CPU access under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub generation: u64,
    pub time_ns: u64,
    /// It began because something unannounced was noticed.
    pub noticed: bool,
    /// An event was over meanwhile and left the device away.
    pub left_away: bool,
}

/// Peers' DMA that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    /// When it was taken.
    pub time_ns: u64,
    /// By somebody else, past the VMM.
    pub by_others: bool,
    /// An event was over meanwhile and left the device away.
    pub left_away: bool,
}

/// One of a window's two ways in, as what was seen to land by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    Cpu,
    Dma,
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
    pub p2p_away: Option<Away>,
    /// Since both ways are live, seen to land: a CPU access, a DMA.
    landed: [bool; 2],
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
            p2p_away: None,
            landed: [false; 2],
        }
    }

    /// Both ways are live.
    pub fn is_live(&self) -> bool {
        matches!((self.slot, self.p2p), (Slot::In, P2p::Live(_))) && self.outage.is_none()
    }

    /// Something was seen to land that came this way.
    pub fn landed(&mut self, way: Landing) {
        if self.is_live() {
            self.landed[way as usize] = true;
        }
    }

    /// Whether something that landed this way makes it both, in a window that stayed live between.
    pub fn both_ways_with(&self, way: Landing) -> bool {
        let other = match way {
            Landing::Cpu => Landing::Dma,
            Landing::Dma => Landing::Cpu,
        };
        self.is_live() && self.landed[other as usize]
    }

    /// A step changes its slot.
    pub fn slot_is(&mut self, slot: Slot) {
        self.slot = slot;
        self.landed = [false; 2];
    }

    /// An event is over and the device is away: who ends the outages is not the VMM.
    pub fn left_away(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.left_away = true;
        }
        if let Some(away) = &mut self.p2p_away {
            away.left_away = true;
        }
    }

    /// An event is over. One that failed, and after which nothing was unmapped, has taken nothing.
    pub fn settled(&mut self) {
        if let P2p::Live(_) | P2p::Unsure = self.p2p {
            self.p2p_away = None;
        }
    }

    /// Peers' DMA is taken away at this time, if it was there.
    fn taken(&mut self, time_ns: u64, by_others: bool) {
        if let P2p::Live(_) | P2p::Unsure = self.p2p {
            self.landed = [false; 2];
            self.p2p_away.get_or_insert(Away { time_ns, by_others, left_away: false });
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
    pub fn revoke_begins(&mut self, time_ns: u64, by_others: bool) {
        self.taken(time_ns, by_others);
        if let P2p::Live(_) = self.p2p {
            self.p2p = P2p::Unsure;
        }
    }

    /// It certainly has killed them.
    pub fn revoked(&mut self, tick: Tick) {
        match self.p2p {
            P2p::Unsure => self.p2p = P2p::Dead(tick),
            // Made while somebody else's event was under way: before the revoke in it, or after.
            P2p::Live(_) => self.p2p = P2p::Unsure,
            P2p::Never | P2p::Dead(_) | P2p::Remaking(_) => {}
        }
    }

    /// It was seen that somebody has.
    pub fn seen_revoked(&mut self, tick: Tick, time_ns: u64) {
        self.taken(time_ns, true);
        self.p2p = P2p::Dead(tick);
    }

    pub fn unmap_begins(&mut self, time_ns: u64) {
        self.taken(time_ns, false);
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
        if success {
            self.p2p_away = None;
            self.landed = [false; 2];
        }
        self.mapped |= success;
    }

    /// By somebody else, past the VMM.
    pub fn unmapped_by_others(&mut self, tick: Tick, time_ns: u64) {
        self.taken(time_ns, true);
        self.unmapped(tick);
    }

    /// The kernel has taken slot and mapping away, with the process that had them.
    pub fn vmm_died(&mut self, tick: Tick) {
        (self.outage, self.p2p_away) = (None, None);
        self.slot_is(Slot::Out(tick));
        self.unmapped(tick);
    }

    pub fn unmapped(&mut self, tick: Tick) {
        self.mapped = false;
        if !matches!(self.p2p, P2p::Never | P2p::Dead(_)) {
            self.p2p = P2p::Dead(tick);
        }
    }
}
