//! How most episodes begin: with what a VMM does.

use super::spaces::IOVAS;
use super::{Maker, Theme};
use crate::registers::{self, COMMAND_BITS};
use barkeep_model::op::{PAGE, SPACES};
use barkeep_model::{Op, Source};
use barkeep_pci::header;

const TARGET: u8 = 0;
const ENGINE: u8 = 1;

impl Maker<'_> {
    /// Makes the beginning: nothing, or a VMM's, with something left out or in another order now
    /// and then.
    pub(super) fn begin(&mut self) {
        if self.draw.once_in(8) {
            return;
        }
        let mut ops = self.as_a_vmm_does();
        ops.retain(|_| !self.draw.once_in(16));
        if self.draw.once_in(4) && ops.len() > 1 {
            let first = self.draw.below(ops.len() as u32 - 1) as usize;
            ops.swap(first, first + 1);
        }
        for op in ops {
            self.push(op);
        }
    }

    fn as_a_vmm_does(&mut self) -> Vec<Op> {
        let (target, engine) = (self.cast.target, self.cast.engine.filter(|it| *it != self.cast.target));
        // A context of its own for the engine is rare, but it is what separate VMMs have.
        let apart = self.draw.once_in(10);
        let space = if self.draw.once_in(6) { 1 } else { 0 };
        let mut ops = vec![Op::Open { device: target, context: 0, file: TARGET }];
        if let Some(device) = engine {
            ops.push(Op::Open { device, context: u8::from(apart), file: ENGINE });
            ops.push(Op::Attach { file: ENGINE, space: if apart { 2 } else { space } });
            ops.push(self.enable(device, ENGINE));
        }
        if !self.draw.once_in(3) {
            ops.push(Op::Attach { file: TARGET, space });
        }
        ops.push(self.enable(target, TARGET));
        ops.extend(self.third());
        ops.extend(self.export_and_use(target, if apart { 2 } else { space }, engine.is_some()));
        ops
    }

    /// Decodes memory and may do DMA: vfio-pci takes the second away at the open.
    fn enable(&self, device: u8, file: u8) -> Op {
        let at_open = registers::at_open(self.machine, device, header::COMMAND) & COMMAND_BITS;
        let value = u32::from(at_open | header::COMMAND_MEMORY | header::COMMAND_MASTER);
        Op::ConfigWrite { file, offset: header::COMMAND, width: 2, value }
    }

    /// Somebody else is open too, often, with an export of its own if it has memory.
    fn third(&mut self) -> Vec<Op> {
        const FILE: u8 = 2;
        let likely = if self.theme == Theme::Siblings { 5 } else { 3 };
        let Some(device) = self.cast.third().filter(|_| self.draw.below(6) < likely) else {
            return vec![];
        };
        let context = u8::from(self.draw.once_in(6));
        let mut ops = vec![Op::Open { device, context, file: FILE }, self.enable(device, FILE)];
        if self.draw.once_in(3) {
            ops.push(Op::Attach { file: FILE, space: self.draw.below(SPACES as u32) as u8 });
        }
        if let Some(bar) = self.machine[device].memory_bar {
            let (region, size) = (u32::from(bar), self.machine.size(device, u32::from(bar)));
            ops.push(Op::Export { file: FILE, region, ranges: vec![(0, size)], flags: 0, buffer: 1 });
            ops.push(Op::Map { space: 0, source: Source::Buffer(1), start: 0, length: size, iova: IOVAS[4] });
        }
        ops
    }

    fn export_and_use(&mut self, device: u8, space: u8, engine: bool) -> Vec<Op> {
        let Some(bar) = self.machine[device].memory_bar else {
            let region = self.region(device);
            let ranges = vec![(0, self.machine.size(device, region).max(PAGE))];
            return vec![Op::Export { file: TARGET, region, ranges, flags: 0, buffer: 0 }];
        };
        let size = self.machine.size(device, u32::from(bar));
        let ranges = if self.draw.once_in(4) { self.ranges(size) } else { vec![(0, size)] };
        let (start, length) = ranges.first().copied().unwrap_or((0, PAGE));
        let word = self.machine[device].watched.first().copied().unwrap_or(0);
        let map = self.draw.below(2) as u8;
        let mut ops = vec![
            Op::Export { file: TARGET, region: u32::from(bar), ranges, flags: 0, buffer: 0 },
            Op::MapBar { file: TARGET, bar, offset: 0, size, map },
            Op::Map { space, source: Source::Buffer(0), start: 0, length, iova: IOVAS[0] },
            Op::CpuWrite { map, offset: word, value: self.nonce() },
        ];
        let reached = word.checked_sub(start).filter(|into| into.saturating_add(4) <= length);
        if let Some(into) = reached.filter(|_| engine) {
            ops.push(Op::Dma { file: ENGINE, iova: IOVAS[0] + into, value: self.nonce() ^ 0x4000_0000 });
        }
        ops
    }
}
