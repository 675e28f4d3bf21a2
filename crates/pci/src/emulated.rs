//! Functions that are not passed through: the host bridge at 00:00.0.
//!
//! A guest that enumerates a bus looks at device 0 first, and some decide by it whether there is a
//! bus at all. Linux's `pci_p2pdma` goes further: it lets two functions below a root do
//! peer-to-peer DMA if the host bridge at 00.0 is on its list (or the CPU's vendor is), so the IDs
//! are the caller's to choose.

#[cfg(test)]
mod tests;

use crate::header;

/// The class of a host bridge: base class 6, sub-class 0.
pub const HOST_BRIDGE_CLASS: u32 = 0x06_0000;

/// A host bridge with no BARs and no capabilities: it is there, and that is all.
///
/// COMMAND's I/O, memory and bus master bits, the cache line size and the interrupt line keep what
/// is written; nothing else does. The same image answers ports 0xcf8/0xcfc and ECAM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostBridge {
    header: [u8; header::HEADER_SIZE as usize],
}

impl HostBridge {
    /// A host bridge that gives itself out as `vendor`:`device`.
    #[must_use]
    pub fn new(vendor: u16, device: u16) -> HostBridge {
        let mut bridge = HostBridge { header: [0; header::HEADER_SIZE as usize] };
        bridge.put(header::VENDOR, vendor.to_le_bytes());
        bridge.put(header::DEVICE, device.to_le_bytes());
        bridge.put(header::REVISION, (HOST_BRIDGE_CLASS << 8).to_le_bytes());
        bridge
    }

    /// Reads `width` bytes (1, 2 or 4) at `offset`, zero-extended. Registers that do not exist
    /// read 0, as PCI has it for a function that is there. All ones in the bytes asked for if the
    /// access is not aligned to its width, or behind 4 KiB; all ones for any other width.
    #[must_use]
    pub fn read(&self, offset: u16, width: u8) -> u32 {
        let ones = match width {
            1 => 0xff,
            2 => 0xffff,
            _ => u32::MAX,
        };
        if !sound(offset, width) {
            return ones;
        }
        let byte = |at: u16| self.header.get(usize::from(at)).copied().unwrap_or(0);
        let bytes = [0, 1, 2, 3].map(|index| byte(offset + index));
        u32::from_le_bytes(bytes) & ones
    }

    /// Writes the low `width` bytes (1, 2 or 4) of `value` at `offset`. Bits that cannot be
    /// written and accesses that are not sound are dropped.
    pub fn write(&mut self, offset: u16, width: u8, value: u32) {
        if !sound(offset, width) {
            return;
        }
        let bytes = value.to_le_bytes();
        for (at, new) in (offset..).zip(bytes).take(usize::from(width)) {
            let mask = writable(at);
            if let Some(byte) = self.header.get_mut(usize::from(at)) {
                *byte = *byte & !mask | new & mask;
            }
        }
    }

    fn put<const N: usize>(&mut self, offset: u16, bytes: [u8; N]) {
        self.header[usize::from(offset)..][..N].copy_from_slice(&bytes);
    }
}

impl Default for HostBridge {
    /// 1b36:0008, the generic PCI Express host bridge of Red Hat's virtual devices. It is not on
    /// Linux's list for peer-to-peer DMA.
    fn default() -> HostBridge {
        HostBridge::new(0x1b36, 0x0008)
    }
}

fn sound(offset: u16, width: u8) -> bool {
    matches!(width, 1 | 2 | 4)
        && offset.is_multiple_of(u16::from(width))
        && offset < header::EXTENDED_CONFIG_SIZE
}

fn writable(offset: u16) -> u8 {
    const COMMAND: u16 = header::COMMAND_IO | header::COMMAND_MEMORY | header::COMMAND_MASTER;
    match offset {
        header::COMMAND => COMMAND as u8,
        header::CACHE_LINE_SIZE | header::INTERRUPT_LINE => 0xff,
        _ => 0,
    }
}
