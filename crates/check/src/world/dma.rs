//! The DMA each engine was told to do last.

use super::{ByAddress, Device, Tick, Window};
use barkeep_journal::Event;

/// A DMA that was commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dma {
    /// When, or when the first one before it was of which nothing is known yet: data that
    /// arrives may be that one's.
    pub since: Tick,
    /// The event that says so.
    pub seq: u64,
    pub iova: u64,
    pub pattern: Option<u64>,
    /// Something was observed of it.
    pub settled: bool,
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
}

#[derive(Default)]
pub(crate) struct Dmas(ByAddress<Dma>);

impl Dmas {
    /// False if there is no room for one more engine.
    pub fn start(&mut self, event: &Event, tick: Tick) -> bool {
        let (Some(engine), Some(iova)) = (event.device, event.address) else { return true };
        let new = Dma { since: tick, seq: event.seq, iova, pattern: event.value, settled: false };
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

    /// Those nothing was observed of yet that go to a device.
    pub fn open_to<'a>(&'a self, device: &'a Device) -> impl Iterator<Item = &'a Dma> {
        self.0.values().filter(|dma| !dma.settled && dma.target(device).is_some())
    }

    /// Something was seen at a BAR.
    pub fn settle_at(&mut self, event: &Event, device: &Device) {
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
