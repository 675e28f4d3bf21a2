//! Offsets and bits of the registers this crate looks at.
//!
//! Offsets of the header count from the start of config space, offsets of a capability's registers
//! (`PM_`, `MSI_`, `MSIX_`, `PCIE_`, `AF_`) from the start of that capability. Sections are those
//! of the PCI Express Base Specification 6.0 unless another document is named; the values are the
//! ones of Linux's `include/uapi/linux/pci_regs.h`.

/// Vendor ID, 2 bytes (7.5.1.1.1). 0xffff where no function answers.
pub const VENDOR: u16 = 0x00;
/// Device ID, 2 bytes (7.5.1.1.2).
pub const DEVICE: u16 = 0x02;
/// Command, 2 bytes (7.5.1.1.3).
pub const COMMAND: u16 = 0x04;
/// COMMAND: the function decodes its I/O BARs.
pub const COMMAND_IO: u16 = 1 << 0;
/// COMMAND: the function decodes its memory BARs.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// COMMAND: the function may do DMA.
pub const COMMAND_MASTER: u16 = 1 << 2;
/// COMMAND: the function may not raise INTx.
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Status, 2 bytes (7.5.1.1.4).
pub const STATUS: u16 = 0x06;
/// STATUS: there is a capability list.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Revision ID, 1 byte (7.5.1.1.5).
pub const REVISION: u16 = 0x08;
/// Class code, 3 bytes: programming interface, sub-class, base class (7.5.1.1.6).
pub const CLASS: u16 = 0x09;
/// Cache line size, 1 byte (7.5.1.1.7).
pub const CACHE_LINE_SIZE: u16 = 0x0c;
/// Header type, 1 byte (7.5.1.1.9).
pub const HEADER_TYPE: u16 = 0x0e;
/// HEADER_TYPE: the layout of the header; 0 is an endpoint.
pub const HEADER_TYPE_LAYOUT: u8 = 0x7f;
/// HEADER_TYPE: the device has several functions.
pub const HEADER_TYPE_MULTI_FUNCTION: u8 = 0x80;
/// The first base address register, 4 bytes (7.5.1.2.1). Six of them follow each other.
pub const BAR0: u16 = 0x10;
/// The second base address register.
pub const BAR1: u16 = 0x14;
/// The third base address register.
pub const BAR2: u16 = 0x18;
/// The fourth base address register.
pub const BAR3: u16 = 0x1c;
/// The fifth base address register.
pub const BAR4: u16 = 0x20;
/// The sixth base address register.
pub const BAR5: u16 = 0x24;
/// The first byte after the base address registers.
pub const BARS_END: u16 = 0x28;
/// How many base address registers an endpoint has.
pub const BAR_COUNT: usize = 6;
/// BAR: I/O space rather than memory.
pub const BAR_IO: u32 = 1 << 0;
/// BAR: the bits that tell the width of a memory BAR.
pub const BAR_TYPE: u32 = 3 << 1;
/// BAR: the value of [`BAR_TYPE`] of a 64-bit memory BAR.
pub const BAR_TYPE_64: u32 = 2 << 1;
/// BAR: prefetchable memory.
pub const BAR_PREFETCHABLE: u32 = 1 << 3;
/// BAR: the bits that are not address in a memory BAR.
pub const BAR_MEMORY_FLAGS: u32 = 0xf;
/// BAR: the bits that are not address in an I/O BAR.
pub const BAR_IO_FLAGS: u32 = 0x3;
/// Subsystem vendor ID, 2 bytes (7.5.1.2.3).
pub const SUBSYSTEM_VENDOR: u16 = 0x2c;
/// Subsystem ID, 2 bytes (7.5.1.2.3).
pub const SUBSYSTEM: u16 = 0x2e;
/// Expansion ROM base address, 4 bytes (7.5.1.2.4).
pub const ROM: u16 = 0x30;
/// The first byte after the expansion ROM register.
pub const ROM_END: u16 = 0x34;
/// Capabilities pointer, 1 byte (7.5.1.1.11).
pub const CAPABILITIES_POINTER: u16 = 0x34;
/// Interrupt line, 1 byte (7.5.1.1.12): a note software leaves to itself.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Interrupt pin, 1 byte (7.5.1.1.13).
pub const INTERRUPT_PIN: u16 = 0x3d;
/// Size of the standard header, bytes. Capabilities lie behind it.
pub const HEADER_SIZE: u16 = 0x40;
/// Size of the config space every function has, bytes.
pub const CONFIG_SIZE: u16 = 0x100;
/// Size of the config space with the extended part, bytes.
pub const EXTENDED_CONFIG_SIZE: u16 = 0x1000;

/// Capability: next pointer, 1 byte (7.5.3.1); the ID is the byte before it.
pub const CAPABILITY_NEXT: u16 = 1;
/// The two low bits of a capability pointer are reserved; software masks them (7.5.1.1.11).
pub const CAPABILITY_POINTER_MASK: u8 = 0xfc;

/// Capability ID of power management (7.5.2).
pub const CAPABILITY_PM: u8 = 0x01;
/// PM: control and status register PMCSR, 2 bytes (7.5.2.2).
pub const PM_PMCSR: u16 = 4;
/// PMCSR: the power state, 0 (D0) to 3 (D3hot).
pub const PM_PMCSR_STATE: u16 = 3;
/// PMCSR: going from D3hot to D0 does not reset the function.
pub const PM_PMCSR_NO_SOFT_RESET: u16 = 1 << 3;
/// PM: size of the capability, bytes.
pub const PM_SIZE: u16 = 8;

/// Capability ID of MSI (7.7.1).
pub const CAPABILITY_MSI: u8 = 0x05;
/// MSI: message control, 2 bytes (7.7.1.2).
pub const MSI_CONTROL: u16 = 2;
/// MSI control: MSI is enabled.
pub const MSI_CONTROL_ENABLE: u16 = 1 << 0;
/// MSI control: how many vectors the function has, as a power of two.
pub const MSI_CONTROL_MOST: u16 = 7 << MSI_CONTROL_MOST_SHIFT;
/// MSI control: the lowest bit of [`MSI_CONTROL_MOST`].
pub const MSI_CONTROL_MOST_SHIFT: u16 = 1;
/// MSI control: how many of them software gives it, as a power of two.
pub const MSI_CONTROL_VECTORS: u16 = 7 << MSI_CONTROL_VECTORS_SHIFT;
/// MSI control: the lowest bit of [`MSI_CONTROL_VECTORS`].
pub const MSI_CONTROL_VECTORS_SHIFT: u16 = 4;
/// MSI control: the address has 64 bits.
pub const MSI_CONTROL_64BIT: u16 = 1 << 7;
/// MSI control: vectors can be masked one by one.
pub const MSI_CONTROL_MASKABLE: u16 = 1 << 8;
/// MSI: message address (7.7.1.3); address and data take 6 bytes from here, or 10 with 64 bits.
pub const MSI_ADDRESS: u16 = 4;
/// MSI: size of the longest capability, bytes: a 64-bit address, and masks.
pub const MSI_MOST_SIZE: u16 = 0x18;

/// Capability ID of MSI-X (7.7.2).
pub const CAPABILITY_MSIX: u8 = 0x11;
/// MSI-X: message control, 2 bytes (7.7.2.2).
pub const MSIX_CONTROL: u16 = 2;
/// MSI-X control: number of table entries, less one.
pub const MSIX_CONTROL_COUNT: u16 = 0x07ff;
/// MSI-X control: all vectors are masked.
pub const MSIX_CONTROL_MASK_ALL: u16 = 1 << 14;
/// MSI-X control: MSI-X is enabled.
pub const MSIX_CONTROL_ENABLE: u16 = 1 << 15;
/// MSI-X: table offset and BAR, 4 bytes (7.7.2.3).
pub const MSIX_TABLE: u16 = 4;
/// MSI-X: pending bit array offset and BAR, 4 bytes (7.7.2.4).
pub const MSIX_PBA: u16 = 8;
/// MSI-X table and PBA register: the bits that name the BAR.
pub const MSIX_BAR: u32 = 7;
/// MSI-X: size of one table entry, bytes (7.7.2.5).
pub const MSIX_ENTRY_SIZE: u64 = 16;
/// MSI-X: size of the capability, bytes.
pub const MSIX_SIZE: u16 = 12;

/// Capability ID of PCI Express (7.5.3).
pub const CAPABILITY_PCIE: u8 = 0x10;
/// PCI Express: device capabilities DEVCAP, 4 bytes (7.5.3.3).
pub const PCIE_DEVCAP: u16 = 4;
/// DEVCAP: the function can do a function level reset.
pub const PCIE_DEVCAP_FLR: u32 = 1 << 28;
/// PCI Express: device control DEVCTL, 2 bytes (7.5.3.4).
pub const PCIE_DEVCTL: u16 = 8;
/// DEVCTL: do a function level reset.
pub const PCIE_DEVCTL_FLR: u16 = 1 << 15;
/// PCI Express: size of the part every function has, bytes (as vfio's `vfio_cap_len`).
pub const PCIE_SIZE: u16 = 0x0c;

/// Capability ID of Advanced Features (PCI Advanced Capabilities ECN for Conventional PCI).
pub const CAPABILITY_AF: u8 = 0x13;
/// AF: what the function can do, 1 byte.
pub const AF_CAP: u16 = 3;
/// AF capabilities: transactions pending can be asked.
pub const AF_CAP_TP: u8 = 1 << 0;
/// AF capabilities: the function can do a function level reset.
pub const AF_CAP_FLR: u8 = 1 << 1;
/// AF: control, 1 byte.
pub const AF_CTRL: u16 = 4;
/// AF control: do a function level reset.
pub const AF_CTRL_FLR: u8 = 1 << 0;
/// AF: size of the capability, bytes.
pub const AF_SIZE: u16 = 6;
