//! The ioctls of a VFIO device file, each by itself: `VfioDevice` of vfio-ioctls opens, binds
//! and attaches at once, and drops some of the errnos.

use super::{returned, size_field};
use barkeep_model::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DEVICE_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_GET,
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET,
    VFIO_TYPE, vfio_device_attach_iommufd_pt, vfio_device_bind_iommufd, vfio_device_detach_iommufd_pt,
    vfio_device_feature, vfio_device_info, vfio_device_low_power_entry_with_wakeup, vfio_pci_hot_reset,
    vfio_region_info,
};
use vmm_sys_util::ioctl::{ioctl, ioctl_with_mut_ptr, ioctl_with_mut_ref};
use vmm_sys_util::ioctl_io_nr;

pub(crate) use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_REGION_INFO_FLAG_MMAP,
};

ioctl_io_nr!(VFIO_DEVICE_GET_INFO, VFIO_TYPE.into(), VFIO_BASE + 7);
ioctl_io_nr!(VFIO_DEVICE_GET_REGION_INFO, VFIO_TYPE.into(), VFIO_BASE + 8);
ioctl_io_nr!(VFIO_DEVICE_RESET, VFIO_TYPE.into(), VFIO_BASE + 11);
ioctl_io_nr!(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_TYPE.into(), VFIO_BASE + 12);
ioctl_io_nr!(VFIO_DEVICE_PCI_HOT_RESET, VFIO_TYPE.into(), VFIO_BASE + 13);
ioctl_io_nr!(VFIO_DEVICE_FEATURE, VFIO_TYPE.into(), VFIO_BASE + 17);
ioctl_io_nr!(VFIO_DEVICE_BIND_IOMMUFD, VFIO_TYPE.into(), VFIO_BASE + 18);
ioctl_io_nr!(VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_TYPE.into(), VFIO_BASE + 19);
ioctl_io_nr!(VFIO_DEVICE_DETACH_IOMMUFD_PT, VFIO_TYPE.into(), VFIO_BASE + 20);

/// `VFIO_DEVICE_BIND_IOMMUFD`: what makes a device file of the character device usable.
pub(crate) fn bind(file: &File, context: &impl AsRawFd) -> Result<(), Errno> {
    let mut bind = vfio_device_bind_iommufd {
        // Up to `out_devid`: the token behind it is for physical functions with virtual ones.
        argsz: std::mem::offset_of!(vfio_device_bind_iommufd, token_uuid_ptr) as u32,
        iommufd: context.as_raw_fd(),
        ..Default::default()
    };
    // SAFETY: argsz is not more than is passed.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_BIND_IOMMUFD(), &mut bind) }).map(drop)
}

/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT` to the space with this id in the file's context.
pub(crate) fn attach(file: &File, space: u32) -> Result<(), Errno> {
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: size_field::<vfio_device_attach_iommufd_pt>(),
        pt_id: space,
        ..Default::default()
    };
    // SAFETY: argsz is the size of what is passed.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), &mut attach) }).map(drop)
}

/// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
pub(crate) fn detach(file: &File) -> Result<(), Errno> {
    let mut detach = vfio_device_detach_iommufd_pt {
        argsz: size_field::<vfio_device_detach_iommufd_pt>(),
        ..Default::default()
    };
    // SAFETY: argsz is the size of what is passed.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_DETACH_IOMMUFD_PT(), &mut detach) }).map(drop)
}

/// `VFIO_DEVICE_GET_INFO`, for its errno.
pub(crate) fn device_info(file: &File) -> Result<(), Errno> {
    let mut info = vfio_device_info { argsz: size_field::<vfio_device_info>(), ..Default::default() };
    // SAFETY: argsz is the size of what is passed.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_GET_INFO(), &mut info) }).map(drop)
}

/// `VFIO_DEVICE_GET_REGION_INFO` without its capabilities.
pub(crate) fn region_info(file: &File, index: u32) -> Result<vfio_region_info, Errno> {
    let mut info = vfio_region_info { argsz: size_field::<vfio_region_info>(), index, ..Default::default() };
    // SAFETY: argsz is the size of what is passed: the kernel writes no capabilities behind it.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_GET_REGION_INFO(), &mut info) })?;
    Ok(info)
}

/// `VFIO_DEVICE_RESET`.
pub(crate) fn reset(file: &File) -> Result<(), Errno> {
    // SAFETY: the request takes no argument.
    returned(unsafe { ioctl(file, VFIO_DEVICE_RESET()) }).map(drop)
}

/// `VFIO_DEVICE_PCI_HOT_RESET` with an empty array.
pub(crate) fn hot_reset(file: &File) -> Result<(), Errno> {
    let mut reset = vfio_pci_hot_reset { argsz: size_field::<vfio_pci_hot_reset>(), ..Default::default() };
    // SAFETY: argsz is the size of what is passed, and no array is behind it.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_PCI_HOT_RESET(), &mut reset) }).map(drop)
}

/// Words of `struct vfio_pci_hot_reset_info` before its array, and of one element of it.
const HOT_RESET_HEAD: usize = 3;
const HOT_RESET_ELEMENT: usize = 2;
/// A bus has no more functions than this.
const FUNCTIONS: usize = 256;

/// `VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`: bus and devfn of all that a hot reset would reset.
pub(crate) fn hot_reset_info(file: &File) -> Result<Vec<(u8, u8)>, Errno> {
    // argsz, flags, count; then, each: devid, and segment, bus, devfn in one word.
    let mut words = vec![0u32; HOT_RESET_HEAD + HOT_RESET_ELEMENT * FUNCTIONS];
    words[0] = (words.len() * size_of::<u32>()) as u32;
    // SAFETY: argsz is the size of what is passed.
    let done = unsafe { ioctl_with_mut_ptr(file, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), words.as_mut_ptr()) };
    returned(done)?;
    let elements = words[HOT_RESET_HEAD..].chunks_exact(HOT_RESET_ELEMENT).take(words[2] as usize);
    let place = |element: &[u32]| {
        let [_, _, bus, devfn] = element[1].to_le_bytes();
        (bus, devfn)
    };
    Ok(elements.map(place).collect())
}

/// `VFIO_DEVICE_FEATURE`, SET, of a feature without data.
pub(crate) fn set_feature(file: &File, feature: u32) -> Result<(), Errno> {
    feature_head(file, VFIO_DEVICE_FEATURE_SET | feature)
}

/// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP`, SET: the device wakes the eventfd and leaves
/// low power when anything wakes it.
pub(crate) fn low_power_with_wakeup(file: &File, eventfd: &impl AsRawFd) -> Result<(), Errno> {
    #[repr(C)]
    struct Feature {
        head: [u32; 2],
        data: vfio_device_low_power_entry_with_wakeup,
    }
    let mut feature = Feature {
        head: [
            size_field::<Feature>(),
            VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
        ],
        data: vfio_device_low_power_entry_with_wakeup {
            wakeup_eventfd: eventfd.as_raw_fd(),
            ..Default::default()
        },
    };
    // SAFETY: argsz, the first word of the head, is the size of what is passed.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_FEATURE(), &mut feature) }).map(drop)
}

/// Whether the device can export dma-bufs: PROBE and GET.
pub(crate) fn probe_export(file: &File) -> Result<(), Errno> {
    feature_head(file, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF)
}

fn feature_head(file: &File, flags: u32) -> Result<(), Errno> {
    let mut head =
        vfio_device_feature { argsz: size_field::<vfio_device_feature>(), flags, ..Default::default() };
    // SAFETY: argsz is the size of what is passed, and there is no data behind it.
    returned(unsafe { ioctl_with_mut_ref(file, VFIO_DEVICE_FEATURE(), &mut head) }).map(drop)
}

/// Ranges of a region to be exported.
pub(crate) struct Request<'a> {
    /// The region: a BAR's number.
    pub(crate) region: u32,
    /// Must be 0, says the kernel.
    pub(crate) flags: u32,
    /// Offset and length of each.
    pub(crate) ranges: &'a [(u64, u64)],
}

/// `VFIO_DEVICE_FEATURE_DMA_BUF`, GET.
pub(crate) fn export(file: &File, request: &Request<'_>) -> Result<File, Errno> {
    let fd = export_call(file, VFIO_DEVICE_FEATURE_GET, request)?;
    // SAFETY: GET answers with a descriptor the kernel has just made, for us alone.
    Ok(unsafe { File::from_raw_fd(fd.cast_signed()) })
}

/// The same with SET, which no kernel takes.
pub(crate) fn export_set(file: &File, request: &Request<'_>) -> Result<(), Errno> {
    export_call(file, VFIO_DEVICE_FEATURE_SET, request).map(drop)
}

fn export_call(file: &File, direction: u32, request: &Request<'_>) -> Result<u32, Errno> {
    let Request { region, flags, ranges } = *request;
    let open_flags = (rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC).bits();
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    // struct vfio_device_feature, then struct vfio_device_feature_dma_buf: six words of 32 bits,
    // then the ranges. Words of 64 bits, because the ranges must be aligned so.
    let mut words = vec![0, pair(region, open_flags), pair(flags, ranges.len() as u32)];
    words.extend(ranges.iter().flat_map(|(offset, length)| [*offset, *length]));
    let argsz = words.len() * size_of::<u64>();
    words[0] = pair(argsz as u32, direction | VFIO_DEVICE_FEATURE_DMA_BUF);
    // SAFETY: argsz is the size of what is passed, and as many ranges follow as are counted.
    returned(unsafe { ioctl_with_mut_ptr(file, VFIO_DEVICE_FEATURE(), words.as_mut_ptr()) })
}
