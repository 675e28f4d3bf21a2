//! A process that owns registers: the specification as a [`Subject`].

mod class;
mod contents;
mod imports;
mod looks;

use crate::abilities::Abilities;
use crate::errno::Errno;
use crate::hardware::Hardware;
use crate::kernel::{BufferVmaId, Call, ExportId, FileId, Kernel, Memory, VmaId};
use crate::op::{
    Answer, BUFFERS, CONTEXTS, FILES, IMPORTS, MAPS, Op, SOURCE_SIZE, SPACES, Seen, Source, Subject,
};
use crate::profile::Profile;
use crate::rule::{Rule, RuleSet};
use barkeep_pci::layout::LayoutError;
use barkeep_pci::write::ConfigWrite;
pub use class::Class;
use contents::Contents;
use imports::Import;
use std::collections::VecDeque;

/// Answers what the kernel would. `None` is [`Answer::Idle`].
type Done = Option<Result<u64, Errno>>;

/// A mapping that a CPU has.
#[derive(Clone, Copy, Debug)]
enum Mapped {
    Bar(VmaId),
    Buffer(BufferVmaId),
}

/// The specification, asked by operations.
#[derive(Clone, Debug)]
pub struct Process {
    /// As it is after the boot; every episode begins with a copy.
    fresh: Kernel,
    kernel: Kernel,
    contents: Contents,
    files: [Option<FileId>; FILES],
    buffers: [Option<ExportId>; BUFFERS],
    maps: [Option<Mapped>; MAPS],
    imports: [Option<Import>; IMPORTS],
    sent_files: VecDeque<FileId>,
    sent_buffers: VecDeque<ExportId>,
    reached: RuleSet,
    hung: bool,
}

impl Process {
    /// The specification of `profile` on this machine.
    ///
    /// # Errors
    /// A device's config space is none a function can have.
    pub fn new(hardware: &Hardware, profile: Profile) -> Result<Self, LayoutError> {
        Ok(Self::on(Kernel::new(hardware, profile)?))
    }

    /// The same with an error planted in it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn planted(hardware: &Hardware, profile: Profile, rule: Rule) -> Result<Self, LayoutError> {
        Ok(Self::on(Kernel::new(hardware, profile)?.with_planted(rule)))
    }

    /// The same, of a kernel that can do this much.
    #[must_use]
    pub fn able(self, abilities: Abilities) -> Self {
        Self::on(self.fresh.with_abilities(abilities))
    }

    fn on(kernel: Kernel) -> Self {
        Self {
            fresh: kernel.clone(),
            kernel,
            contents: Contents::default(),
            files: [None; FILES],
            buffers: [None; BUFFERS],
            maps: [None; MAPS],
            imports: [None; IMPORTS],
            sent_files: VecDeque::new(),
            sent_buffers: VecDeque::new(),
            reached: RuleSet::default(),
            hung: false,
        }
    }

    /// The kernel as it is now.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The rules that decided something, in all episodes.
    #[must_use]
    pub fn reached(&self) -> RuleSet {
        let mut reached = self.reached;
        reached.extend(self.kernel.reached());
        reached
    }

    fn call(&mut self, call: &Call) -> Result<u64, Errno> {
        match self.kernel.call(call) {
            Some(answer) => answer,
            None => {
                self.hung = true;
                Ok(0)
            }
        }
    }

    fn file(&self, register: u8) -> Option<FileId> {
        *self.files.get(usize::from(register))?
    }

    fn buffer(&self, register: u8) -> Option<ExportId> {
        *self.buffers.get(usize::from(register))?
    }

    fn is_empty<T>(registers: &[Option<T>], register: u8) -> Option<()> {
        registers.get(usize::from(register))?.is_none().then_some(())
    }

    fn carry_out(&mut self, op: &Op) -> Done {
        match *op {
            Op::Open { .. }
            | Op::Attach { .. }
            | Op::Detach { .. }
            | Op::DupFile { .. }
            | Op::SendFile { .. }
            | Op::ReceiveFile { .. }
            | Op::ReopenFile { .. }
            | Op::CloseFile { .. } => self.file_op(op),
            Op::ConfigWrite { file, offset, width, value } => {
                let file = self.file(file)?;
                let bytes = value.to_le_bytes();
                let write = ConfigWrite::new(offset, bytes.get(..usize::from(width))?)?;
                Some(self.call(&Call::ConfigWrite { file, write }).map(|_| 0))
            }
            Op::ConfigRead { file, offset, width, mask } => {
                let file = self.file(file)?;
                let mut bytes = [0; 4];
                let read = self.kernel.config_read(file, offset, bytes.get_mut(..usize::from(width))?);
                Some(read.map(|()| u64::from(u32::from_le_bytes(bytes) & mask)))
            }
            Op::RegionRead { .. }
            | Op::RegionWrite { .. }
            | Op::MapBar { .. }
            | Op::MapBuffer { .. }
            | Op::UnmapBar { .. }
            | Op::CpuRead { .. }
            | Op::CpuWrite { .. } => self.access_op(op),
            Op::Reset { file } => self.call_on(file, |file| Call::Reset { file }),
            Op::HotReset { file } => self.call_on(file, |file| Call::HotReset { file }),
            Op::LowPowerEntry { file, wakes } => {
                self.call_on(file, |file| Call::LowPowerEntry { file, wakes })
            }
            Op::LowPowerExit { file } => self.call_on(file, |file| Call::LowPowerExit { file }),
            Op::Export { .. }
            | Op::ExportProbe { .. }
            | Op::ExportSet { .. }
            | Op::DupBuffer { .. }
            | Op::SendBuffer { .. }
            | Op::ReceiveBuffer { .. }
            | Op::ReopenBuffer { .. }
            | Op::BufferSize { .. }
            | Op::CloseBuffer { .. } => self.buffer_op(op),
            Op::Map { space, source, start, length, iova } => self.map(space, source, start, length, iova),
            Op::Unmap { space, iova, length } => {
                let space = space_of(space)?;
                Some(self.call(&Call::Unmap { space, iova, length }))
            }
            Op::Copy { from, to, iova, length, to_iova } => {
                let (from, to) = (space_of(from)?, space_of(to)?);
                Some(self.call(&Call::Copy { from, to, iova, length, to_iova }))
            }
            Op::Dma { file, iova, value } => self.dma(file, iova, value),
            Op::Import { .. }
            | Op::ImportMap { .. }
            | Op::ImportUnmap { .. }
            | Op::ImportUse { .. }
            | Op::ImportPin { .. }
            | Op::ImportEnd { .. } => self.import_op(op),
            Op::SysfsReset { .. } | Op::ResetMethods { .. } | Op::Remove { .. } | Op::Rescan { .. } => {
                self.sysfs_op(op)
            }
        }
    }

    fn call_on(&mut self, file: u8, call: impl FnOnce(FileId) -> Call) -> Done {
        let file = self.file(file)?;
        Some(self.call(&call(file)))
    }

    fn file_op(&mut self, op: &Op) -> Done {
        match *op {
            Op::Open { device, context, file } => {
                Self::is_empty(&self.files, file)?;
                let device = self.device(device)?;
                if usize::from(context) >= CONTEXTS {
                    return None;
                }
                let opened = self.call(&Call::Open { device, context });
                self.files[usize::from(file)] = opened.ok().map(|id| FileId(id as usize));
                Some(opened.map(|_| 0))
            }
            Op::Attach { file, space } => {
                let space = space_of(space)?;
                self.call_on(file, |file| Call::Attach { file, space })
            }
            Op::Detach { file } => self.call_on(file, |file| Call::Detach { file }),
            Op::DupFile { file, to } => {
                let id = self.file(file)?;
                Self::is_empty(&self.files, to)?;
                self.kernel.hold_file(id);
                self.files[usize::from(to)] = Some(id);
                Some(Ok(0))
            }
            Op::SendFile { file } => {
                let id = self.file(file)?;
                self.kernel.hold_file(id);
                self.sent_files.push_back(id);
                Some(Ok(0))
            }
            Op::ReceiveFile { to } => {
                Self::is_empty(&self.files, to)?;
                let Some(id) = self.sent_files.pop_front() else {
                    return Some(Err(Errno::EAGAIN));
                };
                self.files[usize::from(to)] = Some(id);
                Some(Ok(0))
            }
            Op::ReopenFile { file } => {
                self.file(file)?;
                Some(Err(self.kernel.reopen_file()))
            }
            Op::CloseFile { file } => {
                let id = self.files.get_mut(usize::from(file))?.take()?;
                Some(self.call(&Call::CloseFile { file: id }))
            }
            _ => None,
        }
    }

    fn buffer_op(&mut self, op: &Op) -> Done {
        match *op {
            Op::Export { file, region, ref ranges, flags, buffer } => {
                let file = self.file(file)?;
                Self::is_empty(&self.buffers, buffer)?;
                let exported = self.call(&Call::Export { file, region, ranges: ranges.clone(), flags });
                self.buffers[usize::from(buffer)] = exported.ok().map(|id| ExportId(id as usize));
                Some(exported.map(|_| 0))
            }
            Op::ExportProbe { file } => {
                let file = self.file(file)?;
                Some(self.kernel.probe_export(file))
            }
            Op::ExportSet { file } => {
                let file = self.file(file)?;
                Some(self.kernel.set_export(file))
            }
            Op::DupBuffer { buffer, to } => {
                let id = self.buffer(buffer)?;
                Self::is_empty(&self.buffers, to)?;
                self.kernel.hold_export(id);
                self.buffers[usize::from(to)] = Some(id);
                Some(Ok(0))
            }
            Op::SendBuffer { buffer } => {
                let id = self.buffer(buffer)?;
                self.kernel.hold_export(id);
                self.sent_buffers.push_back(id);
                Some(Ok(0))
            }
            Op::ReceiveBuffer { to } => {
                Self::is_empty(&self.buffers, to)?;
                let Some(id) = self.sent_buffers.pop_front() else {
                    return Some(Err(Errno::EAGAIN));
                };
                self.buffers[usize::from(to)] = Some(id);
                Some(Ok(0))
            }
            Op::ReopenBuffer { buffer } => {
                self.buffer(buffer)?;
                Some(Err(self.kernel.reopen_export()))
            }
            Op::BufferSize { buffer } => {
                let id = self.buffer(buffer)?;
                Some(self.kernel.export_size(id))
            }
            Op::CloseBuffer { buffer } => {
                let export = self.buffers.get_mut(usize::from(buffer))?.take()?;
                Some(self.call(&Call::CloseBuffer { export }))
            }
            _ => None,
        }
    }

    fn map(&mut self, space: u8, source: Source, start: u64, length: u64, iova: u64) -> Done {
        let space = space_of(space)?;
        let call = match source {
            Source::Buffer(buffer) => {
                let export = self.buffer(buffer)?;
                Call::MapBuffer { space, export, start, length, iova }
            }
            Source::Foreign => Call::MapForeign { space, size: SOURCE_SIZE, start, length, iova },
            Source::Memory => Call::MapMemory { space, memory: Memory::File, start, length, iova },
        };
        Some(self.call(&call).map(|_| 0))
    }

    fn sysfs_op(&mut self, op: &Op) -> Done {
        match *op {
            Op::SysfsReset { device } => {
                let device = self.device(device)?;
                if self.kernel.is_leaving(device) {
                    // The removal has the device's lock and waits for us.
                    self.hung = true;
                    return Some(Ok(0));
                }
                Some(self.call(&Call::SysfsReset { device }))
            }
            Op::ResetMethods { device, present } => {
                let device = self.device(device)?;
                Some(self.call(&Call::ResetMethods { device, present }))
            }
            Op::Remove { device } => {
                let device = self.device(device)?;
                let count = self.kernel.functions().len();
                if (0..count).any(|other| self.kernel.is_leaving(other))
                    || self.kernel.is_gone(device)
                    || self.kernel.hardware().devices[device].virtual_function
                {
                    return None;
                }
                Some(self.call(&Call::Remove { device }))
            }
            Op::Rescan { device } => {
                let device = self.device(device)?;
                let count = self.kernel.functions().len();
                let leaving = (0..count).any(|other| self.kernel.is_leaving(other));
                if leaving || !self.kernel.is_gone(device) {
                    return None;
                }
                Some(self.call(&Call::Rescan { device }))
            }
            _ => None,
        }
    }

    fn device(&self, device: u8) -> Option<usize> {
        let device = usize::from(device);
        (device < self.kernel.functions().len()).then_some(device)
    }
}

fn space_of(register: u8) -> Option<usize> {
    Some(usize::from(register)).filter(|space| *space < SPACES)
}

impl Subject for Process {
    fn begin(&mut self) {
        self.reached.extend(self.kernel.reached());
        self.kernel = self.fresh.clone();
        self.contents = Contents::default();
        self.files = [None; FILES];
        self.buffers = [None; BUFFERS];
        self.maps = [None; MAPS];
        self.imports = [None; IMPORTS];
        self.sent_files.clear();
        self.sent_buffers.clear();
        self.hung = false;
    }

    fn apply(&mut self, op: &Op) -> Answer {
        let done = self.carry_out(op);
        if std::mem::take(&mut self.hung) {
            return Answer::Hung;
        }
        done.map_or(Answer::Idle, Answer::from)
    }

    fn seen(&mut self) -> Seen {
        self.look()
    }
}
