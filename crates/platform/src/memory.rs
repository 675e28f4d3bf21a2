//! Guest RAM: on a memfd, so that the same pages can go to KVM as a host mapping and to
//! iommufd as a file; of nobody's but KVM where there is no device.

mod advice;

use crate::map::{HIGH_RAM, LOW_RAM_END};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// The least RAM a guest can have.
pub const LEAST: u64 = 8 << 20;
/// The most: what fits below the 64-bit BARs.
pub const MOST: u64 = LOW_RAM_END + (crate::map::MMIO64.start - HIGH_RAM);

/// Why there is no RAM.
#[derive(Debug, thiserror::Error)]
pub enum RamError {
    /// Not a size a guest can have.
    #[error(
        "guest memory of {0:#x} bytes is not possible; give between {least}M and {most}G, in whole pages",
        least = LEAST >> 20,
        most = MOST >> 30
    )]
    Size(u64),
    /// No memfd.
    #[error("cannot make {size:#x} bytes of guest memory")]
    Make {
        /// Bytes asked for.
        size: u64,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Not a whole number of huge pages.
    #[error("guest memory of {size:#x} bytes is not a whole number of pages of {page:#x} bytes")]
    NotWhole {
        /// Bytes asked for.
        size: u64,
        /// Bytes of a page.
        page: u64,
    },
    /// There are not so many huge pages.
    #[error(
        "guest memory takes {needed} huge pages of {kib} KiB, and {free} are free; reserve more, as root: \
         echo N > {HUGE_PAGES}/hugepages-{kib}kB/nr_hugepages{}",
        if *.free == 0 { " (or hugepagesz= and hugepages= on the host's kernel command line)" } else { "" }
    )]
    Few {
        /// KiB of one.
        kib: u64,
        /// How many are wanted.
        needed: u64,
        /// How many there are that nobody has.
        free: u64,
    },
    /// No mapping.
    #[error("cannot map guest memory")]
    Map(#[source] vm_memory::mmap::FromRangesError),
}

/// Where the kernel tells of its huge pages.
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// What RAM is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The usual ones, had when they are first touched.
    Small,
    /// Huge ones of 2 MiB, had at once.
    Of2M,
    /// Huge ones of 1 GiB, had at once.
    Of1G,
}

impl Pages {
    /// Bytes of one.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            Self::Small => 4 << 10,
            Self::Of2M => 2 << 20,
            Self::Of1G => 1 << 30,
        }
    }

    fn flags(self) -> MemfdFlags {
        match self {
            Self::Small => MemfdFlags::CLOEXEC,
            Self::Of2M => MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB,
            Self::Of1G => MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_1GB,
        }
    }

    /// How many of them nobody has, nor has been promised; 0 where the kernel has none of the size.
    fn free(self) -> u64 {
        let count = |what: &str| {
            let path = format!("{HUGE_PAGES}/hugepages-{}kB/{what}", self.size() >> 10);
            std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        count("free_hugepages").saturating_sub(count("resv_hugepages"))
    }
}

/// One piece of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RamRange {
    /// Guest physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Where it is in the memfd, bytes.
    pub file_offset: u64,
    /// Where it is in this process.
    pub host: u64,
}

/// All of a guest's RAM.
pub struct Ram {
    memory: GuestMemoryMmap,
    file: Option<File>,
}

impl Ram {
    /// `size` bytes of small pages, below the hole first.
    ///
    /// # Errors
    /// See [`RamError`].
    pub fn new(size: u64) -> Result<Self, RamError> {
        Self::of(size, Pages::Small)
    }

    /// The same of any pages.
    ///
    /// # Errors
    /// See [`RamError`].
    pub fn of(size: u64, pages: Pages) -> Result<Self, RamError> {
        let ranges = places(size)?;
        let make = |source| RamError::Make { size, source };
        let file = memfd(size, pages)?;
        let mut files = Vec::new();
        for (start, bytes, offset) in ranges {
            let part = file.try_clone().map_err(make)?;
            files.push((GuestAddress(start), bytes as usize, Some(FileOffset::new(part, offset))));
        }
        let memory = GuestMemoryMmap::from_ranges_with_files(files).map_err(RamError::Map)?;
        Ok(Self { memory, file: Some(file) })
    }

    /// The same for a guest without devices: private memory, of which the kernel makes huge pages as they are
    /// touched. A memfd's are small wherever tmpfs is set as it comes
    /// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`).
    ///
    /// # Errors
    /// See [`RamError`].
    pub fn without_devices(size: u64) -> Result<Self, RamError> {
        let ranges: Vec<_> = places(size)?
            .into_iter()
            .map(|(start, bytes, _)| (GuestAddress(start), bytes as usize))
            .collect();
        let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&ranges).map_err(RamError::Map)?;
        memory.iter().for_each(|region| advice::huge_pages_if_there_are_any(region));
        Ok(Self { memory, file: None })
    }

    /// As vm-memory has it.
    pub fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// The memfd, for `IOMMU_IOAS_MAP_FILE`; none for RAM that no device can have.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The first byte behind what is below the hole.
    pub fn low_end(&self) -> u64 {
        self.ranges().first().map_or(0, |range| range.start + range.size)
    }

    /// Its pieces.
    pub fn ranges(&self) -> Vec<RamRange> {
        let piece = |region: &vm_memory::GuestRegionMmap| {
            let start = region.start_addr();
            // The mapping lives as long as `self`.
            let host = self.memory.get_host_address(start).map_or(0, |p| p as u64);
            let file_offset = region.file_offset().map_or(0, FileOffset::start);
            RamRange { start: start.0, size: region.len(), file_offset, host }
        };
        self.memory.iter().map(piece).collect()
    }
}

/// Where so many bytes are, each with its size and its offset in the file.
fn places(size: u64) -> Result<Vec<(u64, u64, u64)>, RamError> {
    if !(LEAST..=MOST).contains(&size) || !size.is_multiple_of(4096) {
        return Err(RamError::Size(size));
    }
    let low = size.min(LOW_RAM_END);
    let mut ranges = vec![(0, low, 0)];
    if size > low {
        ranges.push((HIGH_RAM, size - low, low));
    }
    Ok(ranges)
}

/// Huge pages are all taken here: a mapping reserves none (`MAP_NORESERVE`), and one that is not to be had
/// later would end this process by SIGBUS.
fn memfd(size: u64, pages: Pages) -> Result<File, RamError> {
    let (page, huge) = (pages.size(), pages != Pages::Small);
    if !size.is_multiple_of(page) {
        return Err(RamError::NotWhole { size, page });
    }
    let few = || RamError::Few { kib: page >> 10, needed: size / page, free: pages.free() };
    if huge && pages.free() < size / page {
        return Err(few());
    }
    let make = |errno: Errno| RamError::Make { size, source: errno.into() };
    let file = memfd_create("guest-ram", pages.flags()).map_err(make)?;
    rustix::fs::ftruncate(&file, size).map_err(make)?;
    if huge {
        // Somebody else may have come first meanwhile.
        fallocate(&file, FallocateFlags::empty(), 0, size).map_err(|errno| match errno {
            Errno::NOSPC | Errno::NOMEM => few(),
            errno => make(errno),
        })?;
    }
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_leaves_the_hole_alone() {
        let ram = Ram::new(LOW_RAM_END + (1 << 20)).unwrap();
        let ranges: Vec<_> = ram.ranges().iter().map(|r| (r.start, r.size, r.file_offset)).collect();
        assert_eq!(ranges, [(0, LOW_RAM_END, 0), (HIGH_RAM, 1 << 20, LOW_RAM_END)]);
        let alone = Ram::without_devices(LOW_RAM_END + (1 << 20)).unwrap();
        let ranges: Vec<_> = alone.ranges().iter().map(|r| (r.start, r.size)).collect();
        assert_eq!(ranges, [(0, LOW_RAM_END), (HIGH_RAM, 1 << 20)]);
        assert!(ram.file().is_some() && alone.file().is_none());
    }

    #[test]
    fn huge_pages_that_are_not_there_are_told_before_anything_is_made() {
        let error = Ram::of(MOST & !((1 << 30) - 1), Pages::Of1G).err().unwrap().to_string();
        assert!(
            error.contains("huge pages of 1048576 KiB, and ") && error.contains("nr_hugepages"),
            "{error}"
        );
        let error = Ram::of((9 << 20) + 4096, Pages::Of2M).err().unwrap().to_string();
        assert!(error.contains("not a whole number"), "{error}");
    }

    #[test]
    fn absurd_sizes_are_refused_in_words() {
        for size in [0, 4096, LEAST + 1, u64::MAX, MOST + 4096] {
            let error = Ram::new(size).err().unwrap().to_string();
            assert!(error.contains("not possible") && error.contains("between 8M and 255G"), "{error}");
            assert!(Ram::without_devices(size).is_err());
        }
    }
}
