//! `drivers/vfio/pci/vfio_pci_dmabuf.c` with `guest-kernel/patches/0001`: mappings of a dma-buf itself.

use super::vfio_pci_dmabuf::{ExportId, Range};
use super::{CpuTarget, Kernel, Task, get, get_mut, put, take};
use crate::errno::Errno;
use crate::op::PAGE;
use crate::rule::Rule;

/// A mapping of a dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferVmaId(pub(crate) usize);

/// `struct vm_area_struct` of a mapped dma-buf. It keeps the dma-buf, and not the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BufferVma {
    /// The dma-buf it keeps.
    pub export: ExportId,
    /// Bytes from the start of the dma-buf.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// As [`super::Vma::populated`].
    pub populated: bool,
}

impl Kernel {
    /// `mmap` of a dma-buf: `dma_buf_mmap_internal` and `vfio_pci_dma_buf_mmap`.
    ///
    /// # Errors
    /// EINVAL: no handler, beyond the end, not from a page on; EBADF without such a dma-buf.
    pub fn map_export(&mut self, id: ExportId, offset: u64, size: u64) -> Result<BufferVmaId, Errno> {
        if !self.has_dmabuf_mmap() {
            return Err(self.errno(Rule::MmapOfBuffer, Errno::EINVAL));
        }
        let export = self.export(id).ok_or(Errno::EBADF)?;
        let end = size.checked_next_multiple_of(PAGE).and_then(|size| offset.checked_add(size));
        let beyond = end.is_none_or(|end| end > export.size());
        if size == 0 || !offset.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if beyond && self.follows(Rule::BufferMmapBeyond) {
            return Err(Errno::EINVAL);
        }
        if !self.follows(Rule::BufferMmap) {
            return Err(Errno::EPROTO);
        }
        self.hold_export(id);
        let vma = BufferVma { export: id, offset, size, populated: false };
        Ok(BufferVmaId(put(&mut self.buffer_vmas, vma)))
    }

    /// `munmap`: the dma-buf's reference is given up.
    pub fn unmap_export(&mut self, id: BufferVmaId) -> Task {
        let mut task = Task::done(Ok(0));
        if let Some(vma) = take(&mut self.buffer_vmas, id.0) {
            self.drop_export(vma.export, &mut task);
        }
        task
    }

    /// A mapping of a dma-buf.
    #[must_use]
    pub fn buffer_vma(&self, id: BufferVmaId) -> Option<&BufferVma> {
        get(&self.buffer_vmas, id.0)
    }

    /// A CPU's access through one. `vfio_pci_dma_buf_huge_fault` where no page is there.
    ///
    /// # Errors
    /// EFAULT: SIGBUS.
    pub fn buffer_access(&mut self, id: BufferVmaId, offset: u64) -> Result<CpuTarget, Errno> {
        let vma = self.buffer_vma(id).ok_or(Errno::EFAULT)?.clone();
        let export = self.export(vma.export).ok_or(Errno::EFAULT)?.clone();
        if !vma.populated {
            self.fault_buffer(export.device, export.revoked)?;
            if let Some(vma) = get_mut(&mut self.buffer_vmas, id.0) {
                vma.populated = true;
            }
        }
        let into = vma.offset.checked_add(offset).ok_or(Errno::EFAULT)?;
        let (range, into) = locate(&export.ranges, into).ok_or(Errno::EFAULT)?;
        let first = export.ranges[0];
        let offset = if export.ranges.len() == 1 || self.follows(Rule::BufferRanges) {
            range.offset + into
        } else {
            first.offset.wrapping_add(vma.offset).wrapping_add(offset)
        };
        if self.decodes(export.origin) {
            return Ok(CpuTarget::Bar { device: export.origin, bar: range.bar, offset });
        }
        Ok(CpuTarget::Nobody)
    }

    fn fault_buffer(&mut self, device: Option<usize>, revoked: bool) -> Result<(), Errno> {
        let Some(device) = device else {
            return if self.follows(Rule::BufferAfterClose) { Err(Errno::EFAULT) } else { Ok(()) };
        };
        if revoked {
            if self.follows(Rule::BufferWhileRevoked) {
                return Err(Errno::EFAULT);
            }
            return self.may_populate(device);
        }
        self.may_populate(device)?;
        if self.follows(Rule::BufferServed) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// `unmap_mapping_range` over the dma-buf's file.
    pub(super) fn zap_export(&mut self, id: ExportId) {
        let mapped = |vma: &BufferVma| vma.export == id && vma.populated;
        if self.buffer_vmas.iter().flatten().any(mapped) && self.follows(Rule::BufferZap) {
            for vma in self.buffer_vmas.iter_mut().flatten().filter(|vma| vma.export == id) {
                vma.populated = false;
            }
        }
    }
}

/// `vfio_pci_dma_buf_pfn`: the range an offset of the dma-buf lies in, and how far into it.
fn locate(ranges: &[Range], mut into: u64) -> Option<(Range, u64)> {
    for range in ranges {
        if into < range.length {
            return Some((*range, into));
        }
        into -= range.length;
    }
    None
}
