//! The operations, and what each can answer: the language in which the specification and a real
//! kernel are asked the same.
//!
//! A process owns numbered *registers*: device files, dma-bufs, mappings of BARs, I/O address
//! spaces. An operation names registers and plain numbers only, never anything an earlier answer
//! gave, so a sequence is the same for whoever carries it out. An operation that names an empty
//! register, or would put something into a full one, is [`Answer::Idle`]: nothing is done.

use crate::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Registers for device files.
pub const FILES: usize = 4;
/// Registers for dma-bufs.
pub const BUFFERS: usize = 6;
/// Registers for mappings of BARs and dma-bufs.
pub const MAPS: usize = 4;
/// Registers for attachments of the test importer.
pub const IMPORTS: usize = 4;
/// Bytes of the longest segment that the test importer's device takes.
pub const LONGEST_SEGMENT: u64 = 0x1_0000;
/// iommufd contexts, each with spaces of its own.
pub const CONTEXTS: usize = 2;
/// I/O address spaces that devices may be attached to; they are there from the start.
pub const SPACES: usize = 3;
/// The context each space belongs to.
pub const CONTEXT_OF_SPACE: [u8; SPACES] = [0, 0, 1];
/// At this IOVA every space maps one page of RAM from the start; operations leave it alone. The
/// engine's data goes through it.
pub const RAM_IOVA: u64 = 0x1000_0000;
/// Bytes of that page, and of every page.
pub const PAGE: u64 = 0x1000;
/// Bytes of the foreign dma-buf and of the memfd that [`Source`] names.
pub const SOURCE_SIZE: u64 = 0x10_0000;

/// What `IOMMU_IOAS_MAP_FILE` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The dma-buf in a register.
    Buffer(u8),
    /// A dma-buf that is not vfio-pci's: one of udmabuf's, [`SOURCE_SIZE`] bytes.
    Foreign,
    /// A memfd of [`SOURCE_SIZE`] bytes.
    Memory,
}

/// What the test importer does that is told to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It cannot be told.
    Never,
    /// It unmaps at once.
    LetGo,
    /// It unmaps, and tries at once to map again.
    MapAgain,
    /// It keeps its mapping for some milliseconds more. One that keeps it until somebody else ends that
    /// stops a single thread for good, and is no operation.
    Hold,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are registers and the arguments of the call that is named")]
pub enum Op {
    /// Opens the character device and `VFIO_DEVICE_BIND_IOMMUFD`; if that fails the file is
    /// closed again.
    Open { device: u8, context: u8, file: u8 },
    /// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
    Attach { file: u8, space: u8 },
    /// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
    Detach { file: u8 },
    /// `dup`.
    DupFile { file: u8, to: u8 },
    /// Sends it over a socket and keeps it: a reference more, that nobody but the socket has.
    SendFile { file: u8 },
    /// Takes the file sent first; EAGAIN if there is none.
    ReceiveFile { to: u8 },
    /// Opens `/proc/self/fd/N` of it: a new file of the same device, not bound to anything; asks
    /// it for `VFIO_DEVICE_GET_INFO`, and closes it.
    ReopenFile { file: u8 },
    /// `close`.
    CloseFile { file: u8 },

    /// Writes 1, 2 or 4 bytes of config space, `value` little-endian.
    ConfigWrite { file: u8, offset: u16, width: u8, value: u32 },
    /// Reads config space; the answer is cut to `mask`.
    ConfigRead { file: u8, offset: u16, width: u8, mask: u32 },
    /// Reads 4 bytes of a BAR through the device file.
    RegionRead { file: u8, bar: u8, offset: u64 },
    /// Writes 4 bytes.
    RegionWrite { file: u8, bar: u8, offset: u64, value: u32 },

    /// `mmap` of a part of a BAR, shared.
    MapBar { file: u8, bar: u8, offset: u64, size: u64, map: u8 },
    /// `munmap` of all of it, also of a dma-buf's.
    UnmapBar { map: u8 },
    /// A CPU reads 4 bytes; SIGBUS is EFAULT.
    CpuRead { map: u8, offset: u64 },
    /// A CPU writes 4 bytes; SIGBUS is EFAULT.
    CpuWrite { map: u8, offset: u64, value: u32 },

    /// `VFIO_DEVICE_RESET`.
    Reset { file: u8 },
    /// `VFIO_DEVICE_PCI_HOT_RESET` with an empty array, as for a file from the character device.
    HotReset { file: u8 },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`; with `wakes` the one with a wake-up eventfd.
    LowPowerEntry {
        file: u8,
        #[serde(default)]
        wakes: bool,
    },
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_EXIT`.
    LowPowerExit { file: u8 },

    /// `VFIO_DEVICE_FEATURE_DMA_BUF`, GET.
    Export { file: u8, region: u32, ranges: Vec<(u64, u64)>, flags: u32, buffer: u8 },
    /// The same with PROBE and GET.
    ExportProbe { file: u8 },
    /// The same with SET.
    ExportSet { file: u8 },
    /// `dup`.
    DupBuffer { buffer: u8, to: u8 },
    /// As [`Op::SendFile`].
    SendBuffer { buffer: u8 },
    /// As [`Op::ReceiveFile`].
    ReceiveBuffer { to: u8 },
    /// Opens `/proc/self/fd/N` of it.
    ReopenBuffer { buffer: u8 },
    /// `mmap` of a part of the dma-buf, shared; what is to be done with it is done as with a BAR's.
    MapBuffer { buffer: u8, offset: u64, size: u64, map: u8 },
    /// `lseek` to its end: its size.
    BufferSize { buffer: u8 },
    /// `close`.
    CloseBuffer { buffer: u8 },

    /// `IOMMU_IOAS_MAP_FILE`, `FIXED_IOVA`, readable and writeable.
    Map { space: u8, source: Source, start: u64, length: u64, iova: u64 },
    /// `IOMMU_IOAS_UNMAP`; the answer is the length.
    Unmap { space: u8, iova: u64, length: u64 },
    /// `IOMMU_IOAS_COPY`, `FIXED_IOVA`, readable and writeable.
    Copy { from: u8, to: u8, iova: u64, length: u64, to_iova: u64 },

    /// The engine (a device whose BAR 0 is edu's) copies 4 bytes from the RAM page to `iova`,
    /// in two DMAs; asked for through BAR 0 of its device file. The answer says only whether it
    /// could be asked (EIO while its decode is off); what became of it is seen by reading. Both
    /// DMAs need the same bus master bit and the same space, and nothing is done between them, so
    /// either both are let through or neither: nothing but `value` ever lands. Of a file whose
    /// device is no engine: [`Answer::Idle`].
    Dma { file: u8, iova: u64, value: u32 },

    /// Attaches the test importer to a dma-buf (`BKI_ATTACH`). Where there is none, this and all that
    /// name an attachment are [`Answer::Idle`].
    Import { buffer: u8, peer2peer: bool, told: Told, import: u8 },
    /// Maps it (`BKI_MAP`); the answer is the number of entries.
    ImportMap { import: u8 },
    /// Unmaps it (`BKI_UNMAP`).
    ImportUnmap { import: u8 },
    /// Uses a byte as an RDMA memory region is used (`BKI_USE`); the answer is 1 if it had to be mapped.
    ImportUse { import: u8, offset: u64 },
    /// Pins it, or unpins it.
    ImportPin { import: u8, pinned: bool },
    /// Detaches it, whatever it has (`BKI_DETACH`).
    ImportEnd { import: u8 },

    /// Writes 1 to the device's `reset` in sysfs.
    SysfsReset { device: u8 },
    /// Takes all methods out of the device's `reset_method`, or puts the default ones back.
    ResetMethods { device: u8, present: bool },
    /// Writes 1 to the device's `remove` and does not wait for it. [`Op::Open`] of it fails from
    /// then on; it is gone once its last file is. [`Answer::Idle`] for a device that is gone or
    /// leaving, while any other one is leaving (the kernel does one at a time), and for a virtual
    /// function (no rescan brings it back).
    Remove { device: u8 },
    /// Rescans the bus and binds what has come back, if its removal is over and no other device
    /// is leaving; else [`Answer::Idle`].
    Rescan { device: u8 },
}

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Not done: an empty register, or a full one.
    Idle,
    /// Success, with the value asked for, or 0.
    Ok(u64),
    /// The errno.
    Failed(Errno),
    /// It did not come back in 70 s of the executor's clock.
    Hung,
}

/// What is true after an operation, seen by asking and not by asking what was just done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// For each full buffer register: what a map of all of it into a space without devices says;
    /// 0 or the errno's number.
    pub buffers: Vec<(u8, u16)>,
    /// For each full map register: what a read of its first 4 bytes says, likewise.
    pub maps: Vec<(u8, u16)>,
    /// For each full file register: COMMAND's memory and bus master bits; the power state above
    /// them, shifted by 8.
    pub registers: Vec<(u8, u16)>,
    /// For each full file register of a device whose BAR is memory: what a read of 4 bytes at
    /// each of [`crate::hardware::Device::watched`] says: the word, or the errno's number in the
    /// upper half.
    pub words: Vec<(u8, Vec<u64>)>,
    /// For each full attachment register: what became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<(u8, Imported)>,
}

/// What became of an attachment of the test importer's since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// It is mapped.
    pub mapped: bool,
    /// How often it was told: to let go, or that access is about to be back.
    pub notices: u64,
    /// How often it gave a mapping up because of that.
    pub released: u64,
    /// How often a use had to map, or tried to.
    pub faults: u64,
    /// What its last map from inside a notice came to: 0, or the errno's number.
    pub in_notice: u16,
}

impl Seen {
    /// As [`Self::buffers`] and [`Self::maps`] have it: 0, or the errno's number.
    #[must_use]
    pub fn outcome<T>(result: Result<T, Errno>) -> u16 {
        result.map_or_else(|errno| errno.number() as u16, |_| 0)
    }

    /// As [`Self::words`] has it: the word, or the errno's number in the upper half.
    #[must_use]
    pub fn word(result: Result<u32, Errno>) -> u64 {
        result.map_or_else(|errno| (errno.number() as u64) << 32, u64::from)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Ok(0) => f.write_str("ok"),
            Self::Ok(value) => write!(f, "ok, {value:#x}"),
            Self::Failed(errno) => errno.fmt(f),
            Self::Hung => f.write_str("hung"),
        }
    }
}

impl From<Result<u64, Errno>> for Answer {
    fn from(result: Result<u64, Errno>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(errno) => Self::Failed(errno),
        }
    }
}

/// Whoever can be asked: the specification, or a real kernel.
pub trait Subject {
    /// Starts an episode: every register empty, every device closed and as it was at the start,
    /// every space holding nothing but its RAM page.
    fn begin(&mut self);

    /// Carries an operation out.
    fn apply(&mut self, op: &Op) -> Answer;

    /// What is true now.
    fn seen(&mut self) -> Seen;
}
