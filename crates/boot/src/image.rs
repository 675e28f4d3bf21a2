//! A kernel's file, taken apart and put into guest memory.

use barkeep_platform::Ram;
use linux_loader::loader::bootparam::setup_header;
use linux_loader::loader::elf::PvhBootCapability;
use linux_loader::loader::{BzImage, Elf, KernelLoader};
use std::io::Cursor;
use vm_memory::GuestAddress;

/// How an ELF begins.
const ELF: &[u8] = b"\x7fELF";
/// Where a bzImage has its magic number (Documentation/arch/x86/boot.rst).
const MAGIC_OFFSET: usize = 0x202;
/// It.
const MAGIC: &[u8] = b"HdrS";
/// Where a kernel may begin: below it is what real mode had.
const HIGH_MEMORY: u64 = 0x10_0000;
/// The first boot protocol whose header says how much room the kernel needs.
const PROTOCOL_2_10: u16 = 0x020a;
/// The limit of an initrd's last byte where the header says none (boot protocol before 2.03).
const OLD_INITRD_LIMIT: u64 = 0x37ff_ffff;

/// Why an image cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Neither of the two sorts.
    #[error("the guest's kernel is neither an x86-64 ELF nor a bzImage")]
    Unknown,
    /// It cannot be taken apart, or does not fit.
    #[error("cannot load the guest's kernel")]
    Load(#[source] linux_loader::loader::Error),
    /// An ELF without a PVH entry.
    #[error("the guest's kernel has no PVH entry point; Linux needs CONFIG_PVH, or give its bzImage")]
    NotPvh,
    /// A kernel older than anything that has ever been tried.
    #[error(
        "the guest's kernel has boot protocol {0:#06x}; 2.10 (Linux 2.6.31) is the oldest that is known here"
    )]
    Old(u16),
    /// Its file ends before its code does.
    #[error("the guest's kernel is truncated: its header says {wanted:#x} bytes, the file has {found:#x}")]
    Truncated {
        /// Bytes of the whole.
        wanted: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// It needs more room than there is.
    #[error(
        "the guest's kernel needs {needed:#x} bytes of memory from {start:#x} on, and {there:#x} are there"
    )]
    NoRoom {
        /// Guest physical address.
        start: u64,
        /// Bytes, unpacked.
        needed: u64,
        /// Bytes up to the end of low memory.
        there: u64,
    },
}

/// What a kernel means that names no setup sectors (Documentation/arch/x86/boot.rst).
const OLD_SETUP_SECTORS: u64 = 4;

/// A kernel that is in guest memory.
#[derive(Debug)]
pub enum Image {
    /// One that begins as PVH says.
    Pvh {
        /// Guest physical address of its first instruction.
        entry: u32,
        /// The first byte behind it.
        end: u64,
    },
    /// One that begins as Linux's 32-bit boot protocol says.
    Linux {
        /// Guest physical address of its first instruction.
        entry: u32,
        /// The first byte behind it, once it has unpacked itself.
        end: u64,
        /// Its header, to be handed back to it.
        header: Box<setup_header>,
    },
}

impl Image {
    /// The first byte of guest memory that it leaves free.
    #[must_use]
    pub fn end(&self) -> u64 {
        match self {
            Self::Pvh { entry: _, end } | Self::Linux { entry: _, end, header: _ } => *end,
        }
    }

    /// The first byte above where an initrd may be.
    #[must_use]
    pub fn initrd_limit(&self) -> u64 {
        match self {
            Self::Pvh { .. } => u64::MAX,
            Self::Linux { header, .. } => match header.initrd_addr_max {
                0 => OLD_INITRD_LIMIT + 1,
                last => u64::from(last) + 1,
            },
        }
    }

    /// Bytes of a command line that it takes, the terminating zero left out, if it says so.
    #[must_use]
    pub fn cmdline_limit(&self) -> Option<usize> {
        match self {
            Self::Pvh { .. } => None,
            Self::Linux { header, .. } => Some(header.cmdline_size as usize).filter(|size| *size > 0),
        }
    }
}

/// Loads a kernel where it says that it wants to be.
///
/// # Errors
/// See [`ImageError`].
pub fn load(ram: &Ram, file: &[u8]) -> Result<Image, ImageError> {
    if file.starts_with(ELF) {
        return load_elf(ram, file);
    }
    if file.get(MAGIC_OFFSET..MAGIC_OFFSET + MAGIC.len()) == Some(MAGIC) {
        return load_bzimage(ram, file);
    }
    Err(ImageError::Unknown)
}

fn load_elf(ram: &Ram, file: &[u8]) -> Result<Image, ImageError> {
    let loaded = Elf::load(ram.memory(), None, &mut Cursor::new(file), None).map_err(ImageError::Load)?;
    let PvhBootCapability::PvhEntryPresent(entry) = loaded.pvh_boot_cap else {
        return Err(ImageError::NotPvh);
    };
    let entry = u32::try_from(entry.0).map_err(|_| ImageError::NotPvh)?;
    Ok(Image::Pvh { entry, end: loaded.kernel_end })
}

fn load_bzimage(ram: &Ram, file: &[u8]) -> Result<Image, ImageError> {
    let start = Some(GuestAddress(HIGH_MEMORY));
    let loaded =
        BzImage::load(ram.memory(), start, &mut Cursor::new(file), start).map_err(ImageError::Load)?;
    let header = loaded.setup_header.ok_or(ImageError::Unknown)?;
    let version = header.version;
    if version < PROTOCOL_2_10 {
        return Err(ImageError::Old(version));
    }
    // In sectors and in 16 bytes (Documentation/arch/x86/boot.rst, setup_sects and syssize); the loader takes what
    // there is, and the guest would stop without a word.
    let sectors = if header.setup_sects == 0 { OLD_SETUP_SECTORS } else { u64::from(header.setup_sects) };
    let wanted = (sectors + 1) * 512 + u64::from(header.syssize) * 16;
    let found = file.len() as u64;
    if found < wanted {
        return Err(ImageError::Truncated { wanted, found });
    }
    // It unpacks itself to where it wants to run, and needs that much there; a kernel that can be
    // moved may take itself elsewhere, within the same room.
    let (wanted, needed) = (header.pref_address.max(HIGH_MEMORY), u64::from(header.init_size));
    let there = ram.low_end().saturating_sub(wanted);
    if needed > there {
        return Err(ImageError::NoRoom { start: wanted, needed, there });
    }
    let end = loaded.kernel_end.max(wanted + needed);
    Ok(Image::Linux { entry: HIGH_MEMORY as u32, end, header: Box::new(header) })
}
