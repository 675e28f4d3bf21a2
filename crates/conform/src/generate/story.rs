//! The question this is all about, asked on purpose: something is mapped, something happens to
//! its device, the device decodes again; does a DMA still land?
//!
//! Single operations come to this chain too rarely, and any other order of them asks less.

use super::Maker;
use super::expected::{Buffer, Window};
use super::spaces::IOVAS;
use crate::machine::Bar;
use crate::registers::{self, COMMAND_BITS};
use barkeep_model::op::PAGE;
use barkeep_model::{Op, Source};
use barkeep_pci::header;

impl Maker<'_> {
    /// Tells the story, if there is somebody to tell it of.
    pub(super) fn story(&mut self) {
        let Some((buffer, window, space)) = self.mappable() else { return };
        let Some(file) = self.file_of(window.device) else { return };
        let Some(iova) = self.draw.one_of(IOVAS) else { return };
        let length = window.size;
        for area in self.expected.areas.clone() {
            if area.overlaps(space, iova, length) {
                self.push(Op::Unmap { space, iova: area.iova, length: area.length });
            }
        }
        self.push(Op::Map { space, source: Source::Buffer(buffer), start: 0, length, iova });
        let mut aim = iova;
        if let Some(to_iova) = self.draw.one_of(IOVAS).filter(|to| *to != iova && self.draw.below(4) == 0) {
            self.push(Op::Copy { from: space, to: space, iova, length, to_iova });
            aim = to_iova;
        }
        for op in self.events(window.device, file) {
            self.push(op);
        }
        if let Some(into) = self.word_inside(window)
            && let Some(engine) = self.cast.engine.and_then(|engine| self.file_of(engine))
        {
            let value = self.nonce();
            self.push(Op::Dma { file: engine, iova: aim.wrapping_add(into), value });
        }
    }

    /// The same of a CPU that has the dma-buf itself mapped: what it wrote is there, nothing is while it is
    /// revoked, and afterwards the same mapping works again. Of several ranges the last one is looked at.
    pub(super) fn mapped_story(&mut self) {
        let device = self.cast.target;
        let Some(bar) = self.machine[device].memory_bar else { return };
        let Some(word) = self.draw.one_of(&self.machine[device].watched) else { return };
        let (page, pages) = (word & !(PAGE - 1), self.machine.size(device, u32::from(bar)) / PAGE);
        let other = PAGE * u64::from(self.draw.below(pages.min(8) as u32));
        let ranges =
            if self.draw.once_in(2) { vec![(other, PAGE), (page, PAGE)] } else { vec![(page, PAGE)] };
        let size = PAGE * ranges.len() as u64;
        let offset = size - PAGE + (word - page);
        let Some(file) = self.file_of(device) else { return };
        let Some(buffer) = self.register(|expected| &expected.buffers, false) else { return };
        let Some(map) = self.register(|expected| &expected.maps, false) else { return };
        self.push(Op::Export { file, region: u32::from(bar), ranges, flags: 0, buffer });
        self.push(Op::MapBuffer { buffer, offset: 0, size, map });
        let value = self.nonce();
        self.push(Op::CpuWrite { map, offset, value });
        for op in self.events(device, file) {
            self.push(op);
        }
        self.push(Op::CpuRead { map, offset });
    }

    /// A buffer of memory, and the engine's space.
    fn mappable(&mut self) -> Option<(u8, Window, u8)> {
        let engine = self.cast.engine?;
        let space = self.expected.devices[usize::from(engine)].space?;
        let buffer = self.buffer()?;
        let Buffer { window, second: _ } = self.expected.buffers[usize::from(buffer)]?;
        let memory = self.machine.bar(window.device, window.bar) == Bar::Memory;
        memory.then_some((buffer, window, space))
    }

    /// What happens to the device, and what it takes to decode again.
    pub(super) fn events(&mut self, device: u8, file: u8) -> Vec<Op> {
        let on = header::COMMAND_MEMORY | header::COMMAND_MASTER;
        let at_open = registers::at_open(self.machine, device, header::COMMAND) & COMMAND_BITS;
        let command =
            |value: u16| Op::ConfigWrite { file, offset: header::COMMAND, width: 2, value: u32::from(value) };
        let (off, on) = (command(at_open & !header::COMMAND_MEMORY), command(at_open | on));
        match self.draw.below(12) {
            0 | 1 => vec![off, on],
            2 => vec![on],
            3 => match registers::power(self.machine, device) {
                Some(offset) => {
                    let state = |value| Op::ConfigWrite { file, offset, width: 2, value };
                    vec![state(1 + self.draw.below(3)), state(0)]
                }
                None => vec![on],
            },
            4 => vec![Op::LowPowerEntry { file, wakes: self.draw.once_in(4) }, Op::LowPowerExit { file }],
            5 => vec![Op::SysfsReset { device }],
            6 => {
                let none = Op::ResetMethods { device, present: false };
                std::iter::once(none).chain(self.reset_of(device)).collect()
            }
            7 | 8 => self.hot_reset(device, file),
            9 => self.flr(device, file).into_iter().collect(),
            _ => self.reset_of(device).into_iter().collect(),
        }
    }

    /// A hot reset by the device or, if one of its set is open, by that.
    fn hot_reset(&mut self, device: u8, file: u8) -> Vec<Op> {
        let siblings = super::siblings(self.machine, device);
        let open = siblings.into_iter().find_map(|sibling| self.file_of(sibling));
        vec![Op::HotReset { file: open.unwrap_or(file) }]
    }
}
