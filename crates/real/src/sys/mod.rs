//! The system calls that have no safe form, one safe function for each.
#![allow(unsafe_code, reason = "ioctl, mmap and an access that may be SIGBUS have no safe form")]

pub(crate) mod fence;
pub(crate) mod importer;
pub(crate) mod iommufd;
pub(crate) mod memory;
mod touch;
pub(crate) mod vfio;

use crate::errors;
use barkeep_model::Errno;
use std::ffi::c_int;

/// What an ioctl returned: a number from 0 on, or -1 and errno.
fn returned(result: c_int) -> Result<u32, Errno> {
    u32::try_from(result).map_err(|_| errors::last())
}

/// A struct's own size, for the `argsz` and `size` fields of VFIO and iommufd.
fn size_field<T>() -> u32 {
    const { assert!(size_of::<T>() < 4096) };
    size_of::<T>() as u32
}
