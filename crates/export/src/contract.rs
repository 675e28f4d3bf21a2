//! What an exporter and an importer must be able to do. The words are the kernel's.

use barkeep_journal::{DeviceAddress, Trigger};
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_pci::msi::Mechanism;
use barkeep_pci::write::ConfigWrite;
pub use rustix::io::Errno;
use std::any::Any;
use std::fs::File;
use vmm_sys_util::eventfd::EventFd;

/// A page-aligned range of one BAR, exported as one dma-buf (iommufd imports dma-bufs of one
/// range only), put into one memory slot and at one IOVA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// BAR index, 0–5.
    pub bar: u8,
    /// Bytes from the start of the BAR, page-aligned.
    pub offset: u64,
    /// Bytes, a multiple of the page size.
    pub size: u64,
    /// Whether peers shall reach it: exported as a dma-buf and mapped into the IOAS.
    pub p2p: bool,
}

/// A window of a VM: the device's place in the VM and the window's in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowId {
    /// The device, in the order of the command line.
    pub device: u16,
    /// The window, in the order of BARs and offsets.
    pub window: u16,
}

/// What is about to reach a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passage {
    /// A config-space write.
    ConfigWrite(ConfigWrite),
    /// `VFIO_DEVICE_RESET`.
    DeviceReset,
    /// `VFIO_DEVICE_PCI_HOT_RESET`, which resets every function of the bus or slot.
    HotReset,
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY` or `_EXIT`.
    LowPower(LowPower),
    /// Every reference to the device file given up.
    Close,
    /// Nothing reaches the device; its mappings are looked at anew.
    Nothing,
}

/// A result as the journal has it: 0, or the negative errno.
pub fn result_number(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|errno| -errno.raw_os_error(), |()| 0)
}

/// The two halves of a stay in low power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LowPower {
    /// The kernel may suspend the device whenever nobody uses it.
    Entry {
        /// Whoever makes it resume ends the stay (`_ENTRY_WITH_WAKEUP`), and this process is told.
        wakes: bool,
    },
    /// No longer.
    Exit,
}

/// By what somebody else holds a device file open, or a dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A duplicate of the descriptor.
    Duplicate,
    /// A mapping of a BAR; no descriptor is left of it.
    Mapping,
    /// A descriptor sent over a socket, and received by nobody yet.
    Passed,
    /// KVM's VFIO device of another VM (`KVM_DEV_VFIO_FILE_ADD`); no descriptor is left of it.
    Kvm,
    /// A descriptor that a child process was given when it was started.
    Inherited,
    /// The file opened once more by its descriptor's path (`/proc/self/fd/N`). Of a device that is a
    /// file of its own, bound to nothing: it does not keep access, and does keep the device from being
    /// removed. A dma-buf has no path that can be opened (ENXIO).
    Reopened,
}

impl Holder {
    /// Its name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Mapping => "mapping",
            Self::Passed => "passed",
            Self::Kvm => "kvm",
            Self::Inherited => "inherited",
            Self::Reopened => "reopened",
        }
    }
}

/// What holds a device file or a dma-buf open until it is dropped.
pub type Held = Box<dyn Any + Send>;

/// Something that concerns a device's mappings, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The name of it.
    pub trigger: Trigger,
    /// What is let through.
    pub passage: Passage,
    /// Whether the kernel makes every iommufd mapping of the device dead on it.
    pub revokes: bool,
    /// Whether it may hold up the device for long (a reset's 100 ms and up to 60 s).
    pub resets: bool,
}

impl Cause {
    /// The first mapping of a device.
    pub const START: Self =
        Self { trigger: Trigger::Start, passage: Passage::Nothing, revokes: false, resets: false };
    /// Something may have revoked unseen: drop and map again, whatever is believed.
    pub const SUSPECT: Self =
        Self { trigger: Trigger::Suspect, passage: Passage::Nothing, revokes: true, resets: false };
    /// `VFIO_DEVICE_RESET`.
    pub const DEVICE_RESET: Self =
        Self { trigger: Trigger::DeviceReset, passage: Passage::DeviceReset, revokes: true, resets: true };
    /// `VFIO_DEVICE_PCI_HOT_RESET`.
    pub const HOT_RESET: Self =
        Self { trigger: Trigger::HotReset, passage: Passage::HotReset, revokes: true, resets: true };
    /// The device file closed for good.
    pub const CLOSE: Self =
        Self { trigger: Trigger::Close, passage: Passage::Close, revokes: true, resets: true };
    /// The same, because the kernel asks for the device back.
    pub const REMOVE: Self =
        Self { trigger: Trigger::Remove, passage: Passage::Close, revokes: true, resets: true };

    /// Low power. The way out revokes nothing, and a device that is asleep holds up nobody.
    pub const fn low_power(which: LowPower) -> Self {
        let (trigger, revokes) = match which {
            LowPower::Entry { .. } => (Trigger::LowPowerEntry, true),
            LowPower::Exit => (Trigger::LowPowerExit, false),
        };
        Self { trigger, passage: Passage::LowPower(which), revokes, resets: false }
    }
}

/// What the function's registers say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// COMMAND: memory decode is on.
    pub decode: bool,
    /// PMCSR's power state, 0–3; 0 without the capability.
    pub power: u8,
    /// This process has put the device into low power. Its registers are then not read, for that
    /// would wake it.
    pub low_power: bool,
    /// For each window the guest physical address its BAR gives it, `None` where that is no
    /// place for a BAR, or another BAR was there first.
    pub addresses: Vec<Option<u64>>,
}

impl Found {
    /// Whether the function answers memory accesses.
    pub fn live(&self) -> bool {
        self.decode && self.power == 0 && !self.low_power
    }
}

/// The exporter's side: one device.
pub trait Exporter: Send + Sync {
    /// Performs what has so far only been announced.
    ///
    /// # Errors
    /// The errno of the write or ioctl. A failed reset revokes all the same.
    fn let_through(&self, passage: &Passage) -> Result<(), Errno>;

    /// Reads what is true now from the function's registers.
    ///
    /// # Errors
    /// The errno of the config read; the device is then taken as gone.
    fn find_out(&self) -> Result<Found, Errno>;

    /// A hot reset that was let through another function of the same bus has come back.
    fn reset_along(&self);

    /// Whether one of its BARs could not be mapped because another's was in the same place, which is
    /// there no longer: it is to be looked at anew.
    fn waits(&self) -> bool {
        false
    }
}

/// The vectors a device has of one mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorCount {
    /// How many; 0 without the mechanism.
    pub most: u16,
    /// Whether ones that were not there when it was turned on can be added later; else the kernel says
    /// `VFIO_IRQ_INFO_NORESIZE`.
    pub grows: bool,
}

/// A device as the interface of its driver gives it, with nothing of a VM in it: what VFIO's
/// device file can do. After [`Self::close`] every access is ENODEV.
pub trait RawDevice: Send + Sync {
    /// Where it is on the host.
    fn address(&self) -> DeviceAddress;

    /// Its capabilities and BARs.
    fn layout(&self) -> &Layout;

    /// Bytes of config space: [`header::CONFIG_SIZE`] of a conventional PCI function, else
    /// [`header::EXTENDED_CONFIG_SIZE`]. Accesses behind it are EFAULT.
    fn config_size(&self) -> u16 {
        header::EXTENDED_CONFIG_SIZE
    }

    /// Reads config space.
    ///
    /// # Errors
    /// The errno of the read; ENODEV once closed.
    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes config space. May take a reset's time: 100 ms and up to 60 s.
    ///
    /// # Errors
    /// The errno of the write; ENODEV once closed.
    fn config_write(&self, offset: u16, bytes: &[u8]) -> Result<(), Errno>;

    /// Reads a BAR.
    ///
    /// # Errors
    /// EIO while memory decode is off; ENODEV once closed.
    fn region_read(&self, bar: u8, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes a BAR.
    ///
    /// # Errors
    /// As [`Self::region_read`].
    fn region_write(&self, bar: u8, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// `VFIO_DEVICE_RESET`.
    ///
    /// # Errors
    /// EINVAL if no reset works; else the reset's own errno; ENODEV once closed.
    fn reset(&self) -> Result<(), Errno>;

    /// `VFIO_DEVICE_PCI_HOT_RESET`, the affected devices owned through the iommufd context.
    ///
    /// # Errors
    /// ENODEV on the root bus, EINVAL where a function is somebody else's (nothing is revoked
    /// then); EBUSY, EAGAIN, ENOTTY: members may have been revoked; ENODEV once closed.
    fn hot_reset(&self) -> Result<(), Errno>;

    /// The functions a hot reset resets, this one among them
    /// (`VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`).
    ///
    /// # Errors
    /// ENODEV on the root bus and once closed.
    fn hot_reset_members(&self) -> Result<Vec<DeviceAddress>, Errno>;

    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`, `_ENTRY_WITH_WAKEUP`, `_EXIT`.
    ///
    /// # Errors
    /// EINVAL for an entry into what was entered, which has revoked all the same; ENODEV once
    /// closed.
    fn low_power(&self, which: LowPower) -> Result<(), Errno>;

    /// Whether the kernel has asked for the device since this was asked last: it is being removed,
    /// or its driver unbound, and that waits for the last reference to the file. Never waits.
    fn take_request(&self) -> bool;

    /// Has the kernel signal the device's error interrupt as it does for an uncorrectable error: its
    /// loopback test (`VFIO_DEVICE_SET_IRQS` with `ACTION_TRIGGER` and `DATA_NONE`).
    ///
    /// # Errors
    /// EINVAL where there is none (kernels before 7.3 have it for PCIe devices only); ENODEV once closed.
    fn signal_error(&self) -> Result<(), Errno>;

    /// How many vectors of a mechanism it has (`VFIO_DEVICE_GET_IRQ_INFO`).
    fn vectors(&self, mechanism: Mechanism) -> VectorCount;

    /// Turns a mechanism on, if it is not, and gives vectors from `first` on their eventfds; `None`: the
    /// vector is there and signals nobody (`VFIO_DEVICE_SET_IRQS`). Waits for the end of a reset.
    ///
    /// # Errors
    /// ENOSPC where the host has fewer to give; EINVAL past the last vector, and while the other
    /// mechanism is on; ENODEV once closed.
    fn set_vectors(&self, mechanism: Mechanism, first: u16, events: &[Option<&EventFd>])
    -> Result<(), Errno>;

    /// Turns a mechanism off; the kernel gives up the eventfds.
    ///
    /// # Errors
    /// EINVAL where it is not on; ENODEV once closed.
    fn disable_vectors(&self, mechanism: Mechanism) -> Result<(), Errno>;

    /// Turns INTx on or off. It masks itself when it signals the first eventfd, and unmasks by a signal of
    /// the second one (`VFIO_DEVICE_SET_IRQS` of `VFIO_PCI_INTX_IRQ_INDEX`). The function's Interrupt Disable
    /// is the guest's.
    ///
    /// # Errors
    /// EINVAL while MSI or MSI-X is on; EBUSY where the host's line is shared and the function cannot be
    /// masked by itself; EOPNOTSUPP where there is none; ENODEV once closed.
    fn set_intx(&self, _events: Option<(&EventFd, &EventFd)>) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// One more reference to the device file, which this device knows nothing more of.
    ///
    /// # Errors
    /// ENODEV once closed; EMFILE; EINVAL where no BAR can be mapped; EOPNOTSUPP where there is no
    /// KVM to hold it; EAGAIN where no child process can be started.
    fn hold(&self, by: Holder) -> Result<Held, Errno>;

    /// Gives up every reference to the device file this process has.
    fn close(&self);
}

/// A function that is passed through, as a VMM uses it.
pub trait Function: Exporter {
    /// Where it is on the host.
    fn address(&self) -> DeviceAddress;

    /// Its capabilities and BARs.
    fn layout(&self) -> &Layout;

    /// Bytes of config space.
    fn config_size(&self) -> u16;

    /// Its exported windows, in the order of the driver's numbers.
    fn windows(&self) -> &[Window];

    /// Guest physical address of a BAR, as its registers give it, decoded or not.
    fn bar_address(&self, bar: u8) -> Option<u64>;

    /// The BAR that answers at a guest physical address, and the place in it, as far as the registers
    /// were found to say so when they were last looked at.
    fn decodes_at(&self, address: u64) -> Option<(u8, u64)>;

    /// What a config write would do to the mappings; `None` for nothing, and it need not go
    /// through the driver.
    fn classify(&self, write: &ConfigWrite) -> Option<Cause>;

    /// A config write that is no concern of the driver's.
    ///
    /// # Errors
    /// The errno of the write.
    fn plain_write(&self, write: &ConfigWrite) -> Result<(), Errno>;

    /// Reads config space. Waits while the device is being reset.
    ///
    /// # Errors
    /// The errno of the read; ENODEV once closed.
    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Reads a BAR through the device's own interface.
    ///
    /// # Errors
    /// EIO while the function does not decode; ENODEV once closed.
    fn region_read(&self, bar: u8, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes a BAR through the device's own interface.
    ///
    /// # Errors
    /// As [`Self::region_read`].
    fn region_write(&self, bar: u8, offset: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// What a guest's memory slot stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory of whoever simulates the device.
    Memory,
    /// A mapping of the device file's region, which holds the device open.
    Region,
    /// A mapping of the dma-buf itself, which holds that and not the device.
    Buffer,
    /// Nothing: the window is registers, mapping it gives nobody memory, and every access of a CPU still
    /// goes to the device.
    Trapped,
}

impl Backing {
    /// As the journal says it.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Memory => None,
            Self::Region => Some("region"),
            Self::Buffer => Some("dma-buf"),
            Self::Trapped => Some("trapped"),
        }
    }
}

/// The importer's side: an address space that windows are mapped into.
pub trait Importer: Send + Sync {
    /// Maps a window at `address`.
    ///
    /// # Errors
    /// IOAS: ENODEV while revoked, EEXIST where something (also a dead mapping) is; slots:
    /// EEXIST on overlap, EINVAL on alignment.
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno>;

    /// Unmaps what was mapped at `address`; gives the length the importer took away.
    ///
    /// # Errors
    /// IOAS: ENOENT where nothing is mapped.
    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno>;

    /// What is behind a window. The journal says so of each mapping.
    fn backing(&self, window: WindowId) -> Backing {
        let _ = window;
        Backing::Memory
    }
}

/// The I/O address space all devices of a VM share. It has the dma-bufs of the windows that may
/// be mapped into it, put there when they were exported.
pub trait IoSpace: Importer {
    /// Maps `size` bytes at `offset` of a memfd at `iova`: guest RAM. All page-aligned.
    ///
    /// # Errors
    /// ENOMEM over the memory-lock limit, EEXIST where something is mapped, EINVAL in a
    /// range the IOMMU reserves.
    fn map_ram(&self, memory: &File, offset: u64, size: u64, iova: u64) -> Result<(), Errno>;

    /// Closes the dma-buf of a window; gives whether there was one. The space keeps a
    /// reference of its own while it is mapped.
    fn remove_buffer(&self, window: WindowId) -> bool;

    /// One more reference to the dma-buf of a window, which this space knows nothing more of.
    ///
    /// # Errors
    /// ENOENT without a dma-buf; EMFILE; EINVAL for a mapping and for KVM; ENXIO for the path.
    fn hold_buffer(&self, window: WindowId, by: Holder) -> Result<Held, Errno>;

    /// Tries to map a window at an IOVA nothing uses, and unmaps it if that worked: what the
    /// kernel says to an importer at this moment. This is how a revoke, and its end, can be
    /// *seen*: nothing in the kernel's interface tells of it.
    ///
    /// # Errors
    /// ENODEV while revoked; ENOENT without a dma-buf.
    fn attach_probe(&self, window: WindowId, unused_iova: u64) -> Result<(), Errno> {
        self.map(window, unused_iova)?;
        self.unmap(window, unused_iova).map(drop)
    }
}

/// A DMA the IOMMU refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it was recorded, by the recorder's clock, in nanoseconds.
    pub time_ns: u64,
    /// Whose DMA it was.
    pub requester: DeviceAddress,
    /// Where it went: an IOVA, to the page.
    pub iova: u64,
    /// The record's text.
    pub text: String,
}

/// Where the IOMMU's fault records can be had.
pub trait FaultSource: Send {
    /// The faults recorded since the last call. Never waits.
    fn take(&mut self) -> Vec<Fault>;

    /// Whether records get lost where many come at once, so that a missing one proves nothing.
    fn loses(&self) -> bool {
        true
    }

    /// Whether the records' times are by the journal's clock, so that they can be held against what
    /// the journal says. Where they are not, what is known is when a record was read.
    fn keeps_our_time(&self) -> bool {
        false
    }
}
