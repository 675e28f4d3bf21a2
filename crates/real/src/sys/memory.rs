//! `mmap` of BARs, and accesses through it.

use super::touch;
use crate::errors;
use barkeep_model::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::fs::File;

/// A shared mapping, readable and writeable. Rust never has a reference into it.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    size: usize,
}

impl Mapping {
    /// Maps `size` bytes at `offset` of a file; whether both are multiples of a page is the
    /// kernel's to judge.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub(crate) fn new(file: &File, offset: u64, size: u64) -> Result<Self, Errno> {
        let size = usize::try_from(size).map_err(|_| Errno::ENOMEM)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choosing aliases nothing.
        let mapped = unsafe { mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, file, offset) };
        Ok(Self { address: mapped.map_err(errors::of_rustix)? as usize, size })
    }

    /// The same at an address that is a multiple of `alignment`, a power of two: where the kernel can
    /// use huge pages.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub(crate) fn aligned(file: &File, offset: u64, size: u64, alignment: usize) -> Result<Self, Errno> {
        let size = usize::try_from(size).map_err(|_| Errno::ENOMEM)?;
        let room = size.checked_add(alignment).ok_or(Errno::ENOMEM)?;
        let none = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: as in `new`.
        let reserved = unsafe { mmap_anonymous(std::ptr::null_mut(), room, none.0, none.1) };
        let reserved = reserved.map_err(errors::of_rustix)? as usize;
        let address = reserved.next_multiple_of(alignment);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: it replaces part of what was just reserved, which nobody knows of.
        let mapped = unsafe { mmap(address as *mut _, size, protection, flags, file, offset) };
        // What lies around it is not needed any more, and all of it if that failed.
        let around = match mapped {
            Ok(_) => [(reserved, address - reserved), (address + size, reserved + room - address - size)],
            Err(_) => [(reserved, room), (0, 0)],
        };
        for (start, length) in around.into_iter().filter(|(_, length)| *length > 0) {
            // SAFETY: still what was reserved.
            let _ = unsafe { munmap(start as *mut _, length) };
        }
        mapped.map(|_| Self { address, size }).map_err(errors::of_rustix)
    }

    /// A CPU reads 4 bytes.
    ///
    /// # Errors
    /// EFAULT where the kernel has nothing to put behind the address, and outside the mapping.
    pub(crate) fn read(&self, offset: u64) -> Result<u32, Errno> {
        let address = self.at(offset, size_of::<u32>())?;
        // SAFETY: inside a mapping of ours that is readable and that Rust does not know of.
        unsafe { touch::read(address) }
    }

    /// A CPU writes 4 bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn write(&self, offset: u64, value: u32) -> Result<(), Errno> {
        let address = self.at(offset, size_of::<u32>())?;
        // SAFETY: as in `read`, and it is writeable.
        unsafe { touch::write(address, value) }
    }

    /// A CPU writes 8 bytes at once.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn write_wide(&self, offset: u64, value: u64) -> Result<(), Errno> {
        let address = self.at(offset, size_of::<u64>())?;
        // SAFETY: as in `write`.
        unsafe { touch::write_wide(address, value) }
    }

    fn at(&self, offset: u64, width: usize) -> Result<usize, Errno> {
        let offset = usize::try_from(offset).map_err(|_| Errno::EFAULT)?;
        let end = offset.checked_add(width).ok_or(Errno::EFAULT)?;
        if end <= self.size { Ok(self.address + offset) } else { Err(Errno::EFAULT) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`; nothing holds an address in it.
        let _ = unsafe { munmap(self.address as *mut _, self.size) };
    }
}
