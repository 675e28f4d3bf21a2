//! One window: its slot, its peer-to-peer mapping, which of them is away and who took it.
//!
//! The rules are those of the checker, found again from the journal's description: two readers of the
//! same sentences, which a test holds to each other.

use crate::moments::Tick;
use crate::outage::{Back, EndedBy, Outage, Taken, Way};
use barkeep_journal::{DeviceAddress, Event, Trigger};

/// A memory slot, by the steps that were journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Never,
    Moving,
    In,
    Out,
    Failed,
}

/// A mapping in the I/O address space, by the steps that were journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum P2p {
    Never,
    /// Made then, and nothing has revoked it since.
    Live(Tick),
    /// Being revoked, or the event that may have revoked it failed.
    Unsure,
    /// Certainly dead or gone.
    Dead,
}

/// A way that is away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    pub taken: Taken,
    /// An event was over meanwhile and left the device away.
    left_away: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub bar: u8,
    /// Guest physical address and IOVA, which are the same.
    pub address: u64,
    pub size: u64,
    slot: Slot,
    p2p: P2p,
    /// The I/O address space holds it, live or dead.
    mapped: bool,
    pub cpu_away: Option<Away>,
    pub p2p_away: Option<Away>,
}

impl Window {
    pub fn new(bar: u8, address: u64, size: u64) -> Self {
        let (slot, p2p) = (Slot::Never, P2p::Never);
        Self { bar, address, size, slot, p2p, mapped: false, cpu_away: None, p2p_away: None }
    }

    /// Whether it holds this address.
    pub fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }

    /// The BAR it is of may have moved, and it with it: nothing of it is left where it was.
    pub fn may_have_moved(&self) -> bool {
        let away = match self.slot {
            Slot::Out => true,
            // One that is peers' alone has no slot to take away.
            Slot::Never => self.p2p == P2p::Dead,
            Slot::Moving | Slot::In | Slot::Failed => false,
        };
        away && !self.mapped
    }

    /// It is where its BAR is now.
    pub fn moves_to(&mut self, address: u64) {
        self.address = address;
    }

    /// Peers' DMA is taken away, if it was there.
    fn taken(&mut self, taken: Taken) {
        if let P2p::Live(_) | P2p::Unsure = self.p2p {
            self.p2p_away.get_or_insert(Away { taken, left_away: false });
        }
    }

    /// An event that kills mappings is let through.
    pub fn revoke_begins(&mut self, taken: Taken) {
        self.taken(taken);
        if let P2p::Live(_) = self.p2p {
            self.p2p = P2p::Unsure;
        }
    }

    /// It certainly has killed them.
    pub fn revoked(&mut self) {
        match self.p2p {
            P2p::Unsure => self.p2p = P2p::Dead,
            // Made while somebody else's event was under way: before the revoke in it, or after.
            P2p::Live(_) => self.p2p = P2p::Unsure,
            P2p::Never | P2p::Dead => {}
        }
    }

    /// It was seen that somebody has, by a look made after this moment. Whether that is news.
    pub fn seen_revoked(&mut self, taken: Taken, observed_from: Tick) -> bool {
        let news = matches!(self.p2p, P2p::Live(since) if since < observed_from);
        if news {
            self.taken(taken);
            self.p2p = P2p::Dead;
        }
        news
    }

    pub fn unmap_begins(&mut self, taken: Taken) {
        self.taken(taken);
    }

    pub fn unmapped(&mut self) {
        self.mapped = false;
        if self.p2p != P2p::Never {
            self.p2p = P2p::Dead;
        }
    }

    pub fn unmapped_by_others(&mut self, taken: Taken) {
        self.taken(taken);
        self.unmapped();
    }

    /// A map is answered. Gives the outage that this ends.
    pub fn mapped(&mut self, done: bool, device: DeviceAddress, event: &Event, tick: Tick) -> Option<Outage> {
        if !done {
            return None;
        }
        self.p2p = P2p::Live(tick);
        self.mapped = true;
        let away = self.p2p_away.take()?;
        let by = match away {
            Away { left_away: true, .. } => EndedBy::Guest,
            Away { taken: Taken { by_others: true, .. }, .. } => EndedBy::Notice,
            Away { .. } => EndedBy::Vmm,
        };
        Some(self.outage(Way::P2p, device, away.taken, Some(back(event, by))))
    }

    /// CPU access goes. Gives the outage that was under way and had no end.
    pub fn cpu_goes(&mut self, taken: Taken, device: DeviceAddress) -> Option<Outage> {
        let before = self.cpu_away.replace(Away { taken, left_away: false })?;
        Some(self.outage(Way::Cpu, device, before.taken, None))
    }

    /// CPU access is back. `None` for the first mapping, which ends what never began.
    pub fn cpu_back(&mut self, device: DeviceAddress, event: &Event) -> Option<Outage> {
        let away = self.cpu_away.take()?;
        let by = match away {
            Away { left_away: true, .. } => EndedBy::Guest,
            Away { taken: Taken { trigger: Trigger::Suspect, .. }, .. } => EndedBy::Notice,
            Away { .. } => EndedBy::Vmm,
        };
        Some(self.outage(Way::Cpu, device, away.taken, Some(back(event, by))))
    }

    pub fn slot_moves(&mut self) {
        self.slot = Slot::Moving;
    }

    pub fn slot_added(&mut self, done: bool) {
        self.slot = if done { Slot::In } else { Slot::Failed };
    }

    pub fn slot_removed(&mut self, done: bool) {
        if done {
            self.slot = Slot::Out;
        }
    }

    /// An event is over; `live` is what the keeper believes.
    pub fn settled(&mut self, live: Option<bool>) {
        // One that failed, and after which nothing was unmapped, has taken nothing.
        if let P2p::Live(_) | P2p::Unsure = self.p2p {
            self.p2p_away = None;
        }
        if live == Some(false) {
            for away in [&mut self.cpu_away, &mut self.p2p_away].into_iter().flatten() {
                away.left_away = true;
            }
        }
    }

    /// No event can end what is away any more: the VMM's process is gone, or the journal is over.
    pub fn cut_off(&mut self, device: DeviceAddress) -> Vec<Outage> {
        let away = [(Way::Cpu, self.cpu_away.take()), (Way::P2p, self.p2p_away.take())];
        let open = |(way, away): (Way, Option<Away>)| Some((way, away?.taken));
        away.into_iter().filter_map(open).map(|(way, taken)| self.outage(way, device, taken, None)).collect()
    }

    /// The kernel has taken slot and mapping away, with the process that had them.
    pub fn vmm_died(&mut self) {
        self.slot = Slot::Out;
        self.unmapped();
    }

    fn outage(&self, way: Way, device: DeviceAddress, taken: Taken, end: Option<Back>) -> Outage {
        Outage { way, device, bar: self.bar, address: self.address, taken, end }
    }
}

fn back(event: &Event, by: EndedBy) -> Back {
    Back { seq: event.seq, time_ns: event.time_ns, trigger: event.trigger, by }
}
