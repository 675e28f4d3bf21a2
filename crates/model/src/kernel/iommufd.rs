//! `drivers/iommu/iommufd`: I/O address spaces, what is mapped there, and which device uses them.

use super::vfio_pci_dmabuf::ExportId;
use super::{Kernel, Section, Task, get, get_mut, put, take};
use crate::errno::Errno;
use crate::op::{PAGE, SOURCE_SIZE};
use crate::rule::Rule;

/// The range every x86 IOMMU keeps for interrupts.
const MSI: (u64, u64) = (0xfee0_0000, 0xfeef_ffff);

/// The last IOVA of an IOMMU with four levels of page tables.
const LAST_IOVA: u64 = (1 << 48) - 1;

/// Whether the IOMMU translates a range.
pub(super) fn usable(first: u64, last: u64) -> bool {
    last <= LAST_IOVA && !(first <= MSI.1 && last >= MSI.0)
}

/// What is mapped: `struct iopt_pages`, shared by all copies of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PagesId(pub(crate) usize);

/// Memory that is no dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Memory {
    /// The page every space has from the start.
    Ram,
    /// A memfd of [`SOURCE_SIZE`] bytes.
    File,
    /// A VM's memory, as long as what is mapped of it.
    Guest,
}

/// `struct iopt_pages`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pages {
    /// What they are of.
    pub what: Backing,
    /// Areas that hold them.
    pub references: u32,
}

/// What pages are of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Backing {
    /// Memory.
    Memory(Memory),
    /// A dma-buf, with an attachment and a reference of its own.
    DmaBuf {
        /// The dma-buf.
        export: ExportId,
        /// `phys.len == 0`: revoked once, and dead for good.
        dead: bool,
    },
}

/// `struct iopt_area`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Area {
    /// First IOVA.
    pub iova: u64,
    /// Bytes.
    pub length: u64,
    /// What is there.
    pub pages: PagesId,
    /// Byte of the source at the first IOVA.
    pub start: u64,
    /// `area->pages` is set: not between the two halves of a map.
    pub complete: bool,
}

/// `struct iommufd_ioas`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    /// The iommufd context it belongs to.
    pub context: u8,
    /// Its areas, ascending.
    pub areas: Vec<Area>,
}

impl Space {
    pub(super) fn new(context: u8) -> Self {
        Self { context, areas: Vec::new() }
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        self.areas.iter().any(|area| area.iova <= last && area.last() >= first)
    }
}

impl Area {
    pub(super) fn last(&self) -> u64 {
        self.iova + (self.length - 1)
    }
}

/// The second half of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filling {
    pub(super) space: usize,
    pub(super) iova: u64,
}

/// Mapping and unmapping.
impl Kernel {
    /// `iopt_map_file_pages` of a dma-buf of vfio-pci: attach, find the IOVA, and then fill.
    pub(super) fn map_buffer(
        &mut self,
        space: usize,
        id: ExportId,
        start: u64,
        length: u64,
        iova: u64,
    ) -> Task {
        let mut task = Task::done(Ok(0));
        match self.attach_pages(id, start, length, iova) {
            Err(errno) => task.answer = Err(errno),
            Ok(pages) => match self.reserve(space, pages, start, length, iova) {
                Ok(()) => task.next(&[Section::Fill(Filling { space, iova })]),
                Err(errno) => {
                    task.answer = Err(errno);
                    self.drop_pages(pages, &mut task);
                }
            },
        }
        task
    }

    /// `iopt_alloc_dmabuf_pages` and `iopt_map_dmabuf`.
    fn attach_pages(&mut self, id: ExportId, start: u64, length: u64, iova: u64) -> Result<PagesId, Errno> {
        check_slice(start, length, iova)?;
        let (size, revoked, ranges) = match self.export(id) {
            Some(export) => (export.size(), export.revoked, export.ranges.len()),
            None => return Err(Errno::EBADF),
        };
        self.check_import(size, start, length)?;
        if revoked && self.follows(Rule::MapFileWhileRevoked) {
            return Err(Errno::ENODEV);
        }
        if ranges != 1 && self.follows(Rule::ManyRanges) {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.follows(Rule::MappingKeepsBuffer) {
            self.hold_export(id);
        }
        let pages = Pages { what: Backing::DmaBuf { export: id, dead: false }, references: 1 };
        Ok(PagesId(put(&mut self.pages, pages)))
    }

    /// `iopt_alloc_dmabuf_pages` before its attach: whether iommufd takes that part of a dma-buf of
    /// `size` bytes.
    fn check_import(&mut self, size: u64, start: u64, length: u64) -> Result<(), Errno> {
        if size <= start + (length - 1) && self.follows(Rule::SliceBeyond) {
            return Err(Errno::EINVAL);
        }
        if self.profile().iommufd_imports() { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// The same of a dma-buf that is not vfio-pci's: it can be attached, and then it is not known
    /// where it lies.
    pub(super) fn map_foreign(
        &mut self,
        space: usize,
        size: u64,
        start: u64,
        length: u64,
        iova: u64,
    ) -> Result<u64, Errno> {
        check_slice(start, length, iova)?;
        self.check_import(size, start, length)?;
        if self.follows(Rule::ForeignBuffer) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.map_memory(space, Memory::File, start, length, iova)
    }

    /// `iopt_map_file_pages` of memory.
    pub(super) fn map_memory(
        &mut self,
        space: usize,
        memory: Memory,
        start: u64,
        length: u64,
        iova: u64,
    ) -> Result<u64, Errno> {
        check_slice(start, length, iova)?;
        let pages = Pages { what: Backing::Memory(memory), references: 1 };
        let pages = PagesId(put(&mut self.pages, pages));
        let result = self.reserve(space, pages, start, length, iova);
        let result = result.and_then(|()| self.fill(Filling { space, iova }));
        if result.is_err() {
            take(&mut self.pages, pages.0);
        }
        result
    }

    /// `iopt_alloc_area_pages`, `iopt_check_iova`, `iopt_insert_area`.
    fn reserve(
        &mut self,
        space: usize,
        pages: PagesId,
        start: u64,
        length: u64,
        iova: u64,
    ) -> Result<(), Errno> {
        let alignment = if self.has_domain(space) { PAGE } else { 1 };
        let aligned = |number: u64| number.is_multiple_of(alignment);
        if !aligned(length) || !aligned(iova) {
            return Err(self.errno(Rule::MapUnaligned, Errno::EINVAL));
        }
        let Some(last) = iova.checked_add(length - 1) else {
            return Err(self.errno(Rule::MapWraps, Errno::EOVERFLOW));
        };
        if self.has_domain(space) && !usable(iova, last) && self.follows(Rule::ReservedIova) {
            return Err(Errno::EINVAL);
        }
        if self.spaces[space].overlaps(iova, last) {
            let dead = self.spaces[space]
                .areas
                .iter()
                .any(|area| area.iova <= last && area.last() >= iova && self.is_dead(area.pages));
            let rule = if dead { Rule::DeadKeepsIova } else { Rule::IovaTaken };
            if self.follows(rule) {
                return Err(Errno::EEXIST);
            }
            // The planted error: what is there is forgotten.
            self.spaces[space].areas.retain(|area| area.iova > last || area.last() < iova);
        }
        if !aligned(start % PAGE) {
            return Err(self.errno(Rule::MapUnaligned, Errno::EINVAL));
        }
        let area = Area { iova, length, pages, start, complete: false };
        let areas = &mut self.spaces[space].areas;
        let at = areas.partition_point(|other| other.iova < iova);
        areas.insert(at, area);
        Ok(())
    }

    /// `iopt_fill_domains_pages`: if a revoke came in between there is nothing to fill, and the
    /// map succeeds all the same.
    pub(super) fn fill(&mut self, filling: Filling) -> Result<u64, Errno> {
        let pages = self.complete(filling)?;
        if self.is_dead(pages) && !self.follows(Rule::RevokedBetweenAttachAndFill) {
            return Err(Errno::ENODEV);
        }
        Ok(0)
    }

    /// The area is there for good, unless there is no memory under it.
    fn complete(&mut self, filling: Filling) -> Result<PagesId, Errno> {
        let Filling { space, iova } = filling;
        let Some(area) = self.spaces[space].areas.iter_mut().find(|area| area.iova == iova) else {
            return Err(Errno::ENOENT);
        };
        area.complete = true;
        let pages = area.pages;
        if self.has_domain(space) && !self.can_be_pinned(space, iova) && self.follows(Rule::MemoryBeyond) {
            self.spaces[space].areas.retain(|area| area.iova != iova);
            return Err(Errno::EINVAL);
        }
        Ok(pages)
    }

    /// Whether there is memory under all of an area (`memfd_pin_folios`).
    pub(super) fn can_be_pinned(&self, space: usize, iova: u64) -> bool {
        self.spaces[space].areas.iter().filter(|area| area.iova == iova).all(|area| {
            let is_file = matches!(
                get(&self.pages, area.pages.0),
                Some(Pages { what: Backing::Memory(Memory::File), .. })
            );
            !is_file || (area.start + area.length).next_multiple_of(PAGE) <= SOURCE_SIZE
        })
    }

    /// `iopt_unmap_iova_range`: every area inside the range; one that reaches out of it ends the
    /// matter, and those before it are gone.
    pub(super) fn unmap(&mut self, space: usize, iova: u64, length: u64) -> Task {
        let mut task = Task::done(Ok(0));
        if iova == u64::MAX || length == u64::MAX {
            task.answer = Err(Errno::EOVERFLOW);
            return task;
        }
        if length == 0 {
            task.answer = Err(Errno::EINVAL);
            return task;
        }
        let Some(last) = iova.checked_add(length - 1) else {
            task.answer = Err(Errno::EOVERFLOW);
            return task;
        };
        let mut unmapped = 0;
        while let Some(at) =
            self.spaces[space].areas.iter().position(|area| area.iova <= last && area.last() >= iova)
        {
            let area = &self.spaces[space].areas[at];
            if !area.complete {
                task.answer = Err(Errno::EBUSY);
                return task;
            }
            if (area.iova < iova || area.last() > last) && self.follows(Rule::PartialUnmap) {
                task.answer = Err(Errno::ENOENT);
                return task;
            }
            let Area { length, pages, .. } = self.spaces[space].areas.remove(at);
            let dead = self.is_dead(pages);
            self.drop_pages(pages, &mut task);
            unmapped += if dead && !self.follows(Rule::DeadUnmapsInFull) { 0 } else { length };
        }
        task.answer =
            if unmapped == 0 { Err(self.errno(Rule::NothingToUnmap, Errno::ENOENT)) } else { Ok(unmapped) };
        task
    }

    /// `iommufd_ioas_copy`: the pages are shared, so one revoke kills every copy.
    pub(super) fn copy(
        &mut self,
        from: usize,
        to: usize,
        iova: u64,
        length: u64,
        to_iova: u64,
    ) -> Result<u64, Errno> {
        if [iova, length, to_iova].contains(&u64::MAX) {
            return Err(Errno::EOVERFLOW);
        }
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        let same_context = self.spaces[from].context == self.spaces[to].context;
        let last = iova.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?;
        let parts = self.contiguous(from, iova, last);
        let Some(parts) = parts else {
            return Err(self.errno(Rule::CopyOfNothing, Errno::ENOENT));
        };
        if !same_context {
            return Err(self.errno(Rule::CopyAcrossContexts, Errno::ENOENT));
        }
        self.copy_parts(to, &parts, to_iova, length)
    }

    /// The pieces of the areas that cover a range without a gap: pages, first byte, length.
    fn contiguous(&self, space: usize, iova: u64, last: u64) -> Option<Vec<(PagesId, u64, u64)>> {
        let mut parts = Vec::new();
        let mut at = iova;
        for area in self.spaces[space].areas.iter().filter(|area| area.last() >= iova && area.iova <= last) {
            if area.iova > at || !area.complete {
                return None;
            }
            let end = area.last().min(last);
            parts.push((area.pages, area.start + (at - area.iova), end - at + 1));
            if end == last {
                return Some(parts);
            }
            at = end + 1;
        }
        None
    }

    fn copy_parts(
        &mut self,
        to: usize,
        parts: &[(PagesId, u64, u64)],
        to_iova: u64,
        length: u64,
    ) -> Result<u64, Errno> {
        let dead = parts.iter().any(|(pages, ..)| self.is_dead(*pages));
        if dead && !self.follows(Rule::CopyOfDead) {
            return Err(Errno::ENODEV);
        }
        // The whole range is looked at first, so that none or all of it is there afterwards.
        self.check_range(to, length, to_iova)?;
        let mut iova = to_iova;
        for &(pages, start, length) in parts {
            let pages =
                if self.follows(Rule::CopyShares) { self.share(pages) } else { self.duplicate(pages) };
            self.reserve(to, pages, start, length, iova)?;
            if let Err(errno) = self.complete(Filling { space: to, iova }) {
                self.take_back(to, pages, to_iova, iova);
                return Err(errno);
            }
            // The last one may end where the address space does.
            iova = iova.wrapping_add(length);
        }
        Ok(0)
    }

    /// A copy of several pieces is there as a whole or not at all (`iopt_fill_domains_pages`).
    fn take_back(&mut self, space: usize, last: PagesId, first_iova: u64, last_iova: u64) {
        let mut gone = vec![last];
        self.spaces[space].areas.retain(|area| {
            let stays = !(first_iova..last_iova).contains(&area.iova);
            if !stays {
                gone.push(area.pages);
            }
            stays
        });
        for pages in gone {
            // The pages are another area's as well, so that no dma-buf is given up here.
            self.drop_pages(pages, &mut Task::done(Ok(0)));
        }
    }

    fn check_range(&mut self, space: usize, length: u64, iova: u64) -> Result<(), Errno> {
        let before = self.spaces[space].areas.clone();
        let result = self.reserve(space, PagesId(usize::MAX), 0, length, iova);
        self.spaces[space].areas = before;
        result
    }

    fn share(&mut self, pages: PagesId) -> PagesId {
        if let Some(pages) = get_mut(&mut self.pages, pages.0) {
            pages.references += 1;
        }
        pages
    }

    fn duplicate(&mut self, pages: PagesId) -> PagesId {
        let Some(Pages { what, .. }) = get(&self.pages, pages.0).cloned() else {
            return pages;
        };
        if let Backing::DmaBuf { export, .. } = what {
            self.hold_export(export);
        }
        PagesId(put(&mut self.pages, Pages { what, references: 1 }))
    }

    fn drop_pages(&mut self, id: PagesId, task: &mut Task) {
        let Some(pages) = get_mut(&mut self.pages, id.0) else {
            return;
        };
        pages.references -= 1;
        if pages.references == 0
            && let Some(Pages { what: Backing::DmaBuf { export, dead: _ }, .. }) = take(&mut self.pages, id.0)
        {
            self.drop_export(export, task);
        }
    }

    fn is_dead(&self, id: PagesId) -> bool {
        matches!(get(&self.pages, id.0), Some(Pages { what: Backing::DmaBuf { dead: true, .. }, .. }))
    }

    /// Whether a space has a dead mapping.
    #[must_use]
    pub fn has_dead(&self, space: usize) -> bool {
        self.spaces[space].areas.iter().any(|area| self.is_dead(area.pages))
    }

    /// `iopt_revoke_notify`: out of every domain, and dead for good.
    pub(super) fn revoke_pages(&mut self, revoked: ExportId) {
        let concerned = |pages: &Pages| matches!(pages.what, Backing::DmaBuf { export, dead: false } if export == revoked);
        if !self.pages.iter().flatten().any(concerned) || !self.follows(Rule::RevokeKills) {
            return;
        }
        // The planted error: a copy that is on its own hears nothing.
        let one_only = self.plant_is(Rule::CopyShares);
        for pages in self.pages.iter_mut().flatten() {
            if let Backing::DmaBuf { export, dead } = &mut pages.what
                && *export == revoked
            {
                *dead = true;
                if one_only {
                    return;
                }
            }
        }
    }
}

/// `iommufd_ioas_map_file` and `iopt_map_file_pages`, first lines.
fn check_slice(start: u64, length: u64, iova: u64) -> Result<(), Errno> {
    if iova == u64::MAX || length == u64::MAX {
        return Err(Errno::EOVERFLOW);
    }
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    start.checked_add(length - 1).map(|_| ()).ok_or(Errno::EOVERFLOW)
}
