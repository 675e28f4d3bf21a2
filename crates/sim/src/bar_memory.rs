//! What a simulated memory BAR holds.

use std::fs::File;
use vm_memory::bitmap::BitmapSlice;
use vm_memory::mmap::{MmapRegion, MmapRegionError};
use vm_memory::{FileOffset, VolatileMemory, VolatileSlice};

/// Why there is no memory behind a BAR.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// No memfd.
    #[error("cannot make {size:#x} bytes of memory for a BAR")]
    Make {
        /// Bytes asked for.
        size: u64,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// No mapping.
    #[error(
        "cannot map {size:#x} bytes of memory for a BAR; is the limit of virtual memory (ulimit -v) high enough?"
    )]
    Map {
        /// Bytes asked for.
        size: u64,
        /// Why.
        source: MmapRegionError,
    },
}

/// Memory on a memfd, whose pages are there once they are written. The mapping is the device's
/// own view and never taken away; guests' views are mappings of the same file.
pub(crate) struct BarMemory {
    file: File,
    region: MmapRegion,
}

impl BarMemory {
    /// `size` bytes of zeros; less than a page gets a whole one.
    pub fn new(size: u64) -> Result<Self, MemoryError> {
        let length = size.next_multiple_of(rustix::param::page_size() as u64);
        let make = |source| MemoryError::Make { size, source };
        let file = rustix::fs::memfd_create("sim-bar", rustix::fs::MemfdFlags::CLOEXEC);
        let file = File::from(file.map_err(|errno| make(errno.into()))?);
        file.set_len(length).map_err(make)?;
        let own = FileOffset::new(file.try_clone().map_err(make)?, 0);
        let region = MmapRegion::from_file(own, length as usize);
        let region = region.map_err(|source| MemoryError::Map { size, source })?;
        Ok(Self { file, region })
    }

    /// The file, for further views of it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads; what is behind the end reads all ones.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if let Some(slice) = self.slice(offset, bytes.len()) {
            slice.copy_to(bytes);
        }
    }

    /// Writes; what is behind the end is lost.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        if let Some(slice) = self.slice(offset, bytes.len()) {
            slice.copy_from(bytes);
        }
    }

    fn slice(&self, offset: u64, length: usize) -> Option<VolatileSlice<'_, impl BitmapSlice>> {
        self.region.get_slice(usize::try_from(offset).ok()?, length).ok()
    }
}
