//! An open device file, bound to a context.

use crate::errors::{self, SHORT};
use crate::sys::memory::Mapping;
use crate::sys::vfio::{self, VFIO_PCI_CONFIG_REGION_INDEX};
use crate::sysfs::Folder;
use barkeep_model::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Where a region begins in the device file (`VFIO_PCI_OFFSET_SHIFT`). Only so can a BAR that
/// is not there be asked for; [`crate::discover`] refuses a kernel that does it otherwise.
pub(crate) const REGION_SHIFT: u32 = 40;

/// One.
#[derive(Debug)]
pub(crate) struct DeviceFile {
    /// The device's number.
    pub(crate) device: u8,
    /// The number of the context it is bound to.
    pub(crate) context: u8,
    pub(crate) file: File,
}

/// Opens the character device and binds it; closed again if that fails.
pub(crate) fn open(folder: &Folder, context: &impl AsRawFd) -> Result<File, Errno> {
    let path = folder.character_device()?;
    let file = File::options().read(true).write(true).open(path).map_err(|e| errors::of_io(&e))?;
    vfio::bind(&file, context)?;
    Ok(file)
}

/// Opens whatever is behind a descriptor once more.
pub(crate) fn reopen(file: &File) -> Result<File, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).write(true).open(path).map_err(|e| errors::of_io(&e))
}

impl DeviceFile {
    pub(crate) fn duplicate(&self) -> Result<Self, Errno> {
        let file = self.file.try_clone().map_err(|e| errors::of_io(&e))?;
        Ok(Self { device: self.device, context: self.context, file })
    }

    /// Reads up to 4 bytes of config space, little-endian.
    pub(crate) fn config_read(&self, offset: u16, width: u8) -> Result<u32, Errno> {
        read(&self.file, in_region(VFIO_PCI_CONFIG_REGION_INDEX, offset.into()), width)
    }

    /// Writes up to 4 bytes of config space, little-endian.
    pub(crate) fn config_write(&self, offset: u16, width: u8, value: u32) -> Result<(), Errno> {
        write(&self.file, in_region(VFIO_PCI_CONFIG_REGION_INDEX, offset.into()), width, value)
    }

    /// Reads 4 bytes of a BAR.
    pub(crate) fn region_read(&self, bar: u8, offset: u64) -> Result<u32, Errno> {
        read(&self.file, in_region(bar.into(), offset), 4)
    }

    /// Writes 4 bytes of a BAR.
    pub(crate) fn region_write(&self, bar: u8, offset: u64, value: u32) -> Result<(), Errno> {
        write(&self.file, in_region(bar.into(), offset), 4, value)
    }

    /// Writes 8 bytes of a BAR in one call.
    pub(crate) fn region_write_wide(&self, bar: u8, offset: u64, value: u64) -> Result<(), Errno> {
        whole(self.file.write_at(&value.to_le_bytes(), in_region(bar.into(), offset)), size_of::<u64>())
    }

    /// Maps part of a BAR.
    pub(crate) fn map(&self, bar: u8, offset: u64, size: u64) -> Result<Mapping, Errno> {
        Mapping::new(&self.file, in_region(bar.into(), offset), size)
    }
}

/// Where it is in the device file.
pub(crate) fn in_region(region: u32, offset: u64) -> u64 {
    (u64::from(region) << REGION_SHIFT).wrapping_add(offset)
}

/// At most 4 bytes in one call.
fn read(file: &File, at: u64, width: u8) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    let wanted = usize::from(width).min(bytes.len());
    whole(file.read_at(&mut bytes[..wanted], at), wanted)?;
    Ok(u32::from_le_bytes(bytes))
}

fn write(file: &File, at: u64, width: u8, value: u32) -> Result<(), Errno> {
    let bytes = value.to_le_bytes();
    let wanted = usize::from(width).min(bytes.len());
    whole(file.write_at(&bytes[..wanted], at), wanted)
}

fn whole(moved: io::Result<usize>, wanted: usize) -> Result<(), Errno> {
    match moved {
        Ok(moved) if moved == wanted => Ok(()),
        Ok(_) => Err(SHORT),
        Err(error) => Err(errors::of_io(&error)),
    }
}
