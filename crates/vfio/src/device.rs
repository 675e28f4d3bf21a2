//! One vfio-pci device: opened, described, read, written, exported, closed.

use crate::holders;
use crate::inherited;
use crate::interrupts;
use crate::signals::Signals;
use crate::space::{Space, SpaceError};
use crate::sys::{self, HostMapping};
use crate::sysfs::{self, NotUsable};
use crate::taken::Taken;
use barkeep_export::{Backing, Errno, Held, Holder, LowPower, RawDevice, VectorCount};
use barkeep_journal::DeviceAddress;
use barkeep_pci::layout::{BarKind, Layout, LayoutError};
use barkeep_pci::msi::Mechanism;
use barkeep_pci::windows::Window;
use barkeep_planted::{Fault, is_planted};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{OnceLock, PoisonError, RwLock};
use vfio_bindings::bindings::vfio::{VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_ERR_IRQ_INDEX};
use vfio_ioctls::{VfioDevice, VfioError, VfioRegionDmaRange};
use vmm_sys_util::eventfd::EventFd;

/// Bytes of config space that are read at the most.
const CONFIG_SIZE: usize = 4096;

/// Why a device could not be opened or exported.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It is not there or not bound.
    #[error(transparent)]
    NotUsable(#[from] NotUsable),
    /// Its character device cannot be opened.
    #[error("cannot open the VFIO device of {0}; is it in use, and may you read and write it?")]
    Open(DeviceAddress, #[source] VfioError),
    /// A descriptor cannot be taken over.
    #[error("cannot take over file descriptor {fd}, which is of {address}")]
    Descriptor {
        /// Its number.
        fd: i32,
        /// Of which device it is.
        address: DeviceAddress,
        /// What the kernel said.
        source: Errno,
    },
    /// A second handle to it was refused.
    #[error("cannot duplicate the device file of {0}")]
    Duplicate(DeviceAddress, #[source] std::io::Error),
    /// There is no I/O address space for it.
    #[error("cannot make an I/O address space for {0}")]
    Space(DeviceAddress, #[source] SpaceError),
    /// It cannot be bound to the iommufd or attached to the IOAS.
    #[error("cannot bind {address} to the I/O address space: {why}")]
    Bind {
        /// Which device.
        address: DeviceAddress,
        /// What that means.
        why: Taken,
        /// What the kernel said.
        source: VfioError,
    },
    /// There are no eventfds to be had.
    #[error("cannot make event descriptors for {0}; is the limit of open files (ulimit -n) high enough?")]
    Signals(DeviceAddress, #[source] std::io::Error),
    /// The kernel takes none.
    #[error("the kernel takes no event descriptor for {0}")]
    Signal(DeviceAddress, #[source] VfioError),
    /// Its config space cannot be read.
    #[error("cannot read the config space of {0}")]
    Config(DeviceAddress, #[source] Errno),
    /// Its config space makes no sense.
    #[error("cannot make sense of the config space of {0}")]
    Layout(DeviceAddress, #[source] LayoutError),
    /// The kernel cannot export BARs.
    #[error(
        "this kernel exports no BAR of {0} as a dma-buf; it needs Linux 6.19 or newer with \
         CONFIG_VFIO_PCI_DMABUF (on when VFIO_PCI, PCI_P2PDMA and DMA_SHARED_BUFFER are)"
    )]
    NoExport(DeviceAddress, #[source] Errno),
    /// This BAR cannot be exported.
    #[error("cannot export BAR {bar} of {address}")]
    Export {
        /// Which device.
        address: DeviceAddress,
        /// Which BAR.
        bar: u8,
        /// What the kernel said.
        source: VfioError,
    },
    /// This BAR cannot be mapped.
    #[error("cannot map BAR {bar} of {address}")]
    Map {
        /// Which device.
        address: DeviceAddress,
        /// Which BAR.
        bar: u8,
        /// What the kernel said.
        source: Errno,
    },
}

impl DeviceError {
    /// The errno behind it, EIO where there is none to be had.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Config(_, errno)
            | Self::NoExport(_, errno)
            | Self::Map { source: errno, .. }
            | Self::Descriptor { source: errno, .. } => *errno,
            Self::Export { source: VfioError::VfioDeviceFeature(error), .. } => {
                Errno::from_raw_os_error(error.errno())
            }
            _ => Errno::IO,
        }
    }
}

/// Has KVM hold a device file.
pub type KvmHolder = Box<dyn Fn(&File) -> Result<Held, Errno> + Send + Sync>;

/// What there is while the device is open. Every field but the last holds the device file open; they go
/// together, or the kernel does not take access away.
struct Open {
    /// Host mappings of regions that memory slots stand on.
    mappings: Vec<HostMapping>,
    /// For reads and writes whose errno matters: `region_read` and `region_write` of
    /// `VfioDevice` swallow it.
    file: File,
    device: VfioDevice,
    /// Host mappings of dma-bufs that memory slots stand on. They alone hold no device open: they hold the
    /// dma-buf, and have nothing behind them once the device is closed.
    buffers: Vec<HostMapping>,
}

/// A device; after [`RawDevice::close`] every access is ENODEV.
pub struct Device {
    address: DeviceAddress,
    layout: Layout,
    config_offset: u64,
    config_size: u16,
    region_offsets: [u64; 6],
    signals: Signals,
    kvm: OnceLock<KvmHolder>,
    /// Read guards are held over accesses, also over the config write that resets; nobody
    /// ever waits for them but `close`, which the driver starts only when no event is on.
    open: RwLock<Option<Open>>,
}

impl Device {
    /// Opens a function that vfio-pci has, into a VM's I/O address space.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub fn open(address: DeviceAddress, space: &Space) -> Result<Self, DeviceError> {
        let folder = sysfs::usable(address)?;
        let file = VfioDevice::open_cdev(&folder).map_err(|e| DeviceError::Open(address, e))?;
        Self::of_file(file, address, space)
    }

    /// The same of a descriptor that this process was started with, and that
    /// [`crate::inherited::device_of`] says to be this device's.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub fn of_descriptor(fd: i32, address: DeviceAddress, space: &Space) -> Result<Self, DeviceError> {
        sysfs::usable(address)?;
        let file = inherited::take(fd).map_err(|source| DeviceError::Descriptor { fd, address, source })?;
        Self::of_file(file, address, space)
    }

    fn of_file(file: File, address: DeviceAddress, space: &Space) -> Result<Self, DeviceError> {
        let folder = Path::new(sysfs::PCI_DEVICES).join(address.to_string());
        let own = file.try_clone().map_err(|e| DeviceError::Duplicate(address, e))?;
        let vfio = space.next().map_err(|e| DeviceError::Space(address, e))?;
        let device = VfioDevice::new_from_fd(file, vfio, true).map_err(|source| DeviceError::Bind {
            address,
            why: Taken::of(address, &source),
            source,
        })?;
        let config_offset = device.get_region_offset(VFIO_PCI_CONFIG_REGION_INDEX);
        let size = (device.get_region_size(VFIO_PCI_CONFIG_REGION_INDEX) as usize).min(CONFIG_SIZE);
        let mut config = vec![0; size];
        read_exact(&own, config_offset, &mut config).map_err(|e| DeviceError::Config(address, e))?;
        let sizes = std::array::from_fn(|bar| device.get_region_size(bar as u32));
        let mut layout = Layout::parse(&config, &sizes).map_err(|e| DeviceError::Layout(address, e))?;
        layout.is_virtual_function = sysfs::is_virtual_function(&folder);
        let region_offsets = std::array::from_fn(|bar| device.get_region_offset(bar as u32));
        let signals = Signals::of(&device, address)?;
        let open = RwLock::new(Some(Open { mappings: Vec::new(), file: own, device, buffers: Vec::new() }));
        let (config_size, kvm) = (size as u16, OnceLock::new());
        Ok(Self { address, layout, config_offset, config_size, region_offsets, signals, kvm, open })
    }

    /// Says how KVM is made to hold its file: this crate knows nothing of KVM.
    pub fn held_by_kvm(&self, holder: KvmHolder) {
        // Said once, by whoever opens it.
        let _ = self.kvm.set(holder);
    }

    /// What the kernel tells of it.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Exports a window as a dma-buf of its own.
    ///
    /// # Errors
    /// See [`DeviceError`]: the kernel lacks the feature, or refuses this range.
    pub fn export(&self, window: &Window) -> Result<File, DeviceError> {
        let guard = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = guard.as_ref().ok_or(DeviceError::NoExport(self.address, Errno::NODEV))?;
        sys::probe_dma_buf(&open.file).map_err(|e| DeviceError::NoExport(self.address, e))?;
        let range = VfioRegionDmaRange { offset: window.offset, length: window.size };
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        let exported = open.device.export_dma_buf(window.bar.into(), &[range], flags.bits());
        match exported {
            Ok(Some(file)) => {
                if is_planted(Fault::BufferLeaked) {
                    std::mem::forget(file.try_clone());
                }
                Ok(file)
            }
            Ok(None) => Err(DeviceError::NoExport(self.address, Errno::NOTTY)),
            Err(source) => Err(DeviceError::Export { address: self.address, bar: window.bar, source }),
        }
    }

    /// Maps a window for memory slots; gives its host address, and what that is of: of the window's
    /// dma-buf, where there is one and the kernel lets it be mapped, else of the region. It stays mapped
    /// until the device is closed.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn map(&self, window: &Window, buffer: Option<&File>) -> Result<(u64, Backing), DeviceError> {
        let failed = |source| DeviceError::Map { address: self.address, bar: window.bar, source };
        let mut guard = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let open = guard.as_mut().ok_or(failed(Errno::NODEV))?;
        let size = window.size as usize;
        match buffer.map(|buffer| HostMapping::new(buffer, 0, size)) {
            Some(Ok(mapping)) => {
                let address = mapping.address();
                open.buffers.push(mapping);
                return Ok((address, Backing::Buffer));
            }
            // A dma-buf without a handler for it.
            None | Some(Err(Errno::INVAL)) => {}
            Some(Err(errno)) => return Err(failed(errno)),
        }
        let offset = self.region_offsets[usize::from(window.bar)] + window.offset;
        let mapping = HostMapping::new(&open.file, offset, size).map_err(failed)?;
        let address = mapping.address();
        open.mappings.push(mapping);
        Ok((address, Backing::Region))
    }

    /// A handle for KVM's VFIO device (`KVM_DEV_VFIO_FILE_ADD`), gone with the close.
    ///
    /// # Errors
    /// What `use_file` gives, or ENODEV once closed.
    pub fn with_file<T>(&self, use_file: impl FnOnce(&File) -> Result<T, Errno>) -> Result<T, Errno> {
        self.with(|open| use_file(&open.file))
    }

    fn with<T>(&self, access: impl FnOnce(&Open) -> Result<T, Errno>) -> Result<T, Errno> {
        let guard = self.open.read().unwrap_or_else(PoisonError::into_inner);
        access(guard.as_ref().ok_or(Errno::NODEV)?)
    }
}

impl RawDevice for Device {
    fn address(&self) -> DeviceAddress {
        self.address
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn config_size(&self) -> u16 {
        self.config_size
    }

    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno> {
        self.with(|open| read_exact(&open.file, self.config_offset + u64::from(offset), bytes))
    }

    fn config_write(&self, offset: u16, bytes: &[u8]) -> Result<(), Errno> {
        self.with(|open| write_exact(&open.file, self.config_offset + u64::from(offset), bytes))
    }

    /// Through the device file, which asks the kernel each time whether the function decodes,
    /// instead of ending in SIGBUS as a mapping would.
    fn region_read(&self, bar: u8, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.with(|open| read_exact(&open.file, self.region_offsets[usize::from(bar)] + offset, bytes))
    }

    fn region_write(&self, bar: u8, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.with(|open| write_exact(&open.file, self.region_offsets[usize::from(bar)] + offset, bytes))
    }

    fn reset(&self) -> Result<(), Errno> {
        self.with(|open| sys::device_reset(&open.file))
    }

    fn hot_reset(&self) -> Result<(), Errno> {
        self.with(|open| sys::hot_reset(&open.file))
    }

    fn hot_reset_members(&self) -> Result<Vec<DeviceAddress>, Errno> {
        let members = self.with(|open| sys::hot_reset_members(&open.file))?;
        let address = |(domain, bus, devfn)| DeviceAddress { domain, bus, devfn };
        Ok(members.into_iter().map(address).collect())
    }

    fn low_power(&self, which: LowPower) -> Result<(), Errno> {
        self.with(|open| match which {
            LowPower::Entry { wakes: false } => sys::low_power_entry(&open.file),
            LowPower::Entry { wakes: true } => sys::low_power_with_wakeup(&open.file, &self.signals.wake),
            LowPower::Exit => sys::low_power_exit(&open.file),
        })
    }

    fn signal_error(&self) -> Result<(), Errno> {
        // Its error has no errno; all it can be here is that there is no such interrupt.
        self.with(|open| open.device.trigger_irq(VFIO_PCI_ERR_IRQ_INDEX, 0).map_err(|_| Errno::INVAL))
    }

    fn vectors(&self, mechanism: Mechanism) -> VectorCount {
        let none = VectorCount { most: 0, grows: false };
        self.with(|open| Ok(interrupts::vectors(&open.device, mechanism))).unwrap_or(none)
    }

    fn set_vectors(
        &self,
        mechanism: Mechanism,
        first: u16,
        events: &[Option<&EventFd>],
    ) -> Result<(), Errno> {
        self.with(|open| interrupts::set(&open.file, mechanism, first, events))
    }

    fn disable_vectors(&self, mechanism: Mechanism) -> Result<(), Errno> {
        self.with(|open| interrupts::disable(&open.file, mechanism))
    }

    fn set_intx(&self, events: Option<(&EventFd, &EventFd)>) -> Result<(), Errno> {
        self.with(|open| interrupts::set_intx(&open.file, events))
    }

    fn take_request(&self) -> bool {
        self.signals.request.read().is_ok()
    }

    fn hold(&self, by: Holder) -> Result<Held, Errno> {
        let page = rustix::param::page_size() as u64;
        let memory =
            self.layout.bars.iter().flatten().find(|bar| bar.kind != BarKind::Io && bar.size >= page);
        let mappable = memory.map(|bar| self.region_offsets[usize::from(bar.index)]);
        self.with(|open| match by {
            Holder::Duplicate => holders::duplicate(&open.file),
            Holder::Mapping => holders::map(&open.file, mappable.ok_or(Errno::INVAL)?),
            Holder::Passed => holders::pass(&open.file),
            Holder::Kvm => self.kvm.get().ok_or(Errno::OPNOTSUPP)?(&open.file),
            Holder::Inherited => holders::inherit(&open.file),
            Holder::Reopened => holders::reopen(&open.file),
        })
    }

    /// Mappings of regions first: each of them keeps the device file open, and the kernel takes access
    /// away with the last reference to it. Those of dma-bufs last: that they are still there then keeps
    /// nobody from the device.
    fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { mappings, file, device, buffers }) = open else {
            return;
        };
        if is_planted(Fault::MappingLeftAtClose) {
            std::mem::forget(mappings);
        } else {
            drop(mappings);
        }
        drop(file);
        // Detaches from the IOAS, then closes.
        drop(device);
        drop(buffers);
    }
}

fn read_exact(file: &File, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    file.read_exact_at(bytes, offset).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}

fn write_exact(file: &File, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    file.write_all_at(bytes, offset).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}
