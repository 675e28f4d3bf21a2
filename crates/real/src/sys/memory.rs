//! `mmap` of BARs, and accesses through it.

use super::touch;
use crate::errors;
use barkeep_model::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
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

    /// A CPU reads 4 bytes.
    ///
    /// # Errors
    /// EFAULT where the kernel has nothing to put behind the address, and outside the mapping.
    pub(crate) fn read(&self, offset: u64) -> Result<u32, Errno> {
        let address = self.at(offset)?;
        // SAFETY: inside a mapping of ours that is readable and that Rust does not know of.
        unsafe { touch::read(address) }
    }

    /// A CPU writes 4 bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn write(&self, offset: u64, value: u32) -> Result<(), Errno> {
        let address = self.at(offset)?;
        // SAFETY: as in `read`, and it is writeable.
        unsafe { touch::write(address, value) }
    }

    fn at(&self, offset: u64) -> Result<usize, Errno> {
        let offset = usize::try_from(offset).map_err(|_| Errno::EFAULT)?;
        let end = offset.checked_add(size_of::<u32>()).ok_or(Errno::EFAULT)?;
        if end <= self.size { Ok(self.address + offset) } else { Err(Errno::EFAULT) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`; nothing holds an address in it.
        let _ = unsafe { munmap(self.address as *mut _, self.size) };
    }
}
