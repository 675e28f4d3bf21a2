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
        let table = Mutex::new(masked(capability.table.size as usize));
        Self { capability, table }
    }

    /// The same again.
    pub fn reset(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        *table = masked(table.len());
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

/// A table of that many bytes with every vector masked.
fn masked(size: usize) -> Vec<u8> {
    let mut table = vec![0; size];
    for entry in table.chunks_exact_mut(16) {
        entry[12] = 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_pci::layout::Location;

    fn table() -> MsixTable {
        let capability = MsixCapability {
            offset: 0x40,
            table: Location { bar: 0, offset: 0x2000, size: 0x40 },
            pba: Location { bar: 0, offset: 0x3000, size: 8 },
        };
        MsixTable::new(capability)
    }

    #[test]
    fn every_vector_starts_masked() {
        let mut control = [0; 4];
        table().read(0, 0x2000 + 3 * 16 + 12, &mut control);
        assert_eq!(u32::from_le_bytes(control), 1);
    }

    #[test]
    fn the_guest_reads_what_it_wrote_and_the_pending_bits_stay_clear() {
        let table = table();
        table.write(0, 0x2010, &0xfee0_0000_u32.to_le_bytes());
        table.write(0, 0x3000, &[0xff; 8]);
        let (mut address, mut pending) = ([0; 4], [1; 8]);
        table.read(0, 0x2010, &mut address);
        table.read(0, 0x3000, &mut pending);
        assert_eq!((u32::from_le_bytes(address), pending), (0xfee0_0000, [0; 8]));
    }

    #[test]
    fn accesses_past_the_end_read_zero_and_write_nothing() {
        let table = table();
        let mut across = [7; 8];
        table.write(0, 0x203c, &[0xff; 8]);
        table.read(0, 0x203c, &mut across);
        assert_eq!(across, [0; 8]);
        let mut last = [7; 4];
        table.read(0, 0x203c, &mut last);
        assert_eq!(u32::from_le_bytes(last), 1);
        assert!(table.covers(0, 0x203f) && !table.covers(0, 0x2040) && !table.covers(1, 0x2000));
    }
}
