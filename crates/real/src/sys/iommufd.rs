//! The calls of iommufd and udmabuf that no crate wraps.

use super::{returned, size_field};
use barkeep_model::Errno;
use iommufd_bindings::iommufd::{
    IOMMUFD_TYPE, iommu_ioas_copy, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
};
use iommufd_ioctls::IommuFd;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref};
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr};

/// `IOMMUFD_CMD_IOAS_COPY`, whose constant is of a private type.
const IOAS_COPY: u32 = 0x83;
ioctl_io_nr!(IOMMU_IOAS_COPY, IOMMUFD_TYPE as u32, IOAS_COPY);

/// `struct udmabuf_create` of `linux/udmabuf.h`.
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

const UDMABUF_FLAGS_CLOEXEC: u32 = 1;
ioctl_iow_nr!(UDMABUF_CREATE, 'u' as u32, 0x42, UdmabufCreate);

/// Fixed IOVA, readable and writeable: what every mapping here is.
pub(crate) const MAP_FLAGS: u32 = iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
    | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
    | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE;

/// `IOMMU_IOAS_COPY` between two spaces, by their ids, of one context.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn copy(
    context: &IommuFd,
    (from, iova): (u32, u64),
    (to, to_iova): (u32, u64),
    length: u64,
) -> Result<(), Errno> {
    let mut copy = iommu_ioas_copy {
        size: size_field::<iommu_ioas_copy>(),
        flags: MAP_FLAGS,
        dst_ioas_id: to,
        src_ioas_id: from,
        length,
        dst_iova: to_iova,
        src_iova: iova,
    };
    // SAFETY: the struct is the ioctl's own and says its size.
    returned(unsafe { ioctl_with_mut_ref(context, IOMMU_IOAS_COPY(), &mut copy) }).map(drop)
}

/// A dma-buf of `size` bytes of a memfd that is sealed against shrinking (`/dev/udmabuf`).
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn udmabuf(driver: &File, memory: &File, size: u64) -> Result<File, Errno> {
    let create = UdmabufCreate {
        memfd: memory.as_raw_fd().cast_unsigned(),
        flags: UDMABUF_FLAGS_CLOEXEC,
        offset: 0,
        size,
    };
    // SAFETY: the struct is the ioctl's own.
    let fd = returned(unsafe { ioctl_with_ref(driver, UDMABUF_CREATE(), &create) })?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { File::from_raw_fd(fd.cast_signed()) })
}
