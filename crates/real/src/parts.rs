//! What one process holds, piece by piece: for a program that is several processes, each of which
//! gives its pieces up when it is told to. Dropping a piece gives it up.

use crate::device_file::{self, DeviceFile};
use crate::engine;
use crate::errors;
use crate::hands;
use crate::post;
use crate::spaces::Probe;
use crate::sys::memory::Mapping;
use crate::sys::{fence, iommufd, vfio};
use crate::sysfs::Folder;
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
use barkeep_model::op::{PAGE, RAM_IOVA};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// An iommufd context with one address space.
pub struct Context(Probe);

impl Context {
    /// A fresh one.
    ///
    /// # Errors
    /// The errno of opening `/dev/iommu` or of `IOMMU_IOAS_ALLOC`.
    pub fn new() -> Result<Self, Errno> {
        Probe::new().map(Self)
    }

    /// `IOMMU_IOAS_MAP_FILE` of `length` bytes from the file's start to `iova`, readable and
    /// writeable; all but the file in whole pages.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn map(&self, file: &File, length: u64, iova: u64) -> Result<(), Errno> {
        self.0.space().map(file, 0, length, iova)
    }

    /// `IOMMU_IOAS_UNMAP`; gives the bytes that were unmapped.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn unmap(&self, iova: u64, length: u64) -> Result<u64, Errno> {
        self.0.space().unmap(iova, length)
    }
}

/// A page of RAM, which an engine's data goes through.
pub struct Ram(File);

impl Ram {
    /// One, mapped at [`RAM_IOVA`].
    ///
    /// # Errors
    /// No memory, or that of [`Context::map`].
    pub fn mapped_in(context: &Context) -> Result<Self, Errno> {
        let file = hands::memory(c"ram", PAGE)?;
        context.map(&file, PAGE, RAM_IOVA)?;
        Ok(Self(file))
    }
}

/// RAM of this process's, and a dma-buf of it (`/dev/udmabuf`).
pub struct RamBuffer {
    memory: File,
    /// The dma-buf.
    pub buffer: File,
}

impl RamBuffer {
    /// One of so many bytes, a multiple of the page size.
    ///
    /// # Errors
    /// No memory, or that of `UDMABUF_CREATE`.
    pub fn new(size: u64) -> Result<Self, Errno> {
        let driver = File::options().read(true).write(true).open("/dev/udmabuf");
        let memory = hands::memory(c"ram", size)?;
        let buffer = iommufd::udmabuf(&driver.map_err(|e| errors::of_io(&e))?, &memory, size)?;
        Ok(Self { memory, buffer })
    }

    /// Writes 4 bytes.
    ///
    /// # Errors
    /// That of `pwrite`.
    pub fn write(&self, offset: u64, value: u32) -> Result<(), Errno> {
        self.memory.write_all_at(&value.to_le_bytes(), offset).map_err(|e| errors::of_io(&e))
    }

    /// Reads 4 bytes.
    ///
    /// # Errors
    /// That of `pread`.
    pub fn read(&self, offset: u64) -> Result<u32, Errno> {
        let mut bytes = [0; 4];
        self.memory.read_exact_at(&mut bytes, offset).map_err(|e| errors::of_io(&e))?;
        Ok(u32::from_le_bytes(bytes))
    }
}

/// Fences that this process signals (`sw_sync` in debugfs, `CONFIG_SW_SYNC`). Dropping it signals all.
pub struct Fences {
    timeline: File,
}

impl Fences {
    /// A timeline of its own.
    ///
    /// # Errors
    /// That of `open`: ENOENT without the option or debugfs.
    pub fn new() -> Result<Self, Errno> {
        let timeline = File::options().read(true).write(true).open("/sys/kernel/debug/sync/sw_sync");
        Ok(Self { timeline: timeline.map_err(|e| errors::of_io(&e))? })
    }

    /// Puts a fence on a dma-buf that is not signalled before [`Self::signal`]. Any holder of the dma-buf's
    /// descriptor may (`DMA_BUF_IOCTL_IMPORT_SYNC_FILE`).
    ///
    /// # Errors
    /// That of the ioctls.
    pub fn put_on(&self, buffer: &File) -> Result<(), Errno> {
        fence::import(buffer, &fence::create(&self.timeline, 1)?)
    }

    /// Signals it.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn signal(&self) -> Result<(), Errno> {
        fence::advance(&self.timeline, 1)
    }
}

/// A descriptor of a device file, bound to a context.
pub struct Device(DeviceFile);

impl Device {
    /// Opens the device's character device and binds it.
    ///
    /// # Errors
    /// ENOENT if vfio-pci does not have it, that of `open`, or that of
    /// `VFIO_DEVICE_BIND_IOMMUFD`: EINVAL if somebody has it open.
    pub fn open(address: DeviceAddress, context: &Context) -> Result<Self, Errno> {
        let file = device_file::open(&Folder::of(address), context.0.context())?;
        Ok(Self(DeviceFile { device: 0, context: 0, file }))
    }

    /// `VFIO_DEVICE_ATTACH_IOMMUFD_PT` to the context's space.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn attach(&self, context: &Context) -> Result<(), Errno> {
        vfio::attach(&self.0.file, context.0.id())
    }

    /// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn detach(&self) -> Result<(), Errno> {
        vfio::detach(&self.0.file)
    }

    /// `VFIO_DEVICE_FEATURE_DMA_BUF` of `length` bytes from the start of a BAR.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn export(&self, bar: u8, length: u64) -> Result<File, Errno> {
        let request = vfio::Request { region: bar.into(), flags: 0, ranges: &[(0, length)] };
        vfio::export(&self.0.file, &request)
    }

    /// The same for any ranges of it, offset and length each, as one dma-buf.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn export_ranges(&self, bar: u32, ranges: &[(u64, u64)]) -> Result<File, Errno> {
        vfio::export(&self.0.file, &vfio::Request { region: bar, flags: 0, ranges })
    }

    /// `VFIO_DEVICE_RESET`.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn reset(&self) -> Result<(), Errno> {
        vfio::reset(&self.0.file)
    }

    /// `VFIO_DEVICE_PCI_HOT_RESET`, all of whose devices are of this process's context.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn hot_reset(&self) -> Result<(), Errno> {
        vfio::hot_reset(&self.0.file)
    }

    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`, or its EXIT.
    ///
    /// # Errors
    /// That of the ioctl.
    pub fn low_power(&self, enter: bool) -> Result<(), Errno> {
        let feature = if enter {
            vfio::VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
        } else {
            vfio::VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
        };
        vfio::set_feature(&self.0.file, feature)
    }

    /// Bytes of a BAR; 0 for none.
    ///
    /// # Errors
    /// That of `VFIO_DEVICE_GET_REGION_INFO`.
    pub fn bar_size(&self, bar: u8) -> Result<u64, Errno> {
        vfio::region_info(&self.0.file, bar.into()).map(|info| info.size)
    }

    /// Reads up to 4 bytes of config space, little-endian.
    ///
    /// # Errors
    /// That of `pread`.
    pub fn config_read(&self, offset: u16, width: u8) -> Result<u32, Errno> {
        self.0.config_read(offset, width)
    }

    /// Writes up to 4 bytes of config space, little-endian.
    ///
    /// # Errors
    /// That of `pwrite`.
    pub fn config_write(&self, offset: u16, width: u8, value: u32) -> Result<(), Errno> {
        self.0.config_write(offset, width, value)
    }

    /// Reads 4 bytes of a BAR.
    ///
    /// # Errors
    /// That of `pread`: EIO while the function does not decode.
    pub fn region_read(&self, bar: u8, offset: u64) -> Result<u32, Errno> {
        self.0.region_read(bar, offset)
    }

    /// Maps `length` bytes from the start of a BAR. The mapping keeps the device file open.
    ///
    /// # Errors
    /// That of `mmap`.
    pub fn map_bar(&self, bar: u8, length: u64) -> Result<BarMapping, Errno> {
        self.0.map(bar, 0, length).map(BarMapping)
    }

    /// Has the engine (edu) write 4 bytes to `iova`, and waits until it has.
    ///
    /// # Errors
    /// That of an access to its registers; EBUSY if it never ends.
    pub fn dma(&self, ram: &Ram, iova: u64, value: u32) -> Result<(), Errno> {
        engine::copy(&self.0, &ram.0, iova, value).map(drop)
    }

    /// The same up to the command. The engine carries it out 100 ms later.
    ///
    /// # Errors
    /// As [`Self::dma`].
    pub fn start_dma(&self, ram: &Ram, iova: u64, value: u32) -> Result<(), Errno> {
        engine::start(&self.0, &ram.0, iova, value)
    }

    /// Waits for the end of what [`Self::start_dma`] began.
    ///
    /// # Errors
    /// As [`Self::dma`].
    pub fn finish_dma(&self) -> Result<(), Errno> {
        engine::finish(&self.0)
    }
}

/// A mapping of a BAR, by whichever file.
pub struct BarMapping(Mapping);

impl BarMapping {
    /// Maps `length` bytes of a dma-buf from `offset` on, where its exporter has a handler for that.
    /// The mapping holds the dma-buf, not the device it is of.
    ///
    /// # Errors
    /// That of `mmap`: EINVAL where the exporter has none, and beyond the end.
    pub fn of_buffer(buffer: &File, offset: u64, length: u64) -> Result<Self, Errno> {
        Mapping::new(buffer, offset, length).map(Self)
    }

    /// Maps all of a BAR through sysfs, of a device that is another driver's.
    ///
    /// # Errors
    /// ENOENT for a BAR that is none, that of `mmap`.
    pub fn of_function(address: DeviceAddress, bar: u8, length: u64) -> Result<Self, Errno> {
        let path = format!("/sys/bus/pci/devices/{address}/resource{bar}");
        let file = File::options().read(true).write(true).open(path).map_err(|e| errors::of_io(&e))?;
        Mapping::new(&file, 0, length).map(Self)
    }

    /// [`Self::of_buffer`] of all of it, at an address where the kernel can use huge pages of this size.
    ///
    /// # Errors
    /// As there.
    pub fn of_buffer_aligned(buffer: &File, length: u64, alignment: usize) -> Result<Self, Errno> {
        Mapping::aligned(buffer, 0, length, alignment).map(Self)
    }

    /// A CPU writes 8 bytes at once.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write_wide(&self, offset: u64, value: u64) -> Result<(), Errno> {
        self.0.write_wide(offset, value)
    }

    /// A CPU writes 4 bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&self, offset: u64, value: u32) -> Result<(), Errno> {
        self.0.write(offset, value)
    }

    /// A CPU reads 4 bytes.
    ///
    /// # Errors
    /// EFAULT where the kernel has nothing to put behind the address.
    pub fn read(&self, offset: u64) -> Result<u32, Errno> {
        self.0.read(offset)
    }
}

/// Sends a descriptor over a Unix socket that keeps messages apart (`SCM_RIGHTS`).
///
/// # Errors
/// That of `sendmsg`.
pub fn send(socket: &impl AsFd, file: &File) -> Result<(), Errno> {
    post::send(socket, file)
}

/// Takes the descriptor that was sent first.
///
/// # Errors
/// That of `recvmsg`: EAGAIN if there is none and the socket does not block; EPROTO if the other side
/// is gone and has left none.
pub fn receive(socket: &impl AsFd) -> Result<File, Errno> {
    post::receive(socket)
}
