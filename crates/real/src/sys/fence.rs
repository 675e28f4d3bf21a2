//! Fences that user space signals (`CONFIG_SW_SYNC`), and their way onto a dma-buf.

use super::returned;
use barkeep_model::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref};
use vmm_sys_util::{ioctl_iow_nr, ioctl_iowr_nr};

/// `struct sw_sync_create_fence_data` (drivers/dma-buf/sw_sync.c).
#[repr(C)]
struct CreateFence {
    value: u32,
    name: [u8; 32],
    fence: i32,
}

/// `struct dma_buf_import_sync_file` of `linux/dma-buf.h`.
#[repr(C)]
struct ImportSyncFile {
    flags: u32,
    fd: i32,
}

/// `DMA_BUF_SYNC_WRITE`: whoever reads or writes has to wait for it.
const SYNC_WRITE: u32 = 2;

ioctl_iowr_nr!(SW_SYNC_IOC_CREATE_FENCE, b'W' as u32, 0, CreateFence);
ioctl_iow_nr!(SW_SYNC_IOC_INC, b'W' as u32, 1, u32);
ioctl_iow_nr!(DMA_BUF_IOCTL_IMPORT_SYNC_FILE, b'b' as u32, 3, ImportSyncFile);

/// A fence of a timeline, signalled when that has gone on to `value`.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn create(timeline: &File, value: u32) -> Result<File, Errno> {
    let mut create = CreateFence { value, name: [0; 32], fence: -1 };
    // SAFETY: the struct is the ioctl's own.
    returned(unsafe { ioctl_with_mut_ref(timeline, SW_SYNC_IOC_CREATE_FENCE(), &mut create) })?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { File::from_raw_fd(create.fence) })
}

/// Has a timeline go on.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn advance(timeline: &File, by: u32) -> Result<(), Errno> {
    // SAFETY: it reads a number.
    returned(unsafe { ioctl_with_ref(timeline, SW_SYNC_IOC_INC(), &by) }).map(drop)
}

/// Puts a fence on a dma-buf.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn import(buffer: &File, fence: &File) -> Result<(), Errno> {
    let request = ImportSyncFile { flags: SYNC_WRITE, fd: fence.as_raw_fd() };
    // SAFETY: the struct is the ioctl's own.
    returned(unsafe { ioctl_with_ref(buffer, DMA_BUF_IOCTL_IMPORT_SYNC_FILE(), &request) }).map(drop)
}
