//! Where things are in guest physical memory. IOVA is the same number everywhere, so nothing
//! may be placed where an IOMMU reserves a range (x86: the MSI window at 0xfee00000).

use std::ops::Range;

/// RAM grows from 0 up to here; what is left goes on at [`HIGH_RAM`].
pub const LOW_RAM_END: u64 = 0xc000_0000;
/// Memory-mapped I/O below 4 GiB that BARs may use.
pub const MMIO32: Range<u64> = 0xc000_0000..0xe000_0000;
/// The ECAM window: 256 buses of 1 MiB (PCI Express Base, enhanced configuration access).
pub const ECAM: Range<u64> = 0xe000_0000..0xf000_0000;
/// RAM above 4 GiB.
pub const HIGH_RAM: u64 = 0x1_0000_0000;
/// Memory-mapped I/O above 4 GiB: 256 GiB from 256 GiB on, inside the 39 bits that every
/// VT-d and AMD-Vi translates.
pub const MMIO64: Range<u64> = 0x40_0000_0000..0x7f_0000_0000;
/// Three pages KVM needs on Intel (`KVM_SET_TSS_ADDR`), below the boot ROM's place.
pub const KVM_TSS: usize = 0xfffb_d000;

/// I/O ports of the first serial port.
pub const SERIAL: Range<u16> = 0x3f8..0x400;
/// PCI configuration mechanism #1.
pub const PCI_CONFIG_ADDRESS: Range<u16> = 0xcf8..0xcfc;
/// Its data window.
pub const PCI_CONFIG_DATA: Range<u16> = 0xcfc..0xd00;

/// Where PVH's start info, memory map and command line go: below the probe's own pages.
pub const PVH_START_INFO: u64 = 0x6000;
/// PVH memory map.
pub const PVH_MEMMAP: u64 = 0x6100;
/// Kernel command line.
pub const CMDLINE: u64 = 0x6800;
/// Bytes of it, the terminating zero included.
pub const CMDLINE_SIZE: usize = 0x800;

/// Outage words the probe reads, one `u64` a window.
pub const OUTAGE_WORDS: u64 = 0x9000;
/// Windows there is an outage word for.
pub const OUTAGE_WORD_COUNT: u64 = 512;
/// A page of words the VMM hands to probe commands (stop words).
pub const CONTROL_WORDS: u64 = 0xa000;
/// RAM free for a scenario's DMA buffers.
pub const SCRATCH: Range<u64> = 0x20_0000..0x40_0000;
