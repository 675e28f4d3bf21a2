//! MSI-X as a guest sees it: message control in config space, table and pending bits in a BAR.
//!
//! vfio-pci drops what is written to the capability (it has no write handler) and shows the
//! hardware's; the table would be the hardware's too, and whoever could write that could have the
//! device write to any interrupt address of the host. So the guest's are these, and what they come
//! to is [`Msix::vectors`], [`Msix::message`] and [`Msix::is_masked`].

#[cfg(test)]
mod tests;

use crate::header;
use crate::layout::{Location, MsixCapability};
use crate::msi::Message;
use crate::write::ConfigWrite;
use std::ops::Range;

/// Bytes of a table entry.
const ENTRY: usize = header::MSIX_ENTRY_SIZE as usize;
/// In an entry: the message's data, after 8 bytes of address.
const DATA: usize = 8;
/// In an entry: vector control, whose lowest bit masks.
const VECTOR_CONTROL: usize = 12;
/// The control register's high byte: what a guest can write, enable and the function mask.
const WRITABLE: u8 = ((header::MSIX_CONTROL_ENABLE | header::MSIX_CONTROL_MASK_ALL) >> 8) as u8;

impl MsixCapability {
    /// Whether a byte of a BAR is the table's or one of the pending bits'.
    #[must_use]
    pub fn has(&self, bar: u8, offset: u64) -> bool {
        let places = [self.table, self.pba];
        places.iter().any(|place| place.bar == bar && place.range().contains(&offset))
    }
}

/// The registers and the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msix {
    capability: MsixCapability,
    /// The writable bits of message control's high byte.
    control: u8,
    table: Vec<u8>,
}

impl Msix {
    /// As after a reset: off, and every vector masked (PCI Express Base 6.0, 7.7.2.9).
    #[must_use]
    pub fn new(capability: MsixCapability) -> Self {
        let mut table = vec![0; capability.table.size as usize];
        for entry in table.chunks_exact_mut(ENTRY) {
            entry[VECTOR_CONTROL] = 1;
        }
        Self { capability, control: 0, table }
    }

    /// The same again.
    pub fn reset(&mut self) {
        *self = Self::new(self.capability);
    }

    /// Puts message control over what was read at `offset` of config space.
    pub fn show(&self, offset: u16, bytes: &mut [u8]) {
        let count = (self.vectors() - 1) & header::MSIX_CONTROL_COUNT;
        let control = (u16::from(self.control) << 8 | count).to_le_bytes();
        for (at, byte) in (offset..).zip(bytes) {
            if let Some(n) = self.control_byte(at) {
                *byte = control[n];
            }
        }
    }

    /// Takes what a guest writes to config space; says whether any of it was for message control.
    pub fn write(&mut self, write: &ConfigWrite) -> bool {
        let mut ours = false;
        for (offset, value) in write.iter() {
            match self.control_byte(offset) {
                Some(0) => ours = true,
                Some(_) => {
                    self.control = value & WRITABLE;
                    ours = true;
                }
                None => {}
            }
        }
        ours
    }

    /// Whether a byte of config space is message control. ID, pointer, and where table and pending
    /// bits are, are not: those are the device's.
    #[must_use]
    pub fn covers(&self, offset: u16) -> bool {
        self.control_byte(offset).is_some()
    }

    /// Reads table or pending bits; what lies across an end of either reads 0. `pending` says of
    /// a vector whether its bit is set.
    pub fn bar_read(&self, bar: u8, offset: u64, bytes: &mut [u8], pending: impl Fn(u16) -> bool) {
        bytes.fill(0);
        if let Some(range) = within(self.capability.table, bar, offset, bytes.len()) {
            bytes.copy_from_slice(&self.table[range]);
        } else if let Some(range) = within(self.capability.pba, bar, offset, bytes.len()) {
            for (byte, at) in bytes.iter_mut().zip(range) {
                let of_bit = |bit: usize| (at * 8 + bit) as u16;
                let set = |bit: &usize| of_bit(*bit) < self.vectors() && pending(of_bit(*bit));
                *byte = (0..8).filter(set).fold(0, |byte, bit| byte | 1 << bit);
            }
        }
    }

    /// Writes the table; the pending bits cannot be written. Says whether it was the table.
    pub fn bar_write(&mut self, bar: u8, offset: u64, bytes: &[u8]) -> bool {
        let range = within(self.capability.table, bar, offset, bytes.len());
        if let Some(range) = range.clone() {
            self.table[range].copy_from_slice(bytes);
        }
        range.is_some()
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        u16::from(self.control) << 8 & header::MSIX_CONTROL_ENABLE != 0
    }

    /// How many vectors there are: 1 to 2048.
    #[must_use]
    pub fn vectors(&self) -> u16 {
        (self.table.len() / ENTRY) as u16
    }

    /// The message of a vector.
    #[must_use]
    pub fn message(&self, vector: u16) -> Message {
        let entry = self.entry(vector);
        let bytes = |from: usize| std::array::from_fn(|n| entry[from + n]);
        // A message's address is a multiple of 4: the low bits are reserved.
        let address = u64::from_le_bytes(std::array::from_fn(|n| entry[n])) & !3;
        Message { address, data: u32::from_le_bytes(bytes(DATA)) }
    }

    /// Whether a vector is masked, by itself or with all: it becomes pending instead.
    #[must_use]
    pub fn is_masked(&self, vector: u16) -> bool {
        let all = u16::from(self.control) << 8 & header::MSIX_CONTROL_MASK_ALL != 0;
        all || self.entry(vector)[VECTOR_CONTROL] & 1 != 0
    }

    fn entry(&self, vector: u16) -> &[u8] {
        let start = usize::from(vector) * ENTRY;
        &self.table[start..start + ENTRY]
    }

    fn control_byte(&self, offset: u16) -> Option<usize> {
        let at = offset.checked_sub(self.capability.offset + header::MSIX_CONTROL)?;
        (at < 2).then_some(usize::from(at))
    }
}

/// Where an access lies in table or pending bits, if it does as a whole.
fn within(place: Location, bar: u8, offset: u64, length: usize) -> Option<Range<usize>> {
    let at = (place.bar == bar).then(|| offset.checked_sub(place.offset))??;
    let start = usize::try_from(at).ok()?;
    let end = start.checked_add(length)?;
    (end as u64 <= place.size).then_some(start..end)
}
