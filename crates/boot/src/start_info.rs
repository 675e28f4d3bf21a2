//! What a PVH guest is told (Xen, docs/misc/pvh.pandoc).

use crate::guest::{BootError, Initrd};
use crate::memory_map::Area;
use barkeep_platform::{Ram, map};
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::GuestAddress;

/// `XEN_HVM_START_MAGIC_VALUE`.
const START_MAGIC: u32 = 0x336e_c578;

/// Writes it.
pub(crate) fn write(
    ram: &Ram,
    memory: &[Area],
    initrd: Option<Initrd>,
    rsdp: Option<u64>,
) -> Result<(), BootError> {
    let entry = |area: &Area| hvm_memmap_table_entry {
        addr: area.start,
        size: area.size,
        type_: area.kind.number(),
        reserved: 0,
    };
    let memmap: Vec<_> = memory.iter().map(entry).collect();
    let module = |Initrd { start, size }| hvm_modlist_entry { paddr: start, size, ..Default::default() };
    let modules: Vec<_> = initrd.map(module).into_iter().collect();
    let info = hvm_start_info {
        magic: START_MAGIC,
        version: 1,
        cmdline_paddr: map::CMDLINE,
        rsdp_paddr: rsdp.unwrap_or_default(),
        memmap_paddr: map::PVH_MEMMAP,
        memmap_entries: memmap.len() as u32,
        nr_modules: modules.len() as u32,
        modlist_paddr: if modules.is_empty() { 0 } else { map::PVH_MODULES },
        ..Default::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(map::PVH_START_INFO));
    params.set_sections(&memmap, GuestAddress(map::PVH_MEMMAP));
    if !modules.is_empty() {
        params.set_modules(&modules, GuestAddress(map::PVH_MODULES));
    }
    PvhBootConfigurator::write_bootparams(&params, ram.memory()).map_err(BootError::Told)
}
