//! The calls of user space, and how each begins.

use super::files::{FileId, VmaId};
use super::iommufd::Memory;
use super::vfio_pci_dmabuf::{ExportId, Range};
use super::{Kernel, Section, Task};
use crate::errno::Errno;
use barkeep_pci::write::ConfigWrite;
use smallvec::SmallVec;

/// A call that changes something. Numbers of objects are what user space has descriptors of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are the arguments of the call that is named")]
pub enum Call {
    /// Opens the device's character device and `VFIO_DEVICE_BIND_IOMMUFD`; answers the file.
    Open { device: usize, context: u8 },
    /// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
    Attach { file: FileId, space: usize },
    /// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
    Detach { file: FileId },
    /// Gives up one reference to a device file.
    CloseFile { file: FileId },
    /// A write to the config region.
    ConfigWrite { file: FileId, write: ConfigWrite },
    /// `mmap` of a BAR; answers the mapping.
    MapBar { file: FileId, bar: u8, offset: u64, size: u64 },
    /// `munmap`.
    UnmapBar { vma: VmaId },
    /// `VFIO_DEVICE_RESET`.
    Reset { file: FileId },
    /// `VFIO_DEVICE_PCI_HOT_RESET`, array empty.
    HotReset { file: FileId },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`, or `_WITH_WAKEUP`.
    LowPowerEntry { file: FileId, wakes: bool },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_EXIT`.
    LowPowerExit { file: FileId },
    /// `VFIO_DEVICE_FEATURE_DMA_BUF`; answers the dma-buf.
    Export { file: FileId, region: u32, ranges: Vec<(u64, u64)>, flags: u32 },
    /// The same of the older design: each range names its BAR.
    ExportRegions { file: FileId, ranges: Vec<Range> },
    /// Gives up one reference to a dma-buf.
    CloseBuffer { export: ExportId },
    /// `IOMMU_IOAS_MAP_FILE` of a vfio dma-buf at a fixed IOVA.
    MapBuffer { space: usize, export: ExportId, start: u64, length: u64, iova: u64 },
    /// The same of a dma-buf somebody else exports, of `size` bytes.
    MapForeign { space: usize, size: u64, start: u64, length: u64, iova: u64 },
    /// The same of memory.
    MapMemory { space: usize, memory: Memory, start: u64, length: u64, iova: u64 },
    /// `IOMMU_IOAS_UNMAP`; answers the length.
    Unmap { space: usize, iova: u64, length: u64 },
    /// `IOMMU_IOAS_COPY` to a fixed IOVA.
    Copy { from: usize, to: usize, iova: u64, length: u64, to_iova: u64 },
    /// 1 into sysfs `reset`.
    SysfsReset { device: usize },
    /// sysfs `reset_method`: none, or the default ones.
    ResetMethods { device: usize, present: bool },
    /// 1 into sysfs `remove`, not waited for.
    Remove { device: usize },
    /// A rescan of the bus and a bind of what came back; ENOENT if it is not gone.
    Rescan { device: usize },
}

impl Kernel {
    /// Begins a call. Nothing has happened yet but what user space cannot see.
    pub fn start(&mut self, call: &Call) -> Task {
        match *call {
            Call::Open { device, context } => self.open(device, context),
            Call::Attach { file, space } => Task::done(self.attach(file, space)),
            Call::Detach { file } => Task::done(self.detach(file)),
            Call::CloseFile { file } => self.close_file(file),
            Call::ConfigWrite { file, write } => self.config_write(file, &write),
            Call::MapBar { file, bar, offset, size } => Task::done(self.map_bar(file, bar, offset, size)),
            Call::UnmapBar { vma } => match self.take_vma(vma) {
                Ok(file) => self.close_vma(file),
                Err(errno) => Task::done(Err(errno)),
            },
            Call::Reset { file } => self.device_reset(file),
            Call::HotReset { file } => self.hot_reset(file),
            Call::LowPowerEntry { file, wakes } => self.low_power_entry(file, wakes),
            Call::LowPowerExit { file } => self.low_power_exit(file),
            Call::Export { file, region, ref ranges, flags } => {
                self.feature_dma_buf(file, region, ranges, flags)
            }
            Call::ExportRegions { file, ref ranges } => self.export_regions(file, ranges),
            Call::CloseBuffer { export } => {
                let mut task = Task::done(Ok(0));
                self.drop_export(export, &mut task);
                task
            }
            Call::MapBuffer { space, export, start, length, iova } => {
                self.map_buffer(space, export, start, length, iova)
            }
            Call::MapForeign { space, size, start, length, iova } => {
                Task::done(self.map_foreign(space, size, start, length, iova))
            }
            Call::MapMemory { space, memory, start, length, iova } => {
                Task::done(self.map_memory(space, memory, start, length, iova))
            }
            Call::Unmap { space, iova, length } => self.unmap(space, iova, length),
            Call::Copy { from, to, iova, length, to_iova } => {
                Task::done(self.copy(from, to, iova, length, to_iova))
            }
            Call::SysfsReset { device } => self.sysfs_reset(device),
            Call::ResetMethods { device, present } => Task::done(self.set_reset_methods(device, present)),
            Call::Remove { device } => Task::done(self.remove(device)),
            Call::Rescan { device } => Task::done(self.rescan(device)),
        }
    }

    /// The device of a file that is open.
    ///
    /// # Errors
    /// EBADF without such a file.
    pub(super) fn device_of(&self, file: FileId) -> Result<usize, Errno> {
        self.file(file).map(|file| file.device).ok_or(Errno::EBADF)
    }

    fn close_vma(&mut self, file: FileId) -> Task {
        if self.plant_is(crate::rule::Rule::MmapKeepsOpen) {
            return Task::done(Ok(0));
        }
        self.close_file(file)
    }
}

/// Sections that a device's memory lock is held around.
pub(super) fn locked(device: usize, inside: &[Section]) -> SmallVec<[Section; 8]> {
    let mut sections = SmallVec::new();
    sections.push(Section::DownWrite(device));
    sections.extend(inside.iter().cloned());
    sections.push(Section::UpWrite(device));
    sections
}
