// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A page that answers each of Hammer's iterations as a test wants it, and moves the outage word
//! between the answer and the probe's second look at it.

use std::sync::atomic::Ordering;

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub const SCRIPTED_PAGE: u64 = 0xE800_0000;

/// By the iteration's number: what the read gives, and the outage word from then on.
pub type Answer = Box<dyn Fn(u32) -> (u32, u64) + Send>;

pub struct Script {
    pub answer: Answer,
    /// Where the outage word is.
    pub outage_word: u64,
    pub ram: GuestMemoryMmap,
    written: u32,
}

impl Script {
    pub fn new(ram: GuestMemoryMmap, outage_word: u64) -> Self {
        Self { answer: Box::new(|_| (u32::MAX, 0)), outage_word, ram, written: 0 }
    }

    fn is_here(address: u64) -> bool {
        (SCRIPTED_PAGE..SCRIPTED_PAGE + 4096).contains(&address)
    }

    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        if !Self::is_here(address) {
            return false;
        }
        let (value, word) = (self.answer)(self.written);
        data.copy_from_slice(&value.to_le_bytes()[..data.len()]);
        self.ram.store(word, GuestAddress(self.outage_word), Ordering::SeqCst).expect("RAM");
        true
    }

    pub fn write(&mut self, address: u64, data: &[u8]) {
        if Self::is_here(address) {
            self.written = u32::from_le_bytes(data.try_into().expect("a u32"));
        }
    }
}
