//! Exports.

use super::Maker;
use crate::machine::Bar;
use barkeep_model::Op;
use barkeep_model::op::PAGE;

/// A range whose offset wraps around the end of the address space.
const WRAPS: (u64, u64) = (!(PAGE - 1), PAGE);

impl Maker<'_> {
    pub(super) fn export(&mut self) -> Option<Op> {
        let file = self.file()?;
        let device = self.expected.device(file).unwrap_or(self.cast.target);
        let buffer = self.register(|expected| &expected.buffers, false)?;
        let region = self.region(device);
        let ranges = if self.machine.bar(device, region) == Bar::Io {
            // Refused for what it is, before anything that is said of the range.
            vec![self.draw.one_of(&[(0, PAGE), WRAPS])?]
        } else {
            self.ranges(self.machine.size(device, region))
        };
        let flags = if self.draw.once_in(24) { 1 << self.draw.below(32) } else { 0 };
        Some(Op::Export { file, region, ranges, flags, buffer })
    }

    /// Ranges of a BAR of this size.
    pub(super) fn ranges(&mut self, size: u64) -> Vec<(u64, u64)> {
        let last_page = size.saturating_sub(PAGE) & !(PAGE - 1);
        match self.draw.below(24) {
            // Of a BAR below one page, the page it does not have.
            0..10 => vec![(0, size.max(PAGE))],
            10..14 => vec![(0, PAGE)],
            14 | 15 => vec![(last_page, PAGE)],
            16 => vec![((size / 2) & !(PAGE - 1), size / 2)],
            // Exported, but iommufd takes one range only.
            17 | 18 => self.several(size),
            _ => self.refused_ranges(size),
        }
    }

    fn several(&mut self, size: u64) -> Vec<(u64, u64)> {
        let pages = size / PAGE;
        let count = 2 + u64::from(self.draw.below(3));
        // In order or not, touching or not, the same one twice: none of it matters to the export.
        (0..count).map(|_| (PAGE * u64::from(self.draw.below(pages.min(8) as u32)), PAGE)).collect()
    }

    fn refused_ranges(&mut self, size: u64) -> Vec<(u64, u64)> {
        const TOP: u64 = 1 << 63;
        match self.draw.below(10) {
            0 => vec![],
            1 => vec![(0, 0)],
            2 => vec![(PAGE / 2, PAGE)],
            3 => vec![(0, PAGE / 2)],
            4 => vec![(size, PAGE)],
            5 => vec![(0, size.wrapping_add(PAGE))],
            6 => vec![(0, PAGE), (size, PAGE)],
            7 => vec![WRAPS],
            // The lengths wrap; the length is none a mapping can have.
            8 => vec![(0, TOP), (0, TOP)],
            _ => vec![(0, TOP)],
        }
    }

    pub(super) fn dup_buffer(&mut self) -> Option<Op> {
        let buffer = self.buffer()?;
        let to = self.register(|expected| &expected.buffers, false)?;
        Some(Op::DupBuffer { buffer, to })
    }

    pub(super) fn receive_buffer(&mut self) -> Option<Op> {
        if self.expected.sent_buffers.is_empty() && !self.draw.once_in(6) {
            return None;
        }
        let to = self.register(|expected| &expected.buffers, false)?;
        Some(Op::ReceiveBuffer { to })
    }
}
