//! The system calls that rust-vmm's crates do not wrap, or whose errors they swallow.
#![allow(unsafe_code, reason = "ioctl and mmap have no safe form; nothing else in this crate is unsafe")]

use barkeep_export::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DEVICE_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
    VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_TYPE,
    vfio_device_feature, vfio_device_low_power_entry_with_wakeup, vfio_irq_set, vfio_pci_hot_reset,
};
use vmm_sys_util::ioctl::{ioctl, ioctl_with_mut_ptr, ioctl_with_mut_ref, ioctl_with_ptr};
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(VFIO_DEVICE_SET_IRQS, VFIO_TYPE.into(), VFIO_BASE + 10);
ioctl_io_nr!(VFIO_DEVICE_RESET, VFIO_TYPE.into(), VFIO_BASE + 11);
ioctl_io_nr!(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_TYPE.into(), VFIO_BASE + 12);
ioctl_io_nr!(VFIO_DEVICE_PCI_HOT_RESET, VFIO_TYPE.into(), VFIO_BASE + 13);
ioctl_io_nr!(VFIO_DEVICE_FEATURE, VFIO_TYPE.into(), VFIO_BASE + 17);

/// The errno the last system call of this thread left.
pub(crate) fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Has a descriptor closed in whatever this process starts.
///
/// # Errors
/// EBADF where none is open.
pub(crate) fn close_on_exec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: both calls take any number, and neither closes or reads anything.
    let result = unsafe {
        match libc::fcntl(fd, libc::F_GETFD) {
            -1 => -1,
            flags => libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC),
        }
    };
    if result == -1 { Err(last_errno()) } else { Ok(()) }
}

/// A file of a descriptor that this process was started with. Named once: the caller knows that nobody
/// here has opened it.
///
/// # Errors
/// EBADF where none is open.
pub(crate) fn take(fd: RawFd) -> Result<File, Errno> {
    close_on_exec(fd)?;
    // SAFETY: it is open, and came from outside of this process: no other owner of it is here.
    Ok(unsafe { File::from_raw_fd(fd) })
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

/// `VFIO_DEVICE_PCI_HOT_RESET` with an empty array: whoever opened the character device owns the
/// affected functions through its iommufd context. vfio-ioctls has nothing of hot resets.
///
/// # Errors
/// See [`barkeep_export::RawDevice::hot_reset`].
pub(crate) fn hot_reset(device: &File) -> Result<(), Errno> {
    let mut reset =
        vfio_pci_hot_reset { argsz: size_of::<vfio_pci_hot_reset>() as u32, ..Default::default() };
    // SAFETY: argsz is the size of what is passed, and no array is behind it.
    match unsafe { ioctl_with_mut_ref(device, VFIO_DEVICE_PCI_HOT_RESET(), &mut reset) } {
        0.. => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Words of `struct vfio_pci_hot_reset_info` before its array.
const HOT_RESET_HEAD: usize = 3;
/// Words of one `struct vfio_pci_dependent_device`.
const HOT_RESET_MEMBER: usize = 2;
/// Words of `vfio_irq_set` before its data: argsz, flags, index, start, count.
const IRQ_SET_HEAD: usize = size_of::<vfio_irq_set>() / size_of::<u32>();

/// What a signal of an eventfd is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IrqAction {
    /// The device's, when it interrupts.
    Trigger,
    /// The user's, to unmask.
    Unmask,
}

/// `VFIO_DEVICE_SET_IRQS`: eventfds (-1 for none) from vector `start` on; without any to trigger, the whole
/// index is turned off. `VfioDevice::enable_irq` begins at 0 and swallows the errno.
///
/// # Errors
/// The errno of the ioctl, and ENOSPC for a positive answer: that many vectors are all the host has
/// (`vfio_msi_enable`), and nothing was turned on.
pub(crate) fn set_irqs(
    device: &File,
    action: IrqAction,
    index: u32,
    start: u32,
    fds: &[i32],
) -> Result<(), Errno> {
    let data = if fds.is_empty() { VFIO_IRQ_SET_DATA_NONE } else { VFIO_IRQ_SET_DATA_EVENTFD };
    let mut words = vec![0u32; IRQ_SET_HEAD];
    words.extend(fds.iter().map(|fd| fd.cast_unsigned()));
    words[0] = size_of_val(words.as_slice()) as u32;
    words[1] = data
        | match action {
            IrqAction::Trigger => VFIO_IRQ_SET_ACTION_TRIGGER,
            IrqAction::Unmask => VFIO_IRQ_SET_ACTION_UNMASK,
        };
    words[2] = index;
    words[3] = start;
    words[4] = fds.len() as u32;
    // SAFETY: argsz is the size of what is passed, and as many descriptors follow as are counted.
    match unsafe { ioctl_with_ptr(device, VFIO_DEVICE_SET_IRQS(), words.as_ptr()) } {
        0 => Ok(()),
        1.. => Err(Errno::NOSPC),
        _ => Err(last_errno()),
    }
}

/// A bus has no more functions than this.
const FUNCTIONS: usize = 256;

/// `VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`: segment, bus and devfn of all that a hot reset resets.
///
/// # Errors
/// ENODEV on the root bus.
pub(crate) fn hot_reset_members(device: &File) -> Result<Vec<(u16, u8, u8)>, Errno> {
    // argsz, flags, count; then, each: devid, and segment, bus, devfn in one word.
    let mut words = vec![0u32; HOT_RESET_HEAD + HOT_RESET_MEMBER * FUNCTIONS];
    words[0] = size_of_val(words.as_slice()) as u32;
    // SAFETY: argsz is the size of what is passed.
    if unsafe { ioctl_with_mut_ptr(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), words.as_mut_ptr()) } < 0 {
        return Err(last_errno());
    }
    let members = words[HOT_RESET_HEAD..].chunks_exact(HOT_RESET_MEMBER).take(words[2] as usize);
    let place = |member: &[u32]| {
        let [low, high, bus, devfn] = member[1].to_le_bytes();
        (u16::from_le_bytes([low, high]), bus, devfn)
    };
    Ok(members.map(place).collect())
}

/// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`.
///
/// # Errors
/// EINVAL in low power already, and everything is revoked all the same; ENOTTY without runtime
/// power management.
pub(crate) fn low_power_entry(device: &File) -> Result<(), Errno> {
    set_feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)
}

/// `VFIO_DEVICE_FEATURE_LOW_POWER_EXIT`.
///
/// # Errors
/// ENOTTY without runtime power management.
pub(crate) fn low_power_exit(device: &File) -> Result<(), Errno> {
    set_feature(device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
}

fn set_feature(device: &File, feature: u32) -> Result<(), Errno> {
    let mut head = vfio_device_feature {
        argsz: size_of::<vfio_device_feature>() as u32,
        flags: VFIO_DEVICE_FEATURE_SET | feature,
        ..Default::default()
    };
    // SAFETY: argsz is the size of what is passed, and these features have no data.
    match unsafe { ioctl_with_mut_ref(device, VFIO_DEVICE_FEATURE(), &mut head) } {
        0.. => Ok(()),
        _ => Err(last_errno()),
    }
}

/// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP`: whatever resumes the device ends the stay
/// and signals `wakes`.
///
/// # Errors
/// As [`low_power_entry`].
pub(crate) fn low_power_with_wakeup(device: &File, wakes: &impl AsRawFd) -> Result<(), Errno> {
    #[repr(C)]
    struct Feature {
        head: [u32; 2],
        data: vfio_device_low_power_entry_with_wakeup,
    }
    let mut feature = Feature {
        head: [
            size_of::<Feature>() as u32,
            VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
        ],
        data: vfio_device_low_power_entry_with_wakeup {
            wakeup_eventfd: wakes.as_raw_fd(),
            ..Default::default()
        },
    };
    // SAFETY: argsz, the first word of the head, is the size of what is passed.
    match unsafe { ioctl_with_mut_ref(device, VFIO_DEVICE_FEATURE(), &mut feature) } {
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
