//! What is booted, and where each part of it goes.

use crate::image::{self, Image, ImageError};
use crate::{acpi, memory_map, start_info, zero_page};
use barkeep_platform::{Ram, map};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// Why a guest cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Not a kernel, or one that does not fit.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The command line is too long.
    #[error("the guest's command line has {length} bytes; {most} are possible")]
    CommandLine {
        /// Its bytes.
        length: usize,
        /// What there is room for: the VMM's, or the kernel's own limit.
        most: usize,
    },
    /// The initrd does not fit.
    #[error(
        "an initrd of {size:#x} bytes does not fit between the kernel, up to {from:#x}, and {to:#x}; give more memory"
    )]
    Initrd {
        /// Its bytes.
        size: u64,
        /// Guest physical address of the first byte that is free.
        from: u64,
        /// The first byte above where it may be.
        to: u64,
    },
    /// Guest memory refused.
    #[error("cannot write the boot parameters")]
    Write(#[from] GuestMemoryError),
    /// linux-loader refused.
    #[error("cannot write what the guest is told of the machine")]
    Told(#[source] linux_loader::configurator::Error),
}

/// A guest.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// Its kernel: an ELF with a PVH entry, or a bzImage.
    pub kernel: Vec<u8>,
    /// Its initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// Its command line.
    pub cmdline: String,
    /// ACPI tables for that many vCPUs; none for a guest that asks for nothing (the probe).
    pub acpi: Option<u16>,
}

/// Where the first vCPU begins: both want 32-bit protected mode with flat segments and no paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// With the address of PVH's start info in EBX (Xen, docs/misc/pvh.pandoc).
    Pvh {
        /// EIP.
        entry: u32,
        /// EBX.
        start_info: u32,
    },
    /// With the address of the zero page in ESI (Documentation/arch/x86/boot.rst, 32-bit boot protocol).
    Linux {
        /// EIP.
        entry: u32,
        /// ESI.
        zero_page: u32,
    },
}

/// An initial RAM disk that is in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Initrd {
    pub start: u64,
    pub size: u64,
}

impl Guest {
    /// Loads all of it; it may be loaded again after the machine was reset.
    ///
    /// # Errors
    /// See [`BootError`].
    pub fn load(&self, ram: &Ram) -> Result<Entry, BootError> {
        let image = image::load(ram, &self.kernel)?;
        self.write_cmdline(ram, image.cmdline_limit())?;
        let initrd = self.initrd.as_ref().map(|bytes| write_initrd(ram, bytes, &image)).transpose()?;
        let rsdp = self.acpi.map(|vcpus| acpi::write(ram, vcpus)).transpose()?;
        let memory = memory_map::of(ram, self.acpi.is_some());
        match image {
            Image::Pvh { entry, end: _ } => {
                start_info::write(ram, &memory, initrd, rsdp)?;
                Ok(Entry::Pvh { entry, start_info: map::PVH_START_INFO as u32 })
            }
            Image::Linux { entry, header, end: _ } => {
                let told = zero_page::Told { header: *header, initrd, rsdp, cmdline: self.cmdline.len() };
                zero_page::write(ram, &memory, &told)?;
                Ok(Entry::Linux { entry, zero_page: map::ZERO_PAGE as u32 })
            }
        }
    }

    fn write_cmdline(&self, ram: &Ram, limit: Option<usize>) -> Result<(), BootError> {
        let most = limit.unwrap_or(usize::MAX).min(map::CMDLINE_SIZE - 1);
        let length = self.cmdline.len();
        if length > most {
            return Err(BootError::CommandLine { length, most });
        }
        let text = [self.cmdline.as_bytes(), &[0]].concat();
        Ok(ram.memory().write_slice(&text, GuestAddress(map::CMDLINE))?)
    }
}

/// As high as it may be: the kernel, once unpacked, needs room behind itself.
fn write_initrd(ram: &Ram, bytes: &[u8], image: &Image) -> Result<Initrd, BootError> {
    const PAGE: u64 = 4096;
    let size = bytes.len() as u64;
    let (from, to) = (image.end(), image.initrd_limit().min(ram.low_end()));
    let start = to.checked_sub(size).map(|start| start & !(PAGE - 1)).filter(|start| *start >= from);
    let start = start.ok_or(BootError::Initrd { size, from, to })?;
    ram.memory().write_slice(bytes, GuestAddress(start))?;
    Ok(Initrd { start, size })
}
