//! What a bzImage is told: the zero page (Documentation/arch/x86/zero-page.rst).

use crate::guest::{BootError, Initrd};
use crate::memory_map::Area;
use barkeep_platform::{Ram, map};
use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::GuestAddress;

/// A boot loader without a number of its own.
const LOADER: u8 = 0xff;

/// What differs from guest to guest.
pub(crate) struct Told {
    /// The kernel's own, as it was in its file.
    pub header: setup_header,
    pub initrd: Option<Initrd>,
    /// Guest physical address of ACPI's root pointer.
    pub rsdp: Option<u64>,
    /// Bytes of the command line.
    pub cmdline: usize,
}

/// Writes it.
pub(crate) fn write(ram: &Ram, memory: &[Area], told: &Told) -> Result<(), BootError> {
    let Told { header, initrd, rsdp, cmdline } = told;
    let initrd = initrd.unwrap_or(Initrd { start: 0, size: 0 });
    let mut params = boot_params { hdr: *header, ..Default::default() };
    params.hdr.type_of_loader = LOADER;
    params.hdr.cmd_line_ptr = map::CMDLINE as u32;
    params.hdr.cmdline_size = *cmdline as u32;
    // Below 4 GiB both: an initrd is in low memory.
    params.hdr.ramdisk_image = initrd.start as u32;
    params.hdr.ramdisk_size = initrd.size as u32;
    params.acpi_rsdp_addr = rsdp.unwrap_or_default();
    // More areas than the page has room for there never are: two of RAM, four others.
    for (entry, area) in params.e820_table.iter_mut().zip(memory) {
        *entry = boot_e820_entry { addr: area.start, size: area.size, r#type: area.kind.number() };
    }
    params.e820_entries = memory.len() as u8;
    let params = BootParams::new(&params, GuestAddress(map::ZERO_PAGE));
    LinuxBootConfigurator::write_bootparams(&params, ram.memory()).map_err(BootError::Told)
}
