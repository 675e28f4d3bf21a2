//! What is in the memory that BARs, RAM and the engine have; and the operations that move it.

use super::{Done, Mapped, Process};
use crate::errno::Errno;
use crate::kernel::{Call, CpuTarget, Memory, Target, VmaId};
use crate::op::{Op, PAGE, RAM_IOVA};
use std::collections::BTreeMap;

/// Words that are not zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// By device and offset in its memory BAR.
    bars: BTreeMap<(usize, u64), u8>,
    /// The first word of the RAM page.
    ram: u32,
}

impl Contents {
    fn read(&self, device: usize, offset: u64) -> u32 {
        let byte = |n: u64| self.bars.get(&(device, offset + n)).copied().unwrap_or(0);
        u32::from_le_bytes(std::array::from_fn(|n| byte(n as u64)))
    }

    fn write(&mut self, device: usize, offset: u64, value: u32) {
        for (n, byte) in value.to_le_bytes().into_iter().enumerate() {
            self.bars.insert((device, offset + n as u64), byte);
        }
    }
}

impl Process {
    /// What a read of 4 bytes gives: of a BAR that is not memory nothing is specified, and the
    /// answer is 0.
    pub(super) fn word_at(&self, target: CpuTarget) -> u32 {
        match target {
            CpuTarget::Bar { device, bar, offset } if self.is_memory(device, bar) => {
                self.contents.read(device, offset)
            }
            CpuTarget::Bar { .. } => 0,
            CpuTarget::Nobody => u32::MAX,
        }
    }

    fn is_memory(&self, device: usize, bar: u8) -> bool {
        self.kernel.hardware().devices[device].memory_bar == Some(bar)
    }

    fn store(&mut self, target: CpuTarget, value: u32) {
        if let CpuTarget::Bar { device, bar, offset } = target
            && self.is_memory(device, bar)
        {
            self.contents.write(device, offset, value);
        }
    }

    pub(super) fn access_op(&mut self, op: &Op) -> Done {
        match *op {
            Op::RegionRead { file, bar, offset } => {
                let file = self.file(file)?;
                let target = self.kernel.region_access(file, bar, offset);
                Some(target.map(|target| u64::from(self.word_at(target))))
            }
            Op::RegionWrite { file, bar, offset, value } => {
                let file = self.file(file)?;
                let target = self.kernel.region_access(file, bar, offset);
                Some(target.map(|target| {
                    self.store(target, value);
                    0
                }))
            }
            Op::MapBar { file, bar, offset, size, map } => {
                let file = self.file(file)?;
                Self::is_empty(&self.maps, map)?;
                let mapped = self.call(&Call::MapBar { file, bar, offset, size });
                self.maps[usize::from(map)] = mapped.ok().map(|id| Mapped::Bar(VmaId(id as usize)));
                Some(mapped.map(|_| 0))
            }
            Op::UnmapBar { map } => match self.maps.get_mut(usize::from(map))?.take()? {
                Mapped::Bar(vma) => Some(self.call(&Call::UnmapBar { vma })),
                Mapped::Buffer(vma) => {
                    let mut task = self.kernel.unmap_export(vma);
                    Some(self.kernel.finish(&mut task).unwrap_or(Ok(0)))
                }
            },
            Op::MapBuffer { buffer, offset, size, map } => {
                let export = self.buffer(buffer)?;
                Self::is_empty(&self.maps, map)?;
                let mapped = self.kernel.map_export(export, offset, size);
                self.maps[usize::from(map)] = mapped.ok().map(Mapped::Buffer);
                Some(mapped.map(|_| 0))
            }
            Op::CpuRead { map, offset } => {
                let target = self.cpu(map, offset)?;
                Some(target.map(|target| u64::from(self.word_at(target))))
            }
            Op::CpuWrite { map, offset, value } => {
                let target = self.cpu(map, offset)?;
                Some(target.map(|target| {
                    self.store(target, value);
                    0
                }))
            }
            _ => None,
        }
    }

    fn cpu(&mut self, map: u8, offset: u64) -> Option<Result<CpuTarget, Errno>> {
        let mapped = (*self.maps.get(usize::from(map))?)?;
        let size = match mapped {
            Mapped::Bar(vma) => self.kernel.vma(vma)?.size,
            Mapped::Buffer(vma) => self.kernel.buffer_vma(vma)?.size,
        };
        let size = size.next_multiple_of(PAGE);
        // Behind the end of the mapping there is none.
        if offset.checked_add(4).is_none_or(|end| end > size) {
            return Some(Err(Errno::EFAULT));
        }
        Some(self.access(mapped, offset))
    }

    pub(super) fn access(&mut self, mapped: Mapped, offset: u64) -> Result<CpuTarget, Errno> {
        match mapped {
            Mapped::Bar(vma) => self.kernel.cpu_access(vma, offset),
            Mapped::Buffer(vma) => self.kernel.buffer_access(vma, offset),
        }
    }

    /// The engine's two DMAs. Where the first cannot read RAM the second cannot write either:
    /// both go through one bus master bit and one address space.
    pub(super) fn dma(&mut self, file: u8, iova: u64, value: u32) -> Done {
        let id = self.file(file)?;
        let device = self.kernel.file(id)?.device;
        if !self.kernel.hardware().devices[device].engine {
            return None;
        }
        self.contents.ram = value;
        if let Err(errno) = self.kernel.region_access(id, 0, 0) {
            return Some(Err(errno));
        }
        let reads = self.kernel.dma(device, RAM_IOVA) == Some(Target::Memory(Memory::Ram, 0));
        let carried = if reads { self.contents.ram } else { 0 };
        match self.kernel.dma(device, iova) {
            Some(Target::Bar { device, bar, offset, answers: true }) => {
                self.store(CpuTarget::Bar { device, bar, offset }, carried);
            }
            Some(Target::Memory(Memory::Ram, 0)) => self.contents.ram = carried,
            Some(Target::Bar { answers: false, .. } | Target::Memory(..)) | None => {}
        }
        Some(Ok(0))
    }
}
