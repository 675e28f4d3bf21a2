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
/// Its interrupt, where a guest has interrupts.
pub const SERIAL_GSI: u32 = 4;

/// ACPI's sleep control register (ACPI 6.5, 4.8.3.7), one byte: bit 5 goes to sleep, bits 4 to 2 say how.
pub const SLEEP_CONTROL_PORT: u16 = 0x600;
/// Its status register: nothing ever wakes up.
pub const SLEEP_STATUS_PORT: u16 = 0x601;
/// How a guest says "power off" there, the only sleep there is.
pub const SLEEP_POWER_OFF: u8 = 5;
/// ACPI's reset register, one byte.
pub const RESET_PORT: u16 = 0x602;
/// What resets when it is written there.
pub const RESET_VALUE: u8 = 1;
/// The status of the guest's own that becomes the command's, one byte; the guest ends with it.
pub const STATUS_PORT: u16 = 0x603;
/// Where a guest tells that its kernel has panicked: the interface of QEMU's pvpanic, of which this is bit 0
/// (QEMU, docs/specs/pvpanic.rst).
pub const PANIC_PORT: u16 = 0x505;
/// The reset register of chipsets since the PIIX3: bit 2 resets.
pub const CHIPSET_RESET_PORT: u16 = 0xcf9;

/// KVM's local interrupt controller of each vCPU.
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// KVM's I/O interrupt controller: GSI 0 to 23.
pub const IO_APIC: u32 = 0xfec0_0000;
/// What a PC has other things than RAM in; for guests that are told so.
pub const LEGACY: Range<u64> = 0xa_0000..0x10_0000;
/// ACPI tables, in it.
pub const ACPI: Range<u64> = 0xe_0000..0x10_0000;

/// PCI configuration mechanism #1.
pub const PCI_CONFIG_ADDRESS: Range<u16> = 0xcf8..0xcfc;
/// Its data window.
pub const PCI_CONFIG_DATA: Range<u16> = 0xcfc..0xd00;

/// Where PVH's start info, memory map and command line go: below the probe's own pages.
pub const PVH_START_INFO: u64 = 0x6000;
/// PVH memory map.
pub const PVH_MEMMAP: u64 = 0x6100;
/// PVH's list of modules: the initrd.
pub const PVH_MODULES: u64 = 0x6400;
/// Linux's boot parameters, one page.
pub const ZERO_PAGE: u64 = 0x7000;
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
