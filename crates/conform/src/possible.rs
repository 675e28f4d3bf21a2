//! What every register can hold at the most, whatever the answers were: enough to keep from a
//! device what only the device knows the effect of.
//!
//! A recording has to say the same for whatever sits behind a BAR, so no operation may write to a
//! device's registers, aim a DMA at them or read a value only the device knows. Which device a
//! file register holds depends on what succeeded; here it is a *set*, and an operation is
//! admitted only if it is harmless for every member. Taking operations out of a sequence can make
//! a harmless one harmful (a close that is gone leaves another device in the register), so
//! whoever shortens sequences asks here again.

#[cfg(test)]
mod tests;

use crate::machine::{Bar, Devices, Machine, bit};
use crate::registers;
use barkeep_model::op::{BUFFERS, FILES, MAPS, PAGE, RAM_IOVA};
use barkeep_model::{Op, Source};
use std::ops::Range;

/// Where a write of a device is no DMA but an interrupt message, whatever is mapped there: its value
/// can be one that stops a CPU.
const INTERRUPTS: Range<u64> = 0xfee0_0000..0xfef0_0000;

/// The sets, after some operations.
#[derive(Clone, Debug)]
pub(crate) struct Possible<'a> {
    machine: &'a Machine,
    files: [Devices; FILES],
    sent_files: Devices,
    buffers: [Contents; BUFFERS],
    sent_buffers: Contents,
    maps: [Option<Mapped>; MAPS],
    /// Removed at some time, and perhaps not gone yet.
    leaving: Devices,
    /// IOVAs at which a device's registers may be, in whichever space.
    registers: Vec<Range<u64>>,
}

/// What a dma-buf may be of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Contents {
    /// Memory, or there is none.
    #[default]
    Memory,
    /// Perhaps a device's registers.
    Registers,
}

/// A mapping that may be there.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    contents: Contents,
    /// The fewest bytes it can have.
    size: u64,
}

/// Whether every one of a sequence is harmless where it stands.
#[must_use]
pub fn harmless(ops: &[Op], machine: &Machine) -> bool {
    let mut possible = Possible::new(machine);
    ops.iter().all(|op| possible.take(op))
}

impl<'a> Possible<'a> {
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self {
            machine,
            files: [0; FILES],
            sent_files: 0,
            buffers: [Contents::Memory; BUFFERS],
            sent_buffers: Contents::Memory,
            maps: [None; MAPS],
            leaving: 0,
            registers: Vec::new(),
        }
    }

    /// Takes note of an operation if it is harmless; else says no.
    pub(crate) fn take(&mut self, op: &Op) -> bool {
        let harmless = self.admits(op);
        if harmless {
            self.note(op);
        }
        harmless
    }

    /// Whether an operation is harmless after those noted.
    fn admits(&self, op: &Op) -> bool {
        match *op {
            Op::ConfigWrite { file, offset, width, value } => self.every(file, |device| {
                registers::writes_only_known(self.machine, device, offset, width, value)
            }),
            Op::ConfigRead { file, offset, width, mask } => self
                .every(file, |device| registers::reads_only_known(self.machine, device, offset, width, mask)),
            Op::RegionRead { file, bar, offset } | Op::RegionWrite { file, bar, offset, value: _ } => {
                self.every(file, |device| self.region_is_harmless(device, bar, offset))
            }
            Op::CpuRead { map, offset } | Op::CpuWrite { map, offset, value: _ } => {
                self.maps[usize::from(map)].is_none_or(|Mapped { contents, size }| {
                    contents == Contents::Memory && offset.checked_add(4).is_some_and(|end| end <= size)
                })
            }
            Op::Map { space: _, source: _, start: _, length, iova }
            | Op::Unmap { space: _, iova, length } => leaves_ram(iova, length),
            Op::Copy { from: _, to: _, iova, length, to_iova } => {
                leaves_ram(iova, length) && leaves_ram(to_iova, length)
            }
            Op::Dma { file, iova, value: _ } => {
                self.every(file, |device| self.machine[device].engine)
                    && leaves_ram(iova, 4)
                    && !overlaps(&span(iova, 4), &INTERRUPTS)
                    && !self.registers.iter().any(|range| overlaps(range, &span(iova, 4)))
            }
            // Nothing of these depends on what is behind a BAR.
            Op::Open { .. } | Op::Attach { .. } | Op::Detach { .. } => true,
            Op::DupFile { .. } | Op::SendFile { .. } | Op::ReceiveFile { .. } => true,
            Op::ReopenFile { .. } | Op::CloseFile { .. } => true,
            Op::MapBar { .. } | Op::UnmapBar { .. } => true,
            Op::Reset { .. } | Op::HotReset { .. } => true,
            Op::LowPowerEntry { .. } | Op::LowPowerExit { .. } => true,
            Op::Export { .. } | Op::ExportProbe { .. } | Op::ExportSet { .. } => true,
            Op::DupBuffer { .. } | Op::SendBuffer { .. } | Op::ReceiveBuffer { .. } => true,
            Op::ReopenBuffer { .. } | Op::MapBuffer { .. } => true,
            // An attachment is looked at, and no DMA goes through it.
            Op::Import { .. } | Op::ImportMap { .. } | Op::ImportUnmap { .. } => true,
            Op::ImportUse { .. } | Op::ImportPin { .. } | Op::ImportEnd { .. } => true,
            Op::BufferSize { .. } | Op::CloseBuffer { .. } => true,
            // The removal holds the lock the reset waits for, until the last file is closed: the
            // kernel rightly complains of a hung task.
            Op::SysfsReset { device } => self.leaving & bit(device) == 0,
            Op::ResetMethods { .. } => true,
            Op::Remove { .. } | Op::Rescan { .. } => true,
        }
    }

    /// The devices a file register can hold.
    pub(crate) fn devices(&self, file: u8) -> impl Iterator<Item = u8> + use<> {
        self.machine.of(self.files[usize::from(file)])
    }

    /// Takes note of an operation.
    pub(crate) fn note(&mut self, op: &Op) {
        match *op {
            Op::Open { device, context: _, file } => self.files[usize::from(file)] |= bit(device),
            Op::DupFile { file, to } => self.files[usize::from(to)] |= self.files[usize::from(file)],
            Op::SendFile { file } => self.sent_files |= self.files[usize::from(file)],
            Op::ReceiveFile { to } => self.files[usize::from(to)] |= self.sent_files,
            Op::CloseFile { file } => self.files[usize::from(file)] = 0,
            Op::MapBar { file, bar, offset: _, size, map } => {
                if self.files[usize::from(file)] != 0 {
                    self.note_map(self.contents(file, u32::from(bar)), size, map);
                }
            }
            Op::MapBuffer { buffer, offset: _, size, map } => {
                self.note_map(self.buffers[usize::from(buffer)], size, map);
            }
            Op::UnmapBar { map } => self.maps[usize::from(map)] = None,
            Op::Export { file, region, ranges: _, flags: _, buffer } => {
                let contents = self.contents(file, region);
                let register = &mut self.buffers[usize::from(buffer)];
                *register = contents.max(*register);
            }
            Op::DupBuffer { buffer, to } => {
                self.buffers[usize::from(to)] =
                    self.buffers[usize::from(to)].max(self.buffers[usize::from(buffer)]);
            }
            Op::SendBuffer { buffer } => {
                self.sent_buffers = self.sent_buffers.max(self.buffers[usize::from(buffer)]);
            }
            Op::ReceiveBuffer { to } => {
                self.buffers[usize::from(to)] = self.buffers[usize::from(to)].max(self.sent_buffers);
            }
            Op::CloseBuffer { buffer } => self.buffers[usize::from(buffer)] = Contents::Memory,
            Op::Map { space: _, source: Source::Buffer(buffer), start: _, length, iova } => {
                if self.buffers[usize::from(buffer)] == Contents::Registers {
                    self.registers.push(span(iova, length));
                }
            }
            Op::Copy { from: _, to: _, iova, length, to_iova } => {
                if self.registers.iter().any(|range| overlaps(range, &span(iova, length))) {
                    self.registers.push(span(to_iova, length));
                }
            }
            // An area that is gone stays noted: whether it went depends on the answer.
            Op::Unmap { .. } => {}
            Op::Map { source: Source::Foreign | Source::Memory, .. } => {}
            Op::Attach { .. } | Op::Detach { .. } | Op::ReopenFile { .. } => {}
            Op::ConfigWrite { .. } | Op::ConfigRead { .. } => {}
            Op::RegionRead { .. } | Op::RegionWrite { .. } => {}
            Op::CpuRead { .. } | Op::CpuWrite { .. } | Op::Dma { .. } => {}
            Op::Reset { .. } | Op::HotReset { .. } => {}
            Op::LowPowerEntry { .. } | Op::LowPowerExit { .. } => {}
            Op::ExportProbe { .. } | Op::ExportSet { .. } | Op::ReopenBuffer { .. } => {}
            Op::BufferSize { .. } => {}
            Op::Import { .. } | Op::ImportMap { .. } | Op::ImportUnmap { .. } => {}
            Op::ImportUse { .. } | Op::ImportPin { .. } | Op::ImportEnd { .. } => {}
            Op::Remove { device } => self.leaving |= bit(device),
            Op::SysfsReset { .. } | Op::ResetMethods { .. } | Op::Rescan { .. } => {}
        }
    }

    /// Whether something is so for every device a file register may hold.
    fn every(&self, file: u8, so: impl FnMut(u8) -> bool) -> bool {
        self.machine.of(self.files[usize::from(file)]).all(so)
    }

    fn region_is_harmless(&self, device: u8, bar: u8, offset: u64) -> bool {
        /// From here on there are regions only of drivers for one device.
        const NO_REGION: u8 = 9;
        let beyond = offset >= self.machine.size(device, u32::from(bar));
        match self.machine.bar(device, u32::from(bar)) {
            Bar::Absent => !(6..NO_REGION).contains(&bar),
            Bar::Io | Bar::Registers => beyond,
            Bar::Memory => true,
        }
    }

    fn contents(&self, file: u8, region: u32) -> Contents {
        let memory = |device| self.machine.bar(device, region) != Bar::Registers;
        if self.every(file, memory) { Contents::Memory } else { Contents::Registers }
    }

    fn note_map(&mut self, contents: Contents, size: u64, map: u8) {
        let before = self.maps[usize::from(map)].unwrap_or(Mapped { contents, size });
        self.maps[usize::from(map)] =
            Some(Mapped { contents: contents.max(before.contents), size: size.min(before.size) });
    }
}

/// Bytes from `start`; ends at the last there is rather than wrap.
fn span(start: u64, length: u64) -> Range<u64> {
    start..start.saturating_add(length)
}

fn overlaps(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Not the page the engine's data goes through: without it no DMA says anything.
fn leaves_ram(iova: u64, length: u64) -> bool {
    !overlaps(&span(iova, length), &span(RAM_IOVA, PAGE))
}
