//! Guest RAM on a memfd, so that the same pages can go to KVM as a host mapping and to
//! iommufd as a file.

use crate::map::{HIGH_RAM, LOW_RAM_END};
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
    #[error("guest memory of {0:#x} bytes is not possible; give between 8M and 1000G, in whole pages")]
    Size(u64),
    /// No memfd.
    #[error("cannot make {size:#x} bytes of guest memory")]
    Make {
        /// Bytes asked for.
        size: u64,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// No mapping.
    #[error("cannot map guest memory")]
    Map(#[source] vm_memory::mmap::FromRangesError),
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
    file: File,
}

impl Ram {
    /// `size` bytes, below the hole first.
    ///
    /// # Errors
    /// See [`RamError`].
    pub fn new(size: u64) -> Result<Self, RamError> {
        if !(LEAST..=MOST).contains(&size) || !size.is_multiple_of(4096) {
            return Err(RamError::Size(size));
        }
        let make = |source| RamError::Make { size, source };
        let file = memfd().map_err(make)?;
        file.set_len(size).map_err(make)?;
        let low = size.min(LOW_RAM_END);
        let mut ranges = vec![(0, low, 0)];
        if size > low {
            ranges.push((HIGH_RAM, size - low, low));
        }
        let mut files = Vec::new();
        for (start, bytes, offset) in ranges {
            let part = file.try_clone().map_err(make)?;
            files.push((GuestAddress(start), bytes as usize, Some(FileOffset::new(part, offset))));
        }
        let memory = GuestMemoryMmap::from_ranges_with_files(files).map_err(RamError::Map)?;
        Ok(Self { memory, file })
    }

    /// As vm-memory has it.
    pub fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }

    /// The memfd, for `IOMMU_IOAS_MAP_FILE`.
    pub fn file(&self) -> &File {
        &self.file
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

fn memfd() -> std::io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create("guest-ram", rustix::fs::MemfdFlags::CLOEXEC)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_leaves_the_hole_alone() {
        let ram = Ram::new(LOW_RAM_END + (1 << 20)).unwrap();
        let ranges: Vec<_> = ram.ranges().iter().map(|r| (r.start, r.size, r.file_offset)).collect();
        assert_eq!(ranges, [(0, LOW_RAM_END, 0), (HIGH_RAM, 1 << 20, LOW_RAM_END)]);
    }

    #[test]
    fn absurd_sizes_are_refused_in_words() {
        for size in [0, 4096, LEAST + 1, u64::MAX, MOST + 4096] {
            let error = Ram::new(size).err().unwrap().to_string();
            assert!(error.contains("not possible"), "{error}");
        }
    }
}
