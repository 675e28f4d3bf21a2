//! Booting a PVH ELF: the probe. (Boot protocol: Xen, docs/misc/pvh.pandoc.)

use barkeep_platform::{Ram, map};
use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::PvhBootCapability;
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_start_info};
use linux_loader::loader::{Elf, KernelLoader};
use std::io::Cursor;
use vm_memory::{Bytes, GuestAddress};

/// `XEN_HVM_START_MAGIC_VALUE`.
const START_MAGIC: u32 = 0x336e_c578;
/// E820's "usable".
const MEMMAP_RAM: u32 = 1;

/// Why a guest cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Not an ELF that can be loaded.
    #[error("cannot load the guest's image")]
    Load(#[source] linux_loader::loader::Error),
    /// An ELF without a PVH entry.
    #[error("the guest's image has no PVH entry point; Linux needs CONFIG_PVH")]
    NotPvh,
    /// The command line is too long.
    #[error("the guest's command line has {length} bytes; {most} are possible", most = map::CMDLINE_SIZE - 1)]
    CommandLine {
        /// Its bytes.
        length: usize,
    },
    /// Guest memory refused.
    #[error("cannot write the boot parameters")]
    Write(#[source] vm_memory::GuestMemoryError),
    /// linux-loader refused.
    #[error("cannot write the PVH start info")]
    StartInfo(#[source] linux_loader::configurator::Error),
    /// KVM refused.
    #[error("cannot set the first vCPU's registers")]
    Registers(#[source] kvm_ioctls::Error),
}

/// Loads an image and its command line; gives the entry point.
///
/// # Errors
/// See [`BootError`].
pub fn load(ram: &Ram, image: &[u8], cmdline: &str) -> Result<u64, BootError> {
    let mut image = Cursor::new(image);
    let loaded = Elf::load(ram.memory(), None, &mut image, None).map_err(BootError::Load)?;
    let PvhBootCapability::PvhEntryPresent(entry) = loaded.pvh_boot_cap else {
        return Err(BootError::NotPvh);
    };
    if cmdline.len() >= map::CMDLINE_SIZE {
        return Err(BootError::CommandLine { length: cmdline.len() });
    }
    let mut text = cmdline.as_bytes().to_vec();
    text.push(0);
    ram.memory().write_slice(&text, GuestAddress(map::CMDLINE)).map_err(BootError::Write)?;
    start_info(ram)?;
    Ok(entry.0)
}

fn start_info(ram: &Ram) -> Result<(), BootError> {
    let memmap: Vec<_> = ram
        .ranges()
        .iter()
        .map(|range| hvm_memmap_table_entry {
            addr: range.start,
            size: range.size,
            type_: MEMMAP_RAM,
            reserved: 0,
        })
        .collect();
    let info = hvm_start_info {
        magic: START_MAGIC,
        version: 1,
        cmdline_paddr: map::CMDLINE,
        memmap_paddr: map::PVH_MEMMAP,
        memmap_entries: memmap.len() as u32,
        ..Default::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(map::PVH_START_INFO));
    params.set_sections(&memmap, GuestAddress(map::PVH_MEMMAP));
    PvhBootConfigurator::write_bootparams(&params, ram.memory()).map_err(BootError::StartInfo)
}

/// Registers as PVH wants them: 32-bit protected mode, flat segments, no paging, the start
/// info's address in EBX.
///
/// # Errors
/// KVM's.
pub fn set_registers(vcpu: &VcpuFd, entry: u64) -> Result<(), BootError> {
    let mut sregs: kvm_sregs = vcpu.get_sregs().map_err(BootError::Registers)?;
    let flat = |selector, type_| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        ..Default::default()
    };
    const CODE_EXECUTE_READ: u8 = 0xb;
    const DATA_READ_WRITE: u8 = 0x3;
    const TSS_BUSY: u8 = 0xb;
    sregs.cs = flat(0x8, CODE_EXECUTE_READ);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = flat(0x10, DATA_READ_WRITE);
    }
    sregs.tr = kvm_segment { s: 0, g: 0, db: 0, limit: 0x67, ..flat(0x18, TSS_BUSY) };
    const CR0_PE: u64 = 1;
    const CR0_ET: u64 = 1 << 4;
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.efer = 0;
    vcpu.set_sregs(&sregs).map_err(BootError::Registers)?;
    let regs = kvm_regs { rip: entry, rbx: map::PVH_START_INFO, rflags: 2, ..Default::default() };
    vcpu.set_regs(&regs).map_err(BootError::Registers)
}
