//! `drivers/iommu/iommufd/device.c`: which device uses which space, and where its DMA ends.

use super::files::FileId;
use super::iommufd::{Backing, Memory, usable};
use super::vfio_pci_dmabuf::{ExportId, Range};
use super::{Kernel, get};
use crate::errno::Errno;
use crate::op::PAGE;
use crate::rule::Rule;

/// Where a DMA ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// In memory; bytes from its start.
    Memory(Memory, u64),
    /// In a BAR.
    Bar {
        /// The device whose BAR it is.
        device: usize,
        /// BAR index.
        bar: u8,
        /// Bytes from the start of the BAR.
        offset: u64,
        /// Whether the function answers; if not, the write is lost and no fault is recorded.
        answers: bool,
    },
}

/// Devices and spaces.
impl Kernel {
    /// The devices of a device's IOMMU group, which are those of its reset set, in the order in which
    /// they were bound.
    pub(super) fn group(&self, device: usize) -> impl Iterator<Item = usize> {
        let set = self.device(device).set;
        (0..self.functions.len()).filter(move |other| self.device(*other).set == set)
    }

    /// `iommufd_device_bind`: a group belongs to one context at a time.
    pub(super) fn claim_group(&mut self, device: usize, context: u8) -> Result<(), Errno> {
        let foreign = self
            .group(device)
            .any(|other| self.functions[other].context.is_some_and(|theirs| theirs != context));
        if foreign && self.follows(Rule::GroupOfAnotherContext) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// `iommufd_ctx_has_group`.
    pub(super) fn group_is_claimed_by(&self, device: usize, context: Option<u8>) -> bool {
        context.is_some() && self.group(device).any(|other| self.functions[other].context == context)
    }

    /// `vfio_iommufd_physical_attach_ioas`. A second attach replaces the first, for the whole
    /// group.
    pub(super) fn attach(&mut self, file: FileId, space: usize) -> Result<u64, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        if self.functions[device].context != Some(self.spaces[space].context) {
            return Err(self.errno(Rule::AttachAcrossContexts, Errno::ENOENT));
        }
        let group: Vec<usize> = self.group(device).collect();
        let others = group.iter().filter(|other| **other != device);
        let elsewhere = others.filter_map(|other| self.functions[*other].space).any(|theirs| theirs != space);
        let replaces = self.functions[device].space.is_some();
        if elsewhere && !replaces && self.follows(Rule::GroupInAnotherSpace) {
            return Err(Errno::EINVAL);
        }
        if !self.has_domain(space) && !self.fits_domain(space) && self.follows(Rule::AttachUnaligned) {
            return Err(Errno::EADDRINUSE);
        }
        if !self.has_domain(space) && !self.all_can_be_pinned(space) && self.follows(Rule::MemoryBeyond) {
            return Err(Errno::EINVAL);
        }
        self.functions[device].space = Some(space);
        if replaces {
            for other in group {
                if self.functions[other].space.is_some() {
                    self.functions[other].space = Some(space);
                }
            }
        }
        self.sleep_again(device);
        Ok(0)
    }

    /// `vfio_iommufd_physical_detach_ioas`: nothing to detach is no error.
    pub(super) fn detach(&mut self, file: FileId) -> Result<u64, Errno> {
        let device = self.device_of(file)?;
        self.wake_up(device);
        self.leave_space(device);
        self.sleep_again(device);
        Ok(0)
    }

    pub(super) fn leave_space(&mut self, device: usize) {
        self.functions[device].space = None;
    }

    fn all_can_be_pinned(&self, space: usize) -> bool {
        self.spaces[space].areas.iter().all(|area| self.can_be_pinned(space, area.iova))
    }

    /// Whether any device uses a space: page tables are there, and pages count.
    pub(super) fn has_domain(&self, space: usize) -> bool {
        self.functions.iter().any(|function| function.space == Some(space))
    }

    /// `iopt_check_iova_alignment` and the reserved ranges, when the first device comes.
    fn fits_domain(&self, space: usize) -> bool {
        self.spaces[space].areas.iter().all(|area| {
            let aligned = [area.iova, area.length, area.start % PAGE].iter().all(|n| n.is_multiple_of(PAGE));
            aligned && usable(area.iova, area.last())
        })
    }

    /// A DMA of a device to an IOVA: where it ends; `None` if it gets nowhere, by a fault of the
    /// IOMMU or because the function may not.
    pub fn dma(&mut self, device: usize, iova: u64) -> Option<Target> {
        if !self.masters(device) {
            return None;
        }
        let target = self.translate(device, iova);
        if target.is_some() || self.follows(Rule::Faults) {
            return target;
        }
        // The planted error: what was mapped there last is still reached.
        self.translate_dead(device, iova)
    }

    fn translate_dead(&self, device: usize, iova: u64) -> Option<Target> {
        let space = self.functions[device].space?;
        let area = self.spaces[space].areas.iter().find(|area| area.iova <= iova && area.last() >= iova)?;
        let Backing::DmaBuf { export, .. } = get(&self.pages, area.pages.0)?.what else {
            return None;
        };
        self.place(export, area.start + (iova - area.iova))
    }

    /// Where a device's DMA to an IOVA ends; `None` for a fault of the IOMMU.
    #[must_use]
    pub fn translate(&self, device: usize, iova: u64) -> Option<Target> {
        let space = self.functions[device].space?;
        let area = self.spaces[space].areas.iter().find(|area| area.iova <= iova && area.last() >= iova)?;
        if !area.complete {
            return None;
        }
        let at = area.start + (iova - area.iova);
        match get(&self.pages, area.pages.0)?.what {
            Backing::Memory(memory) => Some(Target::Memory(memory, at)),
            Backing::DmaBuf { dead: true, .. } => None,
            Backing::DmaBuf { export, dead: false } => self.place(export, at),
        }
    }

    /// Which byte of a BAR a byte of a dma-buf is.
    fn place(&self, id: ExportId, byte: u64) -> Option<Target> {
        let export = self.export(id)?;
        let mut left = byte;
        for &Range { bar, offset, length } in &export.ranges {
            if left < length {
                let answers = self.decodes(export.origin);
                return Some(Target::Bar { device: export.origin, bar, offset: offset + left, answers });
            }
            left -= length;
        }
        None
    }
}
