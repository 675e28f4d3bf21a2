//! Kernels that differ only in names: two devices of the same kind exchanged, objects numbered
//! otherwise. What holds for one holds for the other, so an exploration needs to look at one only.
//!
//! Not everything is the same under an exchange: a hot reset takes the members of a set in the
//! order of their numbers. Devices that share a set must not be exchanged.

use super::dma_buf::AttachmentId;
use super::files::{FileId, VmaId};
use super::iommufd::{Backing, Filling, PagesId};
use super::vfio_pci_dmabuf::ExportId;
use super::{Call, Kernel, Section, Slab, Task, put};
use barkeep_pci::header;
use barkeep_pci::write::{Bytes, ConfigWrite};

/// Two devices that change places, with all that belongs to each. Every pair is exchanged in both
/// directions; what is in no pair stays what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The devices; of the same hardware but for name and addresses, and of different sets.
    pub devices: Vec<(usize, usize)>,
    /// Their files.
    pub files: Vec<(FileId, FileId)>,
    /// Their mappings.
    pub vmas: Vec<(VmaId, VmaId)>,
    /// Their dma-bufs.
    pub exports: Vec<(ExportId, ExportId)>,
    /// Attachments to those.
    pub attachments: Vec<(AttachmentId, AttachmentId)>,
    /// Addresses a guest gives to their BARs, also IOVAs: first byte of each range. Below 4 GiB
    /// and aligned to [`Self::size`].
    pub addresses: Vec<(u64, u64)>,
    /// Bytes of each of those ranges, a power of two.
    pub size: u64,
}

fn other<T: Copy + PartialEq>(pairs: &[(T, T)], one: T) -> T {
    pairs
        .iter()
        .find_map(|&(a, b)| match () {
            () if a == one => Some(b),
            () if b == one => Some(a),
            () => None,
        })
        .unwrap_or(one)
}

impl Exchange {
    /// A device.
    #[must_use]
    pub fn device(&self, device: usize) -> usize {
        other(&self.devices, device)
    }

    /// An address, also in the middle of a range.
    #[must_use]
    pub fn address(&self, address: u64) -> u64 {
        let offset = if self.size == 0 { 0 } else { address & (self.size - 1) };
        other(&self.addresses, address - offset) + offset
    }

    /// A BAR register's value: its address, and the bits below that are none.
    #[must_use]
    pub fn register(&self, value: u32) -> u32 {
        self.address(value.into()) as u32
    }

    /// A write to config space: one of a BAR register gives it an address.
    #[must_use]
    pub fn write(&self, write: &ConfigWrite) -> ConfigWrite {
        let bars = header::BAR0..header::BARS_END;
        match write.bytes {
            Bytes::Four(bytes) if bars.contains(&write.offset) => {
                ConfigWrite::dword(write.offset, self.register(u32::from_le_bytes(bytes)))
            }
            Bytes::One(_) | Bytes::Two(_) | Bytes::Four(_) => *write,
        }
    }

    fn file(&self, file: FileId) -> FileId {
        other(&self.files, file)
    }

    fn export(&self, export: ExportId) -> ExportId {
        other(&self.exports, export)
    }

    /// A call.
    #[must_use]
    pub fn call(&self, call: &Call) -> Call {
        let mut call = call.clone();
        match &mut call {
            Call::Open { device, context: _ }
            | Call::SysfsReset { device }
            | Call::ResetMethods { device, present: _ }
            | Call::Remove { device }
            | Call::Rescan { device } => *device = self.device(*device),
            Call::Attach { file, space: _ }
            | Call::Detach { file }
            | Call::CloseFile { file }
            | Call::MapBar { file, bar: _, offset: _, size: _ }
            | Call::Reset { file }
            | Call::HotReset { file }
            | Call::LowPowerEntry { file, wakes: _ }
            | Call::LowPowerExit { file }
            | Call::ExportRegions { file, ranges: _ }
            | Call::Export { file, region: _, ranges: _, flags: _ } => *file = self.file(*file),
            Call::ConfigWrite { file, write } => {
                *file = self.file(*file);
                *write = self.write(write);
            }
            Call::UnmapBar { vma } => *vma = other(&self.vmas, *vma),
            Call::CloseBuffer { export } => *export = self.export(*export),
            Call::MapBuffer { space: _, export, start: _, length: _, iova } => {
                *export = self.export(*export);
                *iova = self.address(*iova);
            }
            Call::MapForeign { space: _, size: _, start: _, length: _, iova }
            | Call::MapMemory { space: _, memory: _, start: _, length: _, iova }
            | Call::Unmap { space: _, iova, length: _ } => *iova = self.address(*iova),
            Call::Copy { from: _, to: _, iova, length: _, to_iova } => {
                *iova = self.address(*iova);
                *to_iova = self.address(*to_iova);
            }
        }
        call
    }

    fn section(&self, section: &Section) -> Section {
        let mut section = section.clone();
        match &mut section {
            Section::DownWrite(device)
            | Section::UpWrite(device)
            | Section::Zap(device)
            | Section::Move { device, revoked: _, at: _ }
            | Section::MoveBackIfEnabled(device)
            | Section::SetPowerState { device, state: _ }
            | Section::TryReset { device, report: _ }
            | Section::ResetDone { device, report: _, result: _ }
            | Section::EnterLowPower { device, wakes: _ }
            | Section::LeaveLowPower(device)
            | Section::SleepAgain(device)
            | Section::ForgetExports(device)
            | Section::ResetBus(device)
            | Section::BusResetDone { caller: device, result: _ }
            | Section::GiveBackMembers { caller: device, taken: _ } => *device = self.device(*device),
            Section::TakeMember { caller, member, place: _ } => {
                *caller = self.device(*caller);
                *member = self.device(*member);
            }
            Section::ConfigPiece { device, piece } | Section::StoreCommand { device, piece } => {
                *device = self.device(*device);
                *piece = self.write(piece);
            }
            Section::WaitForImporters(export)
            | Section::ClearRevoked(export)
            | Section::ListExport(export)
            | Section::Release(export) => *export = self.export(*export),
            Section::Disable(file) => *file = self.file(*file),
            Section::Fill(Filling { space: _, iova }) => *iova = self.address(*iova),
            Section::Sleep(_) => {}
        }
        section
    }

    /// A call under way.
    #[must_use]
    pub fn task(&self, task: &Task) -> Task {
        let holds = (0..u64::BITS as usize).filter(|device| task.holds(*device));
        Task {
            todo: task.todo.iter().map(|section| self.section(section)).collect(),
            answer: task.answer,
            holds: holds.fold(0, |holds, device| holds | 1 << self.device(device)),
        }
    }

    fn slab<T>(slab: &mut Slab<T>, pairs: &[(usize, usize)]) {
        for &(a, b) in pairs {
            if slab.len() <= a.max(b) {
                slab.resize_with(a.max(b) + 1, || None);
            }
            slab.swap(a, b);
        }
        while slab.last().is_some_and(Option::is_none) {
            slab.pop();
        }
    }
}

impl Kernel {
    /// The same kernel with the devices exchanged.
    #[must_use]
    pub fn exchanged(&self, by: &Exchange) -> Self {
        let mut kernel = self.clone();
        for &(a, b) in &by.devices {
            kernel.functions.swap(a, b);
        }
        for function in &mut kernel.functions {
            function.file = function.file.map(|file| by.file(file));
            for register in &mut function.shadow_bars {
                *register = by.register(*register);
            }
            for export in &mut function.exports {
                *export = by.export(*export);
            }
        }
        Exchange::slab(&mut kernel.files, &numbers(&by.files, |id| id.0));
        Exchange::slab(&mut kernel.vmas, &numbers(&by.vmas, |id| id.0));
        Exchange::slab(&mut kernel.exports, &numbers(&by.exports, |id| id.0));
        Exchange::slab(&mut kernel.attachments, &numbers(&by.attachments, |id| id.0));
        for file in kernel.files.iter_mut().flatten() {
            file.device = by.device(file.device);
        }
        for vma in kernel.vmas.iter_mut().flatten() {
            vma.file = by.file(vma.file);
        }
        for export in kernel.exports.iter_mut().flatten() {
            export.device = export.device.map(|device| by.device(device));
            export.origin = by.device(export.origin);
        }
        for vma in kernel.buffer_vmas.iter_mut().flatten() {
            vma.export = by.export(vma.export);
        }
        for attachment in kernel.attachments.iter_mut().flatten() {
            attachment.export = by.export(attachment.export);
        }
        kernel.exchange_mapped(by);
        kernel.renumber_pages();
        kernel
    }

    fn exchange_mapped(&mut self, by: &Exchange) {
        for pages in self.pages.iter_mut().flatten() {
            if let Backing::DmaBuf { export, dead: _ } = &mut pages.what {
                *export = by.export(*export);
            }
        }
        for space in &mut self.spaces {
            for area in &mut space.areas {
                area.iova = by.address(area.iova);
            }
            space.areas.sort_by_key(|area| area.iova);
        }
    }

    /// Numbers pages in the order in which the address spaces show them. Nobody outside of the
    /// kernel has their numbers, so this changes nothing, and states that differ only in who
    /// mapped first become one. Pages that no area has, which would be a leak, come last.
    pub fn renumber_pages(&mut self) {
        let mut old: Vec<usize> = Vec::with_capacity(self.pages.len());
        for area in self.spaces.iter().flat_map(|space| &space.areas) {
            if !old.contains(&area.pages.0) {
                old.push(area.pages.0);
            }
        }
        if old.iter().copied().eq(0..self.pages.len()) {
            return;
        }
        let lost: Vec<usize> = (0..self.pages.len()).filter(|number| !old.contains(number)).collect();
        old.extend(lost.into_iter().filter(|number| self.pages[*number].is_some()));
        let mut pages = Slab::new();
        for number in &old {
            if let Some(page) = self.pages.get_mut(*number).and_then(Option::take) {
                put(&mut pages, page);
            }
        }
        for area in self.spaces.iter_mut().flat_map(|space| &mut space.areas) {
            let new = old.iter().position(|number| *number == area.pages.0);
            area.pages = PagesId(new.unwrap_or(area.pages.0));
        }
        self.pages = pages;
    }
}

fn numbers<T: Copy>(pairs: &[(T, T)], number: impl Fn(T) -> usize) -> Vec<(usize, usize)> {
    pairs.iter().map(|&(a, b)| (number(a), number(b))).collect()
}

#[cfg(test)]
#[path = "symmetry_test.rs"]
mod tests;
