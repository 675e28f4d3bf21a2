//! Classes of states: how many different situations operations have met.

use super::Process;
use crate::kernel::{ExportId, FileId};
use crate::op::{Op, Source};
use barkeep_pci::header;

/// What an operation meets of its device, its dma-buf and its space, without addresses, numbers
/// and contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(u32);

impl Class {
    fn add(&mut self, bits: &[bool]) {
        for &bit in bits {
            self.0 = self.0 << 1 | u32::from(bit);
        }
    }
}

impl Process {
    /// The class of the state an operation is about to meet.
    #[must_use]
    pub fn class(&self, op: &Op) -> Class {
        let mut class = Class::default();
        let (file, buffer, space) = names(op);
        let file = file.map(|file| self.file(file));
        let buffer = buffer.map(|buffer| self.buffer(buffer));
        class.add(&[file.is_some(), file.flatten().is_some()]);
        self.add_device(&mut class, device_of(op), file.flatten());
        self.add_buffer(&mut class, buffer.flatten());
        self.add_space(&mut class, space);
        self.add_import(&mut class, op);
        class
    }

    fn add_device(&self, class: &mut Class, device: Option<u8>, file: Option<FileId>) {
        let by_file = file.and_then(|file| self.kernel.file(file)).map(|file| file.device);
        let Some(device) = by_file.or_else(|| self.device(device?)) else {
            class.add(&[false]);
            return;
        };
        let function = &self.kernel.functions()[device];
        let revoked = |id: &ExportId| self.kernel.export(*id).is_some_and(|export| export.revoked);
        class.add(&[
            true,
            function.shadow_command & header::COMMAND_MEMORY != 0,
            function.power == 3,
            function.low_power,
            function.wakes,
            function.resettable,
            function.space.is_some(),
            self.kernel.is_leaving(device),
            self.kernel.is_gone(device),
            function.file.is_some(),
            function.exports.iter().any(revoked),
            function.exports.iter().any(|id| !revoked(id)),
            self.kernel.layout(device).is_virtual_function,
        ]);
    }

    fn add_buffer(&self, class: &mut Class, id: Option<ExportId>) {
        let Some(export) = id.and_then(|id| self.kernel.export(id)) else {
            class.add(&[false]);
            return;
        };
        class.add(&[true, export.revoked, export.device.is_none(), export.ranges.len() > 1]);
    }

    /// Nothing for an operation that names none: there are bits to spare only for those that do.
    fn add_import(&self, class: &mut Class, op: &Op) {
        let Some(attachment) = import_of(op).and_then(|import| self.attachment(import)) else { return };
        class.add(&[true, attachment.mapped, attachment.pinned, attachment.tally().notices > 0]);
        self.add_buffer(class, Some(attachment.export));
    }

    fn add_space(&self, class: &mut Class, space: Option<u8>) {
        let Some(space) = space.and_then(super::space_of) else {
            class.add(&[false]);
            return;
        };
        let used = self.kernel.functions().iter().any(|function| function.space == Some(space));
        let areas = self.kernel.spaces()[space].areas.len();
        class.add(&[true, used, areas > 1, self.kernel.has_dead(space)]);
    }
}

/// The attachment an operation names.
fn import_of(op: &Op) -> Option<u8> {
    match *op {
        Op::ImportMap { import }
        | Op::ImportUnmap { import }
        | Op::ImportUse { import, .. }
        | Op::ImportPin { import, .. }
        | Op::ImportEnd { import } => Some(import),
        _ => None,
    }
}

/// The registers an operation names: a file, a dma-buf, a space.
fn names(op: &Op) -> (Option<u8>, Option<u8>, Option<u8>) {
    match *op {
        Op::Open { .. }
        | Op::ReceiveFile { .. }
        | Op::ReceiveBuffer { .. }
        | Op::UnmapBar { .. }
        | Op::CpuRead { .. }
        | Op::CpuWrite { .. }
        | Op::SysfsReset { .. }
        | Op::ResetMethods { .. }
        | Op::Remove { .. }
        | Op::Rescan { .. }
        | Op::ImportMap { .. }
        | Op::ImportUnmap { .. }
        | Op::ImportUse { .. }
        | Op::ImportPin { .. }
        | Op::ImportEnd { .. } => (None, None, None),
        Op::Attach { file, space } => (Some(file), None, Some(space)),
        Op::Detach { file }
        | Op::DupFile { file, .. }
        | Op::SendFile { file }
        | Op::ReopenFile { file }
        | Op::CloseFile { file }
        | Op::ConfigWrite { file, .. }
        | Op::ConfigRead { file, .. }
        | Op::RegionRead { file, .. }
        | Op::RegionWrite { file, .. }
        | Op::MapBar { file, .. }
        | Op::Reset { file }
        | Op::HotReset { file }
        | Op::LowPowerEntry { file, .. }
        | Op::LowPowerExit { file }
        | Op::Export { file, .. }
        | Op::ExportProbe { file }
        | Op::ExportSet { file }
        | Op::Dma { file, .. } => (Some(file), None, None),
        Op::DupBuffer { buffer, .. }
        | Op::SendBuffer { buffer }
        | Op::ReopenBuffer { buffer }
        | Op::MapBuffer { buffer, .. }
        | Op::Import { buffer, .. }
        | Op::BufferSize { buffer }
        | Op::CloseBuffer { buffer } => (None, Some(buffer), None),
        Op::Map { space, source: Source::Buffer(buffer), .. } => (None, Some(buffer), Some(space)),
        Op::Map { space, source: Source::Foreign | Source::Memory, .. } | Op::Unmap { space, .. } => {
            (None, None, Some(space))
        }
        Op::Copy { from, .. } => (None, None, Some(from)),
    }
}

/// The device an operation names by its number.
fn device_of(op: &Op) -> Option<u8> {
    match *op {
        Op::Open { device, .. }
        | Op::SysfsReset { device }
        | Op::ResetMethods { device, .. }
        | Op::Remove { device }
        | Op::Rescan { device } => Some(device),
        _ => None,
    }
}
