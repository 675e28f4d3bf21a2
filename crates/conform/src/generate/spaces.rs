//! Mappings in I/O address spaces, and DMA through them.

use super::Maker;
use super::expected::{Area, Window};
use crate::machine::Bar;
use barkeep_model::op::{PAGE, SOURCE_SIZE, SPACES};
use barkeep_model::{Op, Source};

/// IOVAs of memory: few, so that mappings meet. The second lies inside whatever is mapped at the
/// first, the last is beyond 4 GiB.
pub(crate) const IOVAS: &[u64] =
    &[0x2000_0000, 0x2000_1000, 0x2010_0000, 0x2100_0000, 0x3000_0000, 0x1_0000_0000];
/// IOVAs of BARs that are registers: no DMA goes there.
const REGISTER_IOVAS: &[u64] = &[0x5000_0000, 0x5000_1000];
/// Where a write is an interrupt: the IOMMU keeps it for itself.
const INTERRUPTS: u64 = 0xfee0_0000;
/// The end of addresses.
const LAST_PAGE: u64 = !(PAGE - 1);

impl Maker<'_> {
    pub(super) fn map_into_space(&mut self) -> Option<Op> {
        let source = self.source()?;
        let space = self.space();
        let window = match source {
            Source::Buffer(buffer) => self.expected.buffers[usize::from(buffer)].map(|buffer| buffer.window),
            Source::Foreign | Source::Memory => None,
        };
        let (start, length) = self.slice(window.map_or(SOURCE_SIZE, |window| window.size));
        let iova = self.odd_iova(space, window);
        Some(Op::Map { space, source, start, length, iova })
    }

    fn source(&mut self) -> Option<Source> {
        match self.draw.below(16) {
            0 => Some(Source::Foreign),
            1 | 2 => Some(Source::Memory),
            _ => self.buffer().map(Source::Buffer),
        }
    }

    /// A space: mostly one that some device is attached to.
    fn space(&mut self) -> u8 {
        let attached: Vec<u8> = self.expected.devices.iter().filter_map(|device| device.space).collect();
        if self.draw.once_in(4) { None } else { self.draw.one_of(&attached) }
            .unwrap_or_else(|| self.draw.below(SPACES as u32) as u8)
    }

    /// Start and length of a part of something of this size.
    fn slice(&mut self, size: u64) -> (u64, u64) {
        match self.draw.below(24) {
            0..12 => (0, size),
            12..16 => (0, PAGE),
            16 | 17 => (PAGE, size.saturating_sub(PAGE)),
            18 => (size.saturating_sub(PAGE), PAGE),
            19 => (size, PAGE),
            20 => (0, size.wrapping_add(PAGE)),
            21 => (0, 0),
            // Not whole pages: here the start, there the length.
            22 => {
                if self.draw.once_in(2) {
                    (PAGE / 2, PAGE)
                } else {
                    (0, PAGE / 2)
                }
            }
            _ => (LAST_PAGE, 2 * PAGE),
        }
    }

    fn iova(&mut self, window: Option<Window>) -> u64 {
        let registers =
            window.is_some_and(|window| self.machine.bar(window.device, window.bar) == Bar::Registers);
        let iovas = if registers { REGISTER_IOVAS } else { IOVAS };
        let iova = self.draw.one_of(iovas).unwrap_or(PAGE);
        match self.draw.below(40) {
            0 => iova + PAGE / 2,
            1 => LAST_PAGE,
            3 => INTERRUPTS,
            2 => u64::MAX,
            _ => iova,
        }
    }

    /// An IOVA that a space with devices would refuse: mostly for one without.
    fn odd_iova(&mut self, space: u8, window: Option<Window>) -> u64 {
        let used = self.expected.devices.iter().any(|device| device.space == Some(space));
        let iova = self.iova(window);
        if used || !self.draw.once_in(6) {
            return iova;
        }
        if self.draw.once_in(2) { INTERRUPTS } else { iova ^ (PAGE / 2) }
    }

    pub(super) fn unmap(&mut self) -> Option<Op> {
        let area = self.area();
        let (space, iova, length) = match (area, self.draw.below(16)) {
            (Some(area), 0..10) => (area.space, area.iova, area.length),
            // Parts, and more than one.
            (Some(area), 10) => (area.space, area.iova, PAGE),
            (Some(area), 11) => (area.space, area.iova.wrapping_add(PAGE), area.length.wrapping_sub(PAGE)),
            (Some(area), 12) => (area.space, IOVAS[0], 0x2000_0000),
            (Some(area), 13) => (area.space, area.iova, 0),
            (Some(area), 14) => (area.space, area.iova, u64::MAX),
            (Some(_), _) => (self.space(), self.iova(None), PAGE),
            (None, 0..3) => (self.space(), self.iova(None), PAGE),
            (None, _) => return None,
        };
        Some(Op::Unmap { space, iova, length })
    }

    fn area(&mut self) -> Option<Area> {
        let areas = std::mem::take(&mut self.expected.areas);
        let area = self.draw.one_of(&areas);
        self.expected.areas = areas;
        area
    }

    pub(super) fn copy(&mut self) -> Option<Op> {
        let area = self.area()?;
        let near = if area.space == 1 { 0 } else { area.space };
        let to = if self.draw.once_in(2) { near } else { self.draw.below(SPACES as u32) as u8 };
        let (iova, length) = match self.draw.below(12) {
            0..8 => (area.iova, area.length),
            8 => (area.iova, PAGE),
            9 => (area.iova.wrapping_add(PAGE), PAGE),
            10 => (area.iova, area.length.wrapping_add(PAGE)),
            _ => (self.iova(None), PAGE * u64::from(self.draw.below(2))),
        };
        let to_iova = self.iova(area.window);
        Some(Op::Copy { from: area.space, to, iova, length, to_iova })
    }

    pub(super) fn dma(&mut self) -> Option<Op> {
        let engine = self.cast.engine?;
        let file = self.expected.files.iter().position(|device| *device == Some(engine))? as u8;
        let space = self.expected.devices[usize::from(engine)].space;
        let targets: Vec<Area> =
            self.expected.areas.iter().filter(|area| Some(area.space) == space).copied().collect();
        let area = if self.draw.once_in(10) { None } else { self.draw.one_of(&targets) };
        let iova = match area {
            Some(Area { iova, length, window: Some(window), space: _ }) => {
                let reached = Window { size: length.min(window.size), ..window };
                iova.wrapping_add(self.word_inside(reached)?)
            }
            Some(Area { iova, window: None, .. }) => iova,
            None => self.draw.one_of(IOVAS)?,
        };
        let value = self.nonce();
        Some(Op::Dma { file, iova, value })
    }
}
