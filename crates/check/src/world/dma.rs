//! The DMA each engine was told to do last.

use super::{Device, Tick, Window};
use barkeep_journal::{DeviceAddress, Event};
use std::collections::BTreeMap;

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
}

#[derive(Default)]
pub(crate) struct Dmas(BTreeMap<DeviceAddress, Dma>);

impl Dmas {
    pub fn start(&mut self, event: &Event, tick: Tick) {
        let (Some(engine), Some(iova)) = (event.device, event.address) else { return };
        let open = self.0.get(&engine).filter(|before| !before.settled);
        let since = open.map_or(tick, |before| before.since);
        let dma = Dma { since, seq: event.seq, iova, pattern: event.value, settled: false };
        self.0.insert(engine, dma);
    }

    /// Those that can have brought what an event says of a BAR: they go there, with that
    /// pattern, if any of them has it.
    pub fn that_can_be(&self, event: &Event, device: &Device) -> Vec<Dma> {
        let there = |dma: &&Dma| dma.target(device).is_some_and(|window| Some(window.bar) == event.bar);
        let all: Vec<Dma> = self.0.values().filter(there).copied().collect();
        let same: Vec<Dma> = all.iter().filter(|dma| dma.pattern == event.value).copied().collect();
        if same.is_empty() { all } else { same }
    }

    /// Those nothing was observed of yet that go to a device.
    pub fn open_to<'a>(&'a self, device: &'a Device) -> impl Iterator<Item = &'a Dma> {
        self.0.values().filter(|dma| !dma.settled && dma.target(device).is_some())
    }

    /// Something was seen at a BAR.
    pub fn settle_at(&mut self, event: &Event, devices: &BTreeMap<DeviceAddress, Device>) {
        let Some(device) = event.device.and_then(|address| devices.get(&address)) else { return };
        let seen: Vec<u64> = self.that_can_be(event, device).iter().map(|dma| dma.seq).collect();
        for dma in self.0.values_mut() {
            dma.settled |= seen.contains(&dma.seq);
        }
    }

    /// Something was seen of an engine.
    pub fn settle_of(&mut self, event: &Event) {
        if let Some(dma) = event.device.and_then(|engine| self.0.get_mut(&engine)) {
            dma.settled = true;
        }
    }
}
