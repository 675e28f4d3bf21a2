//! The system calls that rust-vmm's crates do not wrap, or whose errors they swallow.
#![allow(unsafe_code, reason = "ioctl and mmap have no safe form; nothing else in this crate is unsafe")]

use barkeep_export::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DEVICE_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_PROBE, VFIO_TYPE,
    vfio_device_feature,
};
use vmm_sys_util::ioctl::{ioctl, ioctl_with_mut_ref};
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(VFIO_DEVICE_RESET, VFIO_TYPE.into(), VFIO_BASE + 11);
ioctl_io_nr!(VFIO_DEVICE_FEATURE, VFIO_TYPE.into(), VFIO_BASE + 17);

/// The errno the last system call of this thread left.
pub(crate) fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// `VFIO_DEVICE_RESET`. `VfioDevice::reset` swallows the result.
///
/// # Errors
/// EINVAL if the device has no working reset (nothing is revoked then); otherwise the
/// reset's own, e.g. EAGAIN, and the mappings are dead all the same.
pub(crate) fn device_reset(device: &File) -> Result<(), Errno> {
    // SAFETY: the request takes no argument and `device` is open for the call.
    match unsafe { ioctl(device, VFIO_DEVICE_RESET()) } {
        0.. => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Whether the device can export dma-bufs. `VfioDevice::export_dma_buf` turns every error
/// of this probe into `Ok(None)`.
///
/// # Errors
/// ENOTTY where the kernel lacks `CONFIG_VFIO_PCI_DMABUF`, EOPNOTSUPP where a variant driver
/// does not offer it.
pub(crate) fn probe_dma_buf(device: &File) -> Result<(), Errno> {
    let mut feature = vfio_device_feature {
        argsz: size_of::<vfio_device_feature>() as u32,
        flags: VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
        ..Default::default()
    };
    // SAFETY: argsz is the size of what is passed, and a probe carries no payload.
    match unsafe { ioctl_with_mut_ref(device, VFIO_DEVICE_FEATURE(), &mut feature) } {
        0.. => Ok(()),
        _ => Err(last_errno()),
    }
}

/// A shared mapping of part of a device region. Nothing in this process reads or writes
/// through it: an access while the region is revoked would be SIGBUS. It gives memory slots
/// their host address.
#[derive(Debug)]
pub(crate) struct HostMapping {
    address: usize,
    size: usize,
}

impl HostMapping {
    /// Maps `size` bytes at `offset` of a device file. A gap of vm-memory: its file mappings
    /// check the length of the file by seeking, which a VFIO device file does not answer.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub(crate) fn new(device: &File, offset: u64, size: usize) -> Result<Self, Errno> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choosing aliases nothing.
        let address =
            unsafe { mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, device, offset)? };
        Ok(Self { address: address as usize, size })
    }

    /// Host virtual address, page-aligned.
    pub(crate) fn address(&self) -> u64 {
        self.address as u64
    }
}

impl Drop for HostMapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and whoever had its address (a memory slot) gave it up
        // first: the driver withdraws the slots before a device is closed.
        let _ = unsafe { munmap(self.address as *mut _, self.size) };
    }
}
