//! The DMA each engine was told to do last.

use super::{ByAddress, Device, P2p, Tick, Window};
use barkeep_journal::{Event, Kind, Trigger};

/// A DMA that was commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dma {
    /// When, or when the first one before it was of which nothing is known yet: data that
    /// arrives may be that one's.
    pub since: Tick,
    /// When this one was.
    pub commanded: Tick,
    /// The event that says so.
    pub seq: u64,
    pub iova: u64,
    pub pattern: Option<u64>,
    /// Something was observed of it.
    pub settled: bool,
    /// What was let through to its target while nothing had been observed of it and its mapping
    /// had been live since before it was commanded: it may have met that.
    pub may_have_met: Option<Trigger>,
    /// The guest rebooted before that.
    pub rebooted: bool,
}

impl Dma {
    /// The window of a device it goes to.
    pub fn target<'a>(&self, device: &'a Device) -> Option<&'a Window> {
        device.windows.iter().find(|window| window.holds(self.iova))
    }

    /// Whether it goes to the BAR an event tells of.
    fn goes_to(&self, event: &Event, device: &Device) -> bool {
        self.target(device).is_some_and(|window| Some(window.bar) == event.bar)
    }

    /// Whether it goes to the very place an event tells of, as far as that can be known: of a BAR in
    /// several windows the journal does not say which offset is in which.
    fn goes_to_place(&self, event: &Event, device: &Device) -> bool {
        let Some(window) = self.target(device).filter(|window| Some(window.bar) == event.bar) else {
            return false;
        };
        let whole = device.windows_of(window.bar).count() == 1;
        !whole || event.address.is_none_or(|offset| self.iova - window.address == offset)
    }
}

#[derive(Default)]
pub(crate) struct Dmas(ByAddress<Dma>);

impl Dmas {
    /// False if there is no room for one more engine.
    pub fn start(&mut self, event: &Event, tick: Tick) -> bool {
        let (Some(engine), Some(iova)) = (event.device, event.address) else { return true };
        let new = Dma {
            since: tick,
            commanded: tick,
            seq: event.seq,
            iova,
            pattern: event.value,
            settled: false,
            may_have_met: None,
            rebooted: false,
        };
        let Some(dma) = self.0.get_or_insert(engine, || new) else { return false };
        let since = if dma.settled { tick } else { dma.since };
        *dma = Dma { since, ..new };
        true
    }

    /// Those that can have brought what an event says of a BAR: they go there, with that
    /// pattern, if any of them has it.
    pub fn that_can_be<'a>(
        &'a self,
        event: &'a Event,
        device: &'a Device,
    ) -> impl Iterator<Item = &'a Dma> + Clone {
        let all = self.0.values().filter(move |dma| dma.goes_to(event, device));
        let by_pattern = all.clone().any(|dma| dma.pattern == event.value);
        all.filter(move |dma| !by_pattern || dma.pattern == event.value)
    }

    /// The guest reboots.
    pub fn rebooted(&mut self) {
        let under_way = |dma: &&mut Dma| !dma.settled && dma.may_have_met.is_none();
        self.0.values_mut().filter(under_way).for_each(|dma| dma.rebooted = true);
    }

    /// Mappings of a device's windows are taken away: of all, or of one.
    pub fn revoked_under(&mut self, device: &Device, only: Option<u64>, trigger: Trigger) {
        for dma in self.0.values_mut().filter(|dma| !dma.settled) {
            let Some(window) = dma.target(device) else { continue };
            let live = matches!(window.p2p, P2p::Live(since) if since < dma.commanded);
            if live && only.is_none_or(|address| window.address == address) {
                dma.may_have_met.get_or_insert(trigger);
            }
        }
    }

    /// What those have met of which an event tells that they did not arrive (a fault record of
    /// the engine, or a BAR that has something else), and whether that was in a reboot.
    pub fn met<'a>(
        &'a self,
        event: &'a Event,
        target: Option<&'a Device>,
    ) -> impl Iterator<Item = (Trigger, bool)> + 'a {
        let faulted = event.kind == Kind::Faulted;
        // What overwrote it says nothing of it.
        let overwritten = !faulted && self.0.values().any(|dma| dma.pattern == event.value);
        let engine = event.device.filter(|_| faulted).and_then(|engine| self.0.get(engine));
        let at_target = target.filter(|_| !faulted && !overwritten);
        let not_there = at_target.into_iter().flat_map(move |device| self.not_arrived(event, device));
        engine
            .into_iter()
            .chain(not_there)
            .filter(|dma| !dma.settled)
            .filter_map(|dma| Some((dma.may_have_met?, dma.rebooted)))
    }

    fn not_arrived<'a>(&'a self, event: &'a Event, device: &'a Device) -> impl Iterator<Item = &'a Dma> {
        self.0.values().filter(move |dma| dma.goes_to_place(event, device))
    }

    /// Something was seen at a BAR.
    pub fn settle_at(&mut self, event: &Event, device: &Device) {
        if event.kind == Kind::NotLanded {
            let missed = self.0.values_mut().filter(|dma| dma.goes_to_place(event, device));
            return missed.for_each(|dma| dma.settled = true);
        }
        let goes_there = |dma: &Dma| dma.goes_to(event, device);
        let by_pattern = self.0.values().any(|dma| goes_there(dma) && dma.pattern == event.value);
        for dma in self.0.values_mut() {
            dma.settled |= goes_there(dma) && (!by_pattern || dma.pattern == event.value);
        }
    }

    /// Something was seen of an engine.
    pub fn settle_of(&mut self, event: &Event) {
        if let Some(dma) = event.device.and_then(|engine| self.0.get_mut(engine)) {
            dma.settled = true;
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
