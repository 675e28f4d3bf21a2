//! DMAs that were commanded, until somebody says what became of them.

use crate::moments;
use crate::{Party, Slice, What};
use barkeep_journal::{DeviceAddress, Event, Kind};
use std::collections::BTreeMap;

/// Engines that are followed.
const ENGINES: usize = 256;

struct Dma {
    slice: Slice,
    value: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Engines(BTreeMap<DeviceAddress, Dma>);

impl Engines {
    /// A DMA is commanded. Gives the last one of the same engine, if nobody has said what became of it.
    pub fn start(&mut self, event: &Event) -> Option<Slice> {
        let engine = event.device?;
        let before = self.0.remove(&engine).map(|dma| dma.slice);
        if self.0.len() < ENGINES {
            let slice = Slice { party: Party::Importer, what: What::Dma, ..moments::slice(event, 0) };
            self.0.insert(engine, Dma { slice, value: event.value });
        }
        before
    }

    /// The IOMMU has a record of it.
    pub fn faulted(&mut self, event: &Event) {
        let Some(dma) = event.device.and_then(|engine| self.0.get_mut(&engine)) else { return };
        // A record may be an earlier DMA's.
        if event.time_ns >= dma.slice.begin_ns {
            dma.slice.end_ns = Some(event.time_ns);
            "faulted".clone_into(&mut dma.slice.text);
        }
    }

    /// Data was seen to be in a window, or not: the DMA that this tells of.
    pub fn seen(&mut self, event: &Event, holds: impl Fn(u64) -> bool) -> Option<Slice> {
        let landed = event.kind == Kind::Landed;
        let there = |dma: &Dma| dma.slice.address.is_some_and(&holds);
        let of_it = |dma: &&Dma| there(dma) && (!landed || dma.value == event.value);
        let engine = self.0.values().find(of_it)?.slice.device?;
        let mut slice = self.0.remove(&engine)?.slice;
        // When it went wrong, and not when somebody looked.
        slice.end_ns = Some(slice.end_ns.unwrap_or(event.time_ns).max(slice.begin_ns));
        slice.bar = event.bar;
        let text = if landed { "landed" } else { "did not land" };
        if landed || slice.text.is_empty() {
            text.clone_into(&mut slice.text);
        }
        Some(slice)
    }

    /// Nobody says any more.
    pub fn cut_off(&mut self) -> Vec<Slice> {
        std::mem::take(&mut self.0).into_values().map(|dma| dma.slice).collect()
    }
}
