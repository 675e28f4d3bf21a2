//! A guest's accesses to an MSI-X table, its pending bits and its control register, while the device signals
//! and the interrupt controllers now and then refuse. What is open and only that is delivered; what has come
//! while it was masked is pending.
#![no_main]

#[path = "../bench/machine.rs"]
mod machine;

use barkeep_export::RawDevice;
use barkeep_pci::header;
use barkeep_platform::pci_root::PciRoot;
use barkeep_sim::Named;
use barkeep_sim::options::{Kind, MemoryOptions};
use machine::Machine;
use std::sync::atomic::Ordering;

/// More would take the fuzzer longer than it waits.
const MOST: usize = 512;
const BAR: u8 = 2;
/// Of 64 KiB, as `sim:memory` has it.
const TABLE: u64 = 32 << 10;
const PENDING: u64 = TABLE + 0x800;
const VECTORS: u64 = 16;

/// The vectors that a guest of these registers has open, by what it reads of them.
fn open(machine: &Machine, control: u64) -> Option<usize> {
    let mut bytes = [0; 2];
    machine.bus.mmio_read(control, &mut bytes);
    let control = u16::from_le_bytes(bytes);
    if control & header::MSIX_CONTROL_ENABLE == 0 || control & header::MSIX_CONTROL_MASK_ALL != 0 {
        return Some(0);
    }
    let word = |at: u64| {
        let mut bytes = [0; 4];
        machine.bus.mmio_read(machine.board.bar_address(0, BAR, at)?, &mut bytes);
        Some(u32::from_le_bytes(bytes))
    };
    let mut count = 0;
    for vector in 0..VECTORS {
        let entry = TABLE + 16 * vector;
        let (low, high, masked) = (word(entry)?, word(entry + 4)?, word(entry + 12)? & 1);
        count += usize::from(masked == 0 && low >> 20 == 0xfee && high == 0);
    }
    Some(count)
}

libfuzzer_sys::fuzz_target!(|input: (bool, Vec<(u8, u16, u64)>)| {
    let (refuses, accesses) = input;
    let memory = MemoryOptions { size: 64 << 10, bar: BAR, msix: true, ..MemoryOptions::default() };
    let machine = Machine::new(&[Named { name: "a".into(), kind: Kind::Memory(memory) }]);
    let msix = machine.devices[0].layout().msix.expect("it has MSI-X");
    let control = PciRoot::ecam_address(0, msix.offset + header::MSIX_CONTROL);
    for (what, at, value) in accesses.into_iter().take(MOST) {
        let width = 1 << (what & 3);
        let bytes = &value.to_le_bytes()[..width];
        let place = |at: u64| machine.board.bar_address(0, BAR, at).unwrap_or(0);
        let mut read = [0; 8];
        match what >> 2 {
            0..24 => machine.bus.mmio_write(place(TABLE + u64::from(at % 0x110)), bytes, 0),
            // What a driver writes: a message of the local APIC's, or a mask.
            24..36 => {
                machine.bus.mmio_write(place(TABLE + u64::from(at & 0xf0)), &0xfee0_0000_u64.to_le_bytes(), 0)
            }
            36..46 => {
                let mask = u32::from(at & 1 != 0).to_le_bytes();
                machine.bus.mmio_write(place(TABLE + u64::from(at & 0xf0) + 12), &mask, 0);
            }
            46..52 => machine.bus.mmio_write(control, &(at & 0xc000).to_le_bytes(), 0),
            52..54 => machine.bus.mmio_write(place(PENDING + u64::from(at & 15)), bytes, 0),
            54..58 => machine.bus.mmio_read(place(PENDING + u64::from(at & 15)), &mut read[..width]),
            58..61 => {
                let _ = machine.devices[0].raise(at & 15);
            }
            61 => machine.controllers.patience.store(u32::from(refuses && at & 1 != 0), Ordering::Relaxed),
            62 => drop(machine.board.reset(0)),
            _ => machine.bus.reset(),
        }
        let asked = machine.controllers.patience.load(Ordering::Relaxed);
        if asked == 0
            && !refuses
            && let Some(open) = open(&machine, control)
        {
            assert_eq!(machine.controllers.attached(), open);
        }
    }
    machine.controllers.patience.store(0, Ordering::Relaxed);
    machine.reboot();
    machine.end();
});
