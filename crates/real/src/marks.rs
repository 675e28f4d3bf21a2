//! Where an episode may have left something in the memory of a BAR, which no reset clears.

use crate::buffer::Origin;
use std::collections::BTreeSet;

/// A mapping of a dma-buf in some space: where DMA may land. It stays here when the mapping is
/// gone, or dead: what is cleared once too often does no harm.
#[derive(Clone, Debug)]
struct Aim {
    space: u8,
    iova: u64,
    length: u64,
    /// What is mapped, and from which offset of it on.
    origin: Origin,
    start: u64,
}

/// Device, BAR and offset of words that may not be zero.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    words: BTreeSet<(u8, u8, u64)>,
    aims: Vec<Aim>,
}

impl Marks {
    /// Four bytes were written, of one word or of two.
    pub(crate) fn written(&mut self, device: u8, bar: u8, offset: u64) {
        for byte in [offset, offset.wrapping_add(3)] {
            self.words.insert((device, bar, byte & !3));
        }
    }

    /// The same at an offset of a dma-buf.
    pub(crate) fn written_in(&mut self, origin: &Origin, offset: u64) {
        if let Some(in_bar) = origin.in_bar(offset) {
            self.written(origin.device, origin.bar, in_bar);
        }
    }

    /// A dma-buf was mapped, from `start` on.
    pub(crate) fn mapped(&mut self, space: u8, iova: u64, length: u64, origin: Origin, start: u64) {
        self.aims.push(Aim { space, iova, length, origin, start });
    }

    /// Mappings were copied.
    pub(crate) fn copied(&mut self, (from, iova): (u8, u64), (to, to_iova): (u8, u64)) {
        let copies = self.aims.iter().filter(|aim| aim.space == from).map(|aim| {
            // Every mapping moves by as much as the copied range did.
            let moved = aim.iova.wrapping_sub(iova).wrapping_add(to_iova);
            Aim { space: to, iova: moved, ..aim.clone() }
        });
        let copies: Vec<_> = copies.collect();
        self.aims.extend(copies);
    }

    /// DMA went to `iova`, in whatever space.
    pub(crate) fn aimed(&mut self, iova: u64) {
        for Aim { iova: begin, length, origin, start, .. } in self.aims.clone() {
            let into = iova.wrapping_sub(begin);
            if into < length {
                self.written_in(&origin, start.wrapping_add(into));
            }
        }
    }

    /// The words of a device's BAR.
    pub(crate) fn of(&self, device: u8, bar: u8) -> impl Iterator<Item = u64> {
        self.words.range((device, bar, 0)..=(device, bar, u64::MAX)).map(|(_, _, offset)| *offset)
    }

    pub(crate) fn has(&self, device: u8, bar: u8) -> bool {
        self.of(device, bar).next().is_some()
    }

    /// They hold zeroes now.
    pub(crate) fn remove(&mut self, device: u8, bar: u8) {
        self.words.retain(|(d, b, _)| (*d, *b) != (device, bar));
    }

    /// Forgets everything, at the end of an episode.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { device: 1, bar: 2, ranges: [(0x1000, 0x10_0000)].into() }
    }

    fn take(marks: &mut Marks, device: u8) -> Vec<u64> {
        let words = marks.of(device, 2).collect();
        marks.remove(device, 2);
        words
    }

    #[test]
    fn what_is_written_is_marked_once_and_removed_by_itself() {
        let mut marks = Marks::default();
        for offset in [8, 9, 0x2000] {
            marks.written(1, 2, offset);
        }
        marks.written(0, 2, 4);
        assert_eq!(take(&mut marks, 1), [8, 12, 0x2000]);
        assert!(!marks.has(1, 2) && marks.has(0, 2));
        assert_eq!(take(&mut marks, 0), [4]);
    }

    #[test]
    fn dma_marks_where_its_address_is_mapped_or_was_copied_to() {
        let mut marks = Marks::default();
        marks.mapped(0, 0x10_0000, 0x2000, origin(), 0x3000);
        marks.aimed(0x10_2000);
        assert!(!marks.has(1, 2), "behind its end");
        marks.aimed(0x10_1004);
        assert_eq!(take(&mut marks, 1), [0x5004]);
        marks.copied((0, 0x10_0000), (2, 0x20_0000));
        marks.aimed(0x20_0008);
        assert_eq!(take(&mut marks, 1), [0x4008]);
    }

    #[test]
    fn ranges_lie_end_to_end() {
        let origin = Origin { device: 1, bar: 2, ranges: [(0x3000, 0x1000), (0, 0x1000)].into() };
        let mut marks = Marks::default();
        for offset in [8, 0x1004, 0x2000] {
            marks.written_in(&origin, offset);
        }
        assert_eq!(take(&mut marks, 1), [4, 0x3008]);
    }
}
