//! The I/O address space all devices of a VM share, or one for each of them with the same in it:
//! guest RAM and, at the guest physical address of each BAR, its dma-bufs. IOVA equals guest
//! physical address throughout.

use crate::holders;
use crate::sys::HostMapping;
use barkeep_export::{Errno, Held, Holder, Importer, IoSpace, WindowId};
use barkeep_planted::{Fault, is_planted};
use iommufd_bindings::iommufd::{
    iommu_ioas_map_file, iommu_ioas_unmap, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
};
use iommufd_ioctls::{IommuFd, IommufdError};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use vfio_ioctls::VfioIommufd;

/// Whether devices share an I/O address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// All devices of a VM are attached to one.
    Shared,
    /// Each device has its own, and every one holds the same mappings.
    Each,
}

/// Why the space could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// `/dev/iommu` cannot be opened.
    #[error("cannot open /dev/iommu; the kernel needs CONFIG_IOMMUFD, and you read and write access")]
    Open(#[source] IommufdError),
    /// No IOAS to be had.
    #[error("cannot make an I/O address space")]
    Allocate(#[source] vfio_ioctls::VfioError),
    /// Guest RAM cannot be mapped into another one.
    #[error("cannot map guest memory into one more I/O address space")]
    Ram(#[source] Errno),
}

/// An IOAS, or one for each device, and the dma-bufs of the windows that may be mapped into it.
pub struct Space {
    iommufd: Arc<IommuFd>,
    sharing: Sharing,
    ioas: Mutex<Ioas>,
    buffers: RwLock<BTreeMap<WindowId, Buffer>>,
}

/// What there is of I/O address spaces.
struct Ioas {
    all: Vec<Arc<VfioIommufd>>,
    /// Of how many a device was made.
    used: usize,
    /// What goes into each that is made later.
    ram: Vec<Ram>,
}

struct Ram {
    memory: File,
    offset: u64,
    size: u64,
    iova: u64,
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
    pub fn new(sharing: Sharing) -> Result<Self, SpaceError> {
        let iommufd = Arc::new(IommuFd::new().map_err(SpaceError::Open)?);
        let ioas = Mutex::new(Ioas { all: vec![allocate(&iommufd)?], used: 0, ram: Vec::new() });
        Ok(Self { iommufd, sharing, ioas, buffers: RwLock::default() })
    }

    /// For opening the next device into it.
    ///
    /// # Errors
    /// There is no other I/O address space to be had.
    pub(crate) fn next(&self) -> Result<Arc<VfioIommufd>, SpaceError> {
        let mut ioas = self.ioas();
        let index = if self.sharing == Sharing::Shared { 0 } else { ioas.used };
        ioas.used += 1;
        if index == ioas.all.len() {
            let vfio = allocate(&self.iommufd)?;
            for Ram { memory, offset, size, iova } in &ioas.ram {
                self.map_file(&vfio, memory, (*offset, *size), *iova).map_err(SpaceError::Ram)?;
            }
            ioas.all.push(vfio);
        }
        Ok(Arc::clone(&ioas.all[index]))
    }

    fn ioas(&self) -> MutexGuard<'_, Ioas> {
        self.ioas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the dma-buf of a window of `size` bytes.
    pub fn add_buffer(&self, window: WindowId, file: File, size: u64) {
        self.buffers.write().unwrap_or_else(PoisonError::into_inner).insert(window, Buffer { file, size });
    }

    /// A descriptor of a window's dma-buf, for another process.
    ///
    /// # Errors
    /// ENOENT without a dma-buf; EMFILE.
    pub fn buffer(&self, window: WindowId) -> Result<File, Errno> {
        self.with_buffer(window, |buffer| {
            buffer.file.try_clone().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
        })
    }

    fn with_buffer<T>(
        &self,
        window: WindowId,
        use_it: impl FnOnce(&Buffer) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        use_it(buffers.get(&window).ok_or(Errno::NOENT)?)
    }

    /// Maps the same into every one, or into none.
    fn map_all(&self, file: &File, range: (u64, u64), iova: u64) -> Result<(), Errno> {
        let ioas = self.ioas();
        for (done, vfio) in ioas.all.iter().enumerate() {
            if let Err(errno) = self.map_file(vfio, file, range, iova) {
                for vfio in &ioas.all[..done] {
                    // It was mapped a moment ago; what is left of it would be met as EEXIST.
                    let _ = self.unmap_range(vfio, iova, range.1);
                }
                return Err(errno);
            }
        }
        Ok(())
    }

    /// `range` is start and length in the file.
    fn map_file(
        &self,
        vfio: &VfioIommufd,
        file: &File,
        (start, length): (u64, u64),
        iova: u64,
    ) -> Result<(), Errno> {
        let map = iommu_ioas_map_file {
            size: size_of::<iommu_ioas_map_file>() as u32,
            flags: iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
            ioas_id: vfio.ioas().id(),
            fd: file.as_raw_fd(),
            start,
            length,
            iova,
        };
        self.iommufd.map_iommu_ioas_file(&map).map_err(errno)
    }

    fn unmap_range(&self, vfio: &VfioIommufd, iova: u64, length: u64) -> Result<u64, Errno> {
        let mut unmap = iommu_ioas_unmap {
            size: size_of::<iommu_ioas_unmap>() as u32,
            ioas_id: vfio.ioas().id(),
            iova,
            length,
        };
        // `IommufdIoas::unmap` drops the length that was unmapped; this call keeps it.
        self.iommufd.unmap_iommu_ioas(&mut unmap).map_err(errno)?;
        Ok(unmap.length)
    }
}

// No KVM device is passed: a bind that fails would leave it holding the device file.
fn allocate(iommufd: &Arc<IommuFd>) -> Result<Arc<VfioIommufd>, SpaceError> {
    VfioIommufd::new(Arc::clone(iommufd), None, None).map(Arc::new).map_err(SpaceError::Allocate)
}

impl Importer for Space {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        let buffer = buffers.get(&window).ok_or(Errno::NOENT)?;
        let file = match buffers.get(&WindowId { window: 0, ..window }) {
            Some(first) if is_planted(Fault::BufferOfFirstWindow) => &first.file,
            Some(_) | None => &buffer.file,
        };
        self.map_all(file, (0, buffer.size), address)
    }

    /// Takes it out of every one, and gives the least that one of them took away.
    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno> {
        let buffers = self.buffers.read().unwrap_or_else(PoisonError::into_inner);
        let size = buffers.get(&window).ok_or(Errno::NOENT)?.size;
        let ioas = self.ioas();
        // All of them, also behind one that fails.
        let results: Vec<_> = ioas.all.iter().map(|vfio| self.unmap_range(vfio, address, size)).collect();
        results.into_iter().try_fold(size, |least, length| Ok(least.min(length?)))
    }
}

impl IoSpace for Space {
    fn map_ram(&self, memory: &File, offset: u64, size: u64, iova: u64) -> Result<(), Errno> {
        let own = memory.try_clone().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        self.map_all(memory, (offset, size), iova)?;
        self.ioas().ram.push(Ram { memory: own, offset, size, iova });
        Ok(())
    }

    fn remove_buffer(&self, window: WindowId) -> bool {
        self.buffers.write().unwrap_or_else(PoisonError::into_inner).remove(&window).is_some()
    }

    fn hold_buffer(&self, window: WindowId, by: Holder) -> Result<Held, Errno> {
        self.with_buffer(window, |Buffer { file, size }| match by {
            Holder::Duplicate => holders::duplicate(file),
            // vfio-pci's dma-bufs have no `mmap`: the errno is the kernel's.
            Holder::Mapping => Ok(Box::new(HostMapping::new(file, 0, *size as usize)?)),
            Holder::Passed => holders::pass(file),
            Holder::Inherited => holders::inherit(file),
            Holder::Reopened => holders::reopen(file),
            // `KVM_DEV_VFIO_FILE_ADD` takes device files and groups.
            Holder::Kvm => Err(Errno::INVAL),
        })
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
