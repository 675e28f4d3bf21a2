//! `drivers/vfio/pci/vfio_pci_dmabuf.c`: the exporter.

use super::files::FileId;
use super::{Kernel, Section, Task, get_mut, put, take};
use crate::errno::Errno;
use crate::op::PAGE;
use crate::profile::NoBar;
use crate::rule::Rule;
use barkeep_pci::BarKind;

/// `VFIO_PCI_ROM_REGION_INDEX`: the first region that is no BAR.
const ROM_REGION: u32 = 6;
/// `DMA_IOVA_USE_SWIOTLB`: no dma-buf may be that large.
const LARGEST: u64 = 1 << 63;

/// A dma-buf of vfio-pci.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExportId(pub(crate) usize);

impl ExportId {
    /// Of the number a call answered.
    #[must_use]
    pub fn of(answer: u64) -> Self {
        Self(answer as usize)
    }
}

/// `struct vfio_pci_dma_buf` and its `struct dma_buf`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    /// `priv->vdev`: the device, until its file is closed.
    pub device: Option<usize>,
    /// The device whose BAR it is, for good.
    pub origin: usize,
    /// What it is made of, end to end.
    pub ranges: Vec<Range>,
    /// `priv->revoked`.
    pub revoked: bool,
    /// Descriptors, descriptors in flight, importers.
    pub references: u32,
}

/// A piece of a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// BAR index.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl Export {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.ranges.iter().map(|range| range.length).sum()
    }
}

impl Kernel {
    /// `vfio_pci_core_feature_dma_buf`.
    pub(super) fn feature_dma_buf(
        &mut self,
        file: FileId,
        region: u32,
        ranges: &[(u64, u64)],
        flags: u32,
    ) -> Task {
        let device = match self.device_of(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        self.wake_up(device);
        if let Err(errno) = self.check_export(device, region, ranges, flags) {
            return Task::done(Err(errno));
        }
        let range = |&(offset, length): &(u64, u64)| Range { bar: region as u8, offset, length };
        self.new_export(device, ranges.iter().map(range).collect())
    }

    /// The export of the older design: each range names its own region.
    pub(super) fn export_regions(&mut self, file: FileId, ranges: &[Range]) -> Task {
        let device = match self.device_of(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        if !self.profile().many_regions() {
            return Task::done(Err(Errno::EINVAL));
        }
        for range in ranges {
            let one = [(range.offset, range.length)];
            if let Err(errno) = self.check_export(device, range.bar.into(), &one, 0) {
                return Task::done(Err(errno));
            }
        }
        self.new_export(device, ranges.to_vec())
    }

    fn new_export(&mut self, device: usize, ranges: Vec<Range>) -> Task {
        let export = Export { device: Some(device), origin: device, ranges, revoked: false, references: 1 };
        let id = ExportId(put(&mut self.exports, export));
        let mut task = Task::of(&[Section::SleepAgain(device)]);
        task.next(&super::call::locked(device, &[Section::ListExport(id)]));
        task.answer = Ok(id.0 as u64);
        task
    }

    fn check_export(
        &mut self,
        device: usize,
        region: u32,
        ranges: &[(u64, u64)],
        flags: u32,
    ) -> Result<(), Errno> {
        if (ranges.is_empty() || flags != 0) && self.follows(Rule::ExportFlags) {
            return Err(Errno::EINVAL);
        }
        let bars = &self.layout(device).bars;
        let bar = bars.get(region as usize).copied().flatten().filter(|_| region < ROM_REGION);
        let profile = self.profile();
        let no_bar = profile.no_bar(region >= ROM_REGION);
        if let (None, NoBar::First(errno)) = (bar, no_bar) {
            return Err(self.errno(Rule::ExportRegion, errno));
        }
        self.check_ranges(ranges)?;
        let Some(bar) = bar else {
            return Err(self.errno(Rule::ExportRegion, no_bar.errno()));
        };
        if bar.kind == BarKind::Io {
            return Err(self.errno(Rule::ExportIoBar, Errno::EINVAL));
        }
        self.fill_phys_vec(device, region as usize, bar.size, ranges)
    }

    /// `validate_dmabuf_input`.
    fn check_ranges(&mut self, ranges: &[(u64, u64)]) -> Result<(), Errno> {
        let mut sum = 0u64;
        for &(offset, length) in ranges {
            let aligned = offset.is_multiple_of(PAGE) && length.is_multiple_of(PAGE);
            if (length == 0 || !aligned) && self.follows(Rule::ExportUnaligned) {
                return Err(Errno::EINVAL);
            }
            match sum.checked_add(length) {
                Some(more) => sum = more,
                None => return Err(self.errno(Rule::ExportTooLarge, Errno::EINVAL)),
            }
        }
        if sum & LARGEST != 0 {
            return Err(self.errno(Rule::ExportTooLarge, Errno::EINVAL));
        }
        Ok(())
    }

    /// `vfio_pci_core_fill_phys_vec`.
    fn fill_phys_vec(
        &mut self,
        device: usize,
        bar: usize,
        size: u64,
        ranges: &[(u64, u64)],
    ) -> Result<(), Errno> {
        let start = self.device(device).bar_addresses[bar];
        for &(offset, length) in ranges {
            let end = start.checked_add(offset).and_then(|start| start.checked_add(length));
            let Some(end) = end else {
                return Err(self.errno(Rule::ExportWraps, Errno::EOVERFLOW));
            };
            if end > start + size && self.follows(Rule::ExportBeyond) {
                return Err(Errno::EINVAL);
            }
        }
        Ok(())
    }

    /// The last part of the export: under both locks, so that no revoke falls between the
    /// question and the list.
    pub(super) fn list_export(&mut self, id: ExportId) {
        let Some(device) = self.export(id).and_then(|export| export.device) else {
            return;
        };
        let enabled = self.memory_enabled(device);
        let born_revoked = !enabled && self.follows(Rule::BornRevoked);
        if self.functions[device].low_power && enabled {
            self.note(Rule::ExportInLowPower);
            if self.plant_is(Rule::ExportInLowPower) {
                self.set_revoked(id, true);
                self.functions[device].exports.push(id);
                return;
            }
        }
        self.set_revoked(id, born_revoked);
        self.functions[device].exports.push(id);
    }

    /// `vfio_pci_dma_buf_move` for one dma-buf of the list.
    pub(super) fn move_one(&mut self, device: usize, revoked: bool, at: usize, task: &mut Task) {
        let Some(&id) = self.functions[device].exports.get(at) else {
            return;
        };
        let next = Section::Move { device, revoked, at: at + 1 };
        if self.export(id).is_none_or(|export| export.revoked == revoked) {
            task.next(&[next]);
            return;
        }
        if revoked {
            self.set_revoked(id, true);
            self.zap_export(id);
            self.invalidate_mappings(id, Rule::ToldOfRevoke);
            if self.profile().revoke_waits() {
                task.next(&[Section::WaitForImporters(id), next]);
            } else {
                task.next(&[next]);
            }
        } else {
            let in_order = self.profile().notified_before_cleared();
            // Told first, let in afterwards: whoever maps again from the notice is refused.
            let somebody = self.is_imported(id);
            if in_order && (!somebody || self.follows(Rule::NotifiedBeforeCleared)) {
                self.invalidate_mappings(id, Rule::ToldOfReturn);
                task.next(&[Section::ClearRevoked(id), next]);
            } else {
                self.clear_revoked(id);
                self.invalidate_mappings(id, Rule::ToldOfReturn);
                task.next(&[next]);
            }
        }
    }

    pub(super) fn clear_revoked(&mut self, id: ExportId) {
        self.set_revoked(id, false);
    }

    pub(super) fn set_revoked(&mut self, id: ExportId, revoked: bool) {
        if let Some(export) = get_mut(&mut self.exports, id.0) {
            export.revoked = revoked;
        }
    }

    /// After what may have taken access away or given it back: if the function decodes, by the
    /// shadow, its dma-bufs are live again.
    pub(super) fn move_back_if_enabled(&mut self, device: usize, task: &mut Task) {
        if !self.memory_enabled(device) {
            return;
        }
        let function = &self.functions[device];
        let dead = function.exports.iter().any(|id| self.export(*id).is_some_and(|export| export.revoked));
        if dead {
            let virtual_off = function.shadow_command & barkeep_pci::header::COMMAND_MEMORY == 0;
            let rule = match (function.low_power, virtual_off) {
                (true, _) => Rule::LowPowerNotLookedAt,
                (false, true) => Rule::VirtualFunctionDecodes,
                (false, false) => Rule::BackIfEnabled,
            };
            if !self.follows(rule) {
                return;
            }
        }
        task.next(&[Section::Move { device, revoked: false, at: 0 }]);
    }

    /// `vfio_pci_dma_buf_cleanup` after its move: the dma-bufs outlive the device file, without a
    /// device and revoked for ever.
    pub(super) fn forget_exports(&mut self, device: usize) {
        let exports = std::mem::take(&mut self.functions[device].exports);
        for id in exports {
            if let Some(export) = get_mut(&mut self.exports, id.0) {
                export.device = None;
            }
        }
    }

    /// `VFIO_DEVICE_FEATURE_DMA_BUF` with PROBE and GET.
    ///
    /// # Errors
    /// EBADF without such a file.
    pub fn probe_export(&mut self, file: FileId) -> Result<u64, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        self.sleep_again(device);
        if self.follows(Rule::ExportProbe) { Ok(0) } else { Err(Errno::EPROTO) }
    }

    /// The same with SET.
    ///
    /// # Errors
    /// EINVAL; EBADF without such a file.
    pub fn set_export(&mut self, file: FileId) -> Result<u64, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        self.sleep_again(device);
        Err(self.errno(Rule::ExportSet, Errno::EINVAL))
    }

    /// `open` of `/proc/self/fd/N` of a dma-buf: its inode knows no open. Gives the errno.
    pub fn reopen_export(&mut self) -> Errno {
        self.errno(Rule::ReopenBuffer, Errno::ENXIO)
    }

    /// `mmap` of a dma-buf.
    ///
    /// # Errors
    /// EINVAL where vfio-pci's dma-bufs have no handler.
    pub fn mmap_export(&mut self) -> Result<u64, Errno> {
        if self.has_dmabuf_mmap() {
            return Ok(0);
        }
        Err(self.errno(Rule::MmapOfBuffer, Errno::EINVAL))
    }

    /// Whether vfio-pci's dma-bufs have an mmap handler.
    pub(super) fn has_dmabuf_mmap(&self) -> bool {
        self.profile().mmap_of_dmabuf() || self.abilities().mmap
    }

    /// `lseek` to the end of a dma-buf.
    ///
    /// # Errors
    /// EBADF without such a dma-buf.
    pub fn export_size(&mut self, id: ExportId) -> Result<u64, Errno> {
        let size = self.export(id).ok_or(Errno::EBADF)?.size();
        Ok(if self.follows(Rule::BufferSize) { size } else { size + PAGE })
    }

    /// Another reference: `dup`, a socket, an importer.
    pub fn hold_export(&mut self, id: ExportId) {
        if let Some(export) = get_mut(&mut self.exports, id.0) {
            export.references += 1;
        }
    }

    /// Gives a reference up; the last one releases the dma-buf.
    pub(super) fn drop_export(&mut self, id: ExportId, task: &mut Task) {
        if let Some(export) = get_mut(&mut self.exports, id.0) {
            export.references -= 1;
            if export.references == 0 {
                task.next(&[Section::Release(id)]);
            }
        }
    }

    /// `vfio_pci_dma_buf_release`.
    pub(super) fn release_export(&mut self, id: ExportId) {
        if let Some(Export { device: Some(device), .. }) = take(&mut self.exports, id.0) {
            self.functions[device].exports.retain(|listed| *listed != id);
        }
    }

    /// The errno a rule demands; its planted error gives another.
    pub(super) fn errno(&mut self, rule: Rule, errno: Errno) -> Errno {
        if self.follows(rule) { errno } else { Errno::EPROTO }
    }

    /// Marks a rule whose decision lies elsewhere.
    pub(super) fn note(&mut self, rule: Rule) {
        self.reached.0.insert(rule);
    }

    /// Whether a rule is the planted error.
    pub(super) fn plant_is(&self, rule: Rule) -> bool {
        self.plant.0 == Some(rule)
    }
}
