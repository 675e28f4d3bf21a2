//! BARs as a CPU sees them: through the device file and through its mappings.

use super::Maker;
use super::expected::Window;
use crate::machine::Bar;
use barkeep_model::Op;
use barkeep_model::op::PAGE;

impl Maker<'_> {
    pub(super) fn map_bar(&mut self) -> Option<Op> {
        let file = self.file()?;
        let device = self.expected.device(file).unwrap_or(self.cast.target);
        let map = self.register(|expected| &expected.maps, false)?;
        let bar = self.region(device);
        let size = self.machine.size(device, bar);
        let (offset, size) = match self.draw.below(16) {
            0..9 => (0, size),
            9..12 => (0, PAGE),
            12 => (size / 2, size / 2),
            // Refused, each for a reason of its own.
            13 => (size, PAGE),
            14 => (PAGE / 2, PAGE),
            _ => (0, size.wrapping_add(PAGE)),
        };
        Some(Op::MapBar { file, bar: u8::try_from(bar).unwrap_or(u8::MAX), offset, size, map })
    }

    pub(super) fn map_buffer(&mut self) -> Option<Op> {
        let buffer = self.buffer()?;
        let map = self.register(|expected| &expected.maps, false)?;
        let held = self.expected.buffers[usize::from(buffer)];
        let size = held.map_or(PAGE, |held| held.window.size);
        // What a CPU is to find behind the first range shows in which order they lie.
        let second = held.and_then(|held| held.second).filter(|_| !self.draw.once_in(3));
        let (offset, size) = match (second, self.draw.below(20)) {
            (Some((into, _, length)), 0..15) => (into, length),
            (_, 0..10) => (0, size),
            (_, 10..13) => (0, PAGE),
            (_, 13 | 14) => (PAGE, size.saturating_sub(PAGE)),
            // Refused, each for a reason of its own.
            (_, 15) => (size, PAGE),
            (_, 16) => (PAGE / 2, PAGE),
            (_, 17) => (0, 0),
            _ => (0, size.wrapping_add(PAGE)),
        };
        Some(Op::MapBuffer { buffer, offset, size, map })
    }

    pub(super) fn cpu_read(&mut self) -> Option<Op> {
        let (map, offset) = self.mapped_word()?;
        Some(Op::CpuRead { map, offset })
    }

    pub(super) fn cpu_write(&mut self) -> Option<Op> {
        let (map, offset) = self.mapped_word()?;
        let value = self.nonce();
        Some(Op::CpuWrite { map, offset, value })
    }

    pub(super) fn region_read(&mut self) -> Option<Op> {
        let (file, bar, offset) = self.region_word()?;
        Some(Op::RegionRead { file, bar, offset })
    }

    pub(super) fn region_write(&mut self) -> Option<Op> {
        let (file, bar, offset) = self.region_word()?;
        let value = self.nonce();
        Some(Op::RegionWrite { file, bar, offset, value })
    }

    /// A region: mostly the memory BAR, sometimes another, sometimes one there is not.
    pub(super) fn region(&mut self, device: u8) -> u32 {
        let memory = self.machine[device].memory_bar.map(u32::from);
        let of = |kind| (0..6).filter(|bar| self.machine.bar(device, *bar) == kind).collect::<Vec<u32>>();
        let (registers, io, absent) = (of(Bar::Registers), of(Bar::Io), of(Bar::Absent));
        let drawn = match self.draw.below(24) {
            0..16 => memory.or_else(|| self.draw.one_of(&registers)),
            16 | 17 => self.draw.one_of(&registers),
            18..21 => self.draw.one_of(&io),
            21 => self.draw.one_of(&absent),
            _ => self.draw.one_of(&[6, 7, 8, 9, 255]),
        };
        drawn.or(memory).or_else(|| self.draw.one_of(&registers)).unwrap_or(0)
    }

    /// A word that is looked at after every operation and lies inside a window: its offset in the
    /// window. Others are left alone: what they held in the last episode, nobody has said.
    pub(super) fn word_inside(&mut self, window: Window) -> Option<u64> {
        let device = &self.machine[window.device];
        if device.memory_bar.map(u32::from) != Some(window.bar) {
            return None;
        }
        let inside = device.watched.iter().filter_map(|word| word.checked_sub(window.offset));
        let inside: Vec<u64> = inside.filter(|into| into.saturating_add(4) <= window.size).collect();
        self.draw.one_of(&inside)
    }

    fn mapped_word(&mut self) -> Option<(u8, u64)> {
        let map = self.map()?;
        let offset = match self.expected.maps[usize::from(map)] {
            Some(window) => self.word_inside(window)?,
            None => 0,
        };
        Some((map, offset))
    }

    fn region_word(&mut self) -> Option<(u8, u8, u64)> {
        let file = self.file()?;
        let device = self.expected.device(file).unwrap_or(self.cast.target);
        let bar = match self.machine[device].memory_bar {
            Some(bar) if !self.draw.once_in(8) => bar,
            _ => self.draw.below(6) as u8,
        };
        let size = self.machine.size(device, u32::from(bar));
        let window = Window { device, bar: u32::from(bar), offset: 0, size };
        let beyond = self.draw.once_in(10);
        let word = self.word_inside(window).filter(|_| !beyond);
        Some((file, bar, word.unwrap_or(size)))
    }
}
