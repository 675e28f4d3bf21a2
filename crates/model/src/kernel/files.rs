//! Files and mappings: who keeps a device open.

use super::{Kernel, get, get_mut, put, take};
use crate::errno::Errno;
use crate::rule::Rule;

/// A VFIO device file, as `open` of the character device made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub(crate) usize);

impl FileId {
    /// Of the number a call answered.
    #[must_use]
    pub fn of(answer: u64) -> Self {
        Self(answer as usize)
    }
}

/// A mapping of a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VmaId(pub(crate) usize);

impl VmaId {
    /// Of the number a call answered.
    #[must_use]
    pub fn of(answer: u64) -> Self {
        Self(answer as usize)
    }
}

/// What `struct file` and `struct vfio_device_file` hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceFile {
    /// The device.
    pub device: usize,
    /// Descriptors, descriptors in flight over sockets, mappings, KVM's VFIO device.
    pub references: u32,
}

/// `struct vm_area_struct` of a mapped BAR. It keeps its file open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vma {
    /// The file it keeps.
    pub file: FileId,
    /// BAR index.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Page table entries are there: an access does not fault. A zap takes them away.
    pub populated: bool,
}

impl Kernel {
    /// A file, while any reference to it is there.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&DeviceFile> {
        get(&self.files, id.0)
    }

    pub(super) fn new_file(&mut self, device: usize) -> FileId {
        FileId(put(&mut self.files, DeviceFile { device, references: 1 }))
    }

    /// Another reference: `dup`, a socket, KVM.
    pub fn hold_file(&mut self, id: FileId) {
        if let Some(file) = get_mut(&mut self.files, id.0) {
            file.references += 1;
        }
    }

    /// Gives a reference up; true if it was the last, and the device is to be closed.
    pub(super) fn drop_file(&mut self, id: FileId) -> bool {
        let Some(file) = get_mut(&mut self.files, id.0) else {
            return false;
        };
        file.references -= 1;
        file.references == 0
    }

    pub(super) fn forget_file(&mut self, id: FileId) {
        take(&mut self.files, id.0);
    }

    /// A mapping.
    #[must_use]
    pub fn vma(&self, id: VmaId) -> Option<&Vma> {
        get(&self.vmas, id.0)
    }

    /// Opens `/proc/self/fd/N` of a device file and asks the new one for something: it is bound
    /// to nothing. That works while the device is being removed, too. Gives the errno.
    pub fn reopen_file(&mut self) -> Errno {
        self.errno(Rule::ReopenFile, Errno::EINVAL)
    }

    pub(super) fn vma_mut(&mut self, id: VmaId) -> Option<&mut Vma> {
        get_mut(&mut self.vmas, id.0)
    }

    /// Adds a mapping, which keeps the file open.
    pub(super) fn new_vma(&mut self, vma: Vma) -> VmaId {
        if self.follows(Rule::MmapKeepsOpen) {
            self.hold_file(vma.file);
        }
        VmaId(put(&mut self.vmas, vma))
    }

    /// `munmap`: takes the mapping away; the file whose reference is to be given up.
    ///
    /// # Errors
    /// EINVAL without such a mapping.
    pub(super) fn take_vma(&mut self, id: VmaId) -> Result<FileId, Errno> {
        take(&mut self.vmas, id.0).map(|vma| vma.file).ok_or(Errno::EINVAL)
    }

    /// `unmap_mapping_range` over all BARs of a device (`vfio_pci_zap_bars`).
    pub(super) fn zap_bars(&mut self, device: usize) {
        let files = &self.files;
        for vma in self.vmas.iter_mut().flatten() {
            if get(files, vma.file.0).is_some_and(|file| file.device == device) {
                vma.populated = false;
            }
        }
    }
}
