// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The DMA engine of QEMU's edu device, as far as the probe uses it.

use std::time::{Duration, Instant};

use barkeep_probe::command::{EDU_BUFFER, EDU_BUFFER_BYTES};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub const EDU_BAR: u64 = 0xD000_0000;
const EDU_BAR_BYTES: u64 = 0x1000;
const SOURCE: usize = 0x80 / 8;
const DESTINATION: usize = 0x88 / 8;
const COUNT: usize = 0x90 / 8;
const COMMAND: usize = 0x98 / 8;

/// A transfer is carried out some time after it was commanded, as edu does it.
pub struct Edu {
    registers: [u64; 32],
    buffer: [u8; EDU_BUFFER_BYTES as usize],
    due: Option<Instant>,
    pub takes: Duration,
    bus: [GuestMemoryMmap; 2],
}

impl Edu {
    pub fn new(ram: GuestMemoryMmap, bar: GuestMemoryMmap) -> Self {
        Self {
            registers: [0; 32],
            buffer: [0; EDU_BUFFER_BYTES as usize],
            due: None,
            takes: Duration::from_millis(5),
            bus: [ram, bar],
        }
    }

    fn register(address: u64) -> Option<usize> {
        let offset = address.checked_sub(EDU_BAR).filter(|offset| *offset < EDU_BAR_BYTES)?;
        Some(offset as usize / 8).filter(|index| *index < 32)
    }

    pub fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        let Some(index) = Self::register(address) else { return false };
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = None;
            self.transfer();
            self.registers[COMMAND] &= !1;
        }
        data.copy_from_slice(&self.registers[index].to_le_bytes()[..data.len()]);
        true
    }

    pub fn write(&mut self, address: u64, data: &[u8]) {
        let Some(index) = Self::register(address) else { return };
        let mut bytes = [0; 8];
        bytes[..data.len()].copy_from_slice(data);
        self.registers[index] = u64::from_le_bytes(bytes);
        if index == COMMAND && self.registers[COMMAND] & 1 != 0 {
            self.due = Some(Instant::now() + self.takes);
        }
    }

    fn transfer(&mut self) {
        let [source, destination] = [self.registers[SOURCE], self.registers[DESTINATION]];
        let count = self.registers[COUNT] as usize;
        let to_memory = self.registers[COMMAND] & 2 != 0;
        let own = if to_memory { source } else { destination };
        let at = (own - EDU_BUFFER) as usize;
        for memory in &self.bus {
            let bytes = &mut self.buffer[at..at + count];
            // The one of the two that has the address; none is a transfer to nobody.
            let _ = if to_memory {
                memory.write_slice(bytes, GuestAddress(destination))
            } else {
                memory.read_slice(bytes, GuestAddress(source))
            };
        }
    }
}
