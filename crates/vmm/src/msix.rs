//! The MSI-X table and pending bits of a passed-through function, kept in the VMM: vfio-pci
//! exports the pages that hold them, but a guest or a peer that could write them could have
//! the device write to any interrupt address.

use barkeep_pci::layout::MsixCapability;
use std::sync::{Mutex, PoisonError};

/// What an access to a BAR meets.
pub struct MsixTable {
    capability: MsixCapability,
    table: Mutex<Vec<u8>>,
}

impl MsixTable {
    /// A table as after reset: every vector masked (PCI Local Bus 3.0, 6.8.2.9).
    pub fn new(capability: MsixCapability) -> Self {
        let size = capability.table.size as usize;
        let mut table = vec![0; size];
        for entry in table.chunks_exact_mut(16) {
            entry[12] = 1;
        }
        Self { capability, table: Mutex::new(table) }
    }

    /// Whether the bytes are part of the table or the pending bits.
    pub fn covers(&self, bar: u8, offset: u64) -> bool {
        [self.capability.table, self.capability.pba]
            .iter()
            .any(|l| l.bar == bar && l.range().contains(&offset))
    }

    /// Reads; pending bits are always clear as nothing is held back.
    pub fn read(&self, bar: u8, offset: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = self.in_table(bar, offset, bytes.len(), table.len()) {
            bytes.copy_from_slice(&table[at..at + bytes.len()]);
        }
    }

    /// Writes; the pending bits cannot be written.
    pub fn write(&self, bar: u8, offset: u64, bytes: &[u8]) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = self.in_table(bar, offset, bytes.len(), table.len()) {
            table[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn in_table(&self, bar: u8, offset: u64, len: usize, size: usize) -> Option<usize> {
        let table = self.capability.table;
        let at = (table.bar == bar).then(|| offset.checked_sub(table.range().start))??;
        let at = usize::try_from(at).ok()?;
        (at.checked_add(len)? <= size).then_some(at)
    }
}
