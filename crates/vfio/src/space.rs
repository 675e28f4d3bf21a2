//! The I/O address space all devices of a VM share: guest RAM and, at the guest physical
//! address of each BAR, its dma-bufs. IOVA equals guest physical address throughout.

use barkeep_export::{Errno, Importer, IoSpace, WindowId};
use iommufd_bindings::iommufd::{
    iommu_ioas_map_file, iommu_ioas_unmap, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
};
use iommufd_ioctls::{IommuFd, IommufdError};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Arc, PoisonError, RwLock};
use vfio_ioctls::VfioIommufd;

/// Why the space could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// `/dev/iommu` cannot be opened.
    #[error("cannot open /dev/iommu; the kernel needs CONFIG_IOMMUFD, and you read and write access")]
    Open(#[source] IommufdError),
    /// No IOAS to be had.
    #[error("cannot make an I/O address space")]
    Allocate(#[source] vfio_ioctls::VfioError),
}

/// An IOAS, and the dma-bufs of the windows that may be mapped into it.
pub struct Space {
    iommufd: Arc<IommuFd>,
    vfio: Arc<VfioIommufd>,
    buffers: RwLock<BTreeMap<WindowId, Buffer>>,
}

struct Buffer {
    file: File,
    size: u64,
}

impl Space {
    /// A new, empty one.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn new() -> Result<Self, SpaceError> {
        let iommufd = Arc::new(IommuFd::new().map_err(SpaceError::Open)?);
        // No KVM device is passed: a bind that fails would leave it holding the device file.
        let vfio = VfioIommufd::new(Arc::clone(&iommufd), None, None).map_err(SpaceError::Allocate)?;
        Ok(Self { iommufd, vfio: Arc::new(vfio), buffers: RwLock::default() })
    }

    /// For opening devices into it.
    pub(crate) fn vfio(&self) -> Arc<VfioIommufd> {
        Arc::clone(&self.vfio)
    }

    /// Takes over the dma-buf of a window of `size` bytes.
    pub fn add_buffer(&self, window: WindowId, file: File, size: u64) {
        self.buffers.write().unwrap_or_else(PoisonError::into_inner).insert(window, Buffer { file, size });
    }

    fn map_file(&self, file: &File, start: u64, length: u64, iova: u64) -> Result<(), Errno> {
        let map = iommu_ioas_map_file {
            size: size_of::<iommu_ioas_map_file>() as u32,
            flags: iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
            ioas_id: self.vfio.ioas().id(),
            fd: file.as_raw_fd(),
            start,
            length,
            iova,
        };
        self.iommufd.map_iommu_ioas_file(&map).map_err(errno)
    }

    fn unmap_range(&self, iova: u64, length: u64) -> Result<u64, Errno> {
        let mut unmap = iommu_ioas_unmap {
            size: size_of::<iommu_ioas_unmap>() as u32,
            ioas_id: self.vfio.ioas().id(),
            iova,
            length,
        };
        // `IommufdIoas::unmap` drops the length that was unmapped; this call keeps it.
        self.iommufd.unmap_iommu_ioas(&mut unmap).map_err(errno)?;
        Ok(unmap.length)
    }
}

impl Importer for Space {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        let buffer = buffers.get(&window).ok_or(Errno::NOENT)?;
        self.map_file(&buffer.file, 0, buffer.size, address)
    }

    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        let size = buffers.get(&window).ok_or(Errno::NOENT)?.size;
        self.unmap_range(address, size)
    }
}

impl IoSpace for Space {
    fn map_ram(&self, memory: &File, offset: u64, size: u64, iova: u64) -> Result<(), Errno> {
        self.map_file(memory, offset, size, iova)
    }

    fn remove_buffer(&self, window: WindowId) -> bool {
        self.buffers.write().unwrap_or_else(PoisonError::into_inner).remove(&window).is_some()
    }
}

fn errno(error: IommufdError) -> Errno {
    match error {
        IommufdError::IommuIoasMapFile(e) | IommufdError::IommuIoasUnmap(e) => {
            Errno::from_raw_os_error(e.errno())
        }
        _ => Errno::IO,
    }
}
