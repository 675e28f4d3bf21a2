//! A guest's accesses to config space, in any width and at any alignment, by ECAM and by the ports, to two
//! functions of any capabilities, with resets and reboots in between. Whatever it does, the invariants
//! hold, no two windows are in one place, and after a reboot everything is back.
#![no_main]

#[path = "../bench/machine.rs"]
mod machine;

use barkeep_platform::map::ECAM;
use barkeep_sim::Named;
use barkeep_sim::options::{DmaOptions, Kind, MemoryOptions, Pm};
use machine::Machine;

/// More would take the fuzzer longer than it waits.
const MOST: usize = 256;

fn memory(bits: u16) -> Kind {
    let bit = |n: u16| bits >> n & 1 != 0;
    let pm = [Pm::Off, Pm::SoftReset, Pm::NoSoftReset, Pm::NoSoftReset][usize::from(bits & 3)];
    let msix = bit(5);
    Kind::Memory(MemoryOptions {
        size: (16 << 10) << (bits >> 10 & 15),
        bar: if bit(9) { 2 } else { 0 },
        registers: bit(9) && bit(8),
        flr: bit(2),
        af: bit(3),
        pm,
        msix,
        vf: bit(4),
        reset_fails: bit(6),
        ..MemoryOptions::default()
    })
}

libfuzzer_sys::fuzz_target!(|input: (u16, u16, Vec<(u8, u32, u64)>)| {
    let (first, second, accesses) = input;
    let named = |name: &str, kind| Named { name: name.into(), kind };
    let other = if second & 1 << 15 != 0 { Kind::Dma(DmaOptions::default()) } else { memory(second) };
    let machine = Machine::new(&[named("a", memory(first)), named("b", other)]);
    let (board, bus) = (&machine.board, &machine.bus);
    for (what, at, value) in accesses.into_iter().take(MOST) {
        let width = 1 << (what & 3);
        let (vcpu, bytes) = (u16::from(what >> 2 & 1), &value.to_le_bytes()[..width]);
        let mut read = [0; 8];
        // Mostly the bridge and the two functions, and a little of what is behind them.
        let ecam = ECAM.start + u64::from(at & 0x1_ffff) + if at >> 31 != 0 { 0xffe_0000 } else { 0 };
        let bar = board.bar_address((at >> 16 & 1) as u16, (at >> 17 & 7) as u8, u64::from(at & 0xfff8));
        match what >> 3 {
            0..8 => bus.mmio_write(ecam, bytes, vcpu),
            8..12 => bus.mmio_read(ecam, &mut read[..width]),
            12..15 => {
                let _ = bus.port_write(0xcf8 + (at & 7) as u16, &bytes[..width.min(4)], vcpu);
            }
            15..18 => bus.port_read(0xcf8 + (at & 7) as u16, &mut read[..width.min(4)]),
            18..24 => bus.mmio_write(bar.unwrap_or(ecam), bytes, vcpu),
            24..26 => bus.mmio_read(bar.unwrap_or(ecam), &mut read[..width]),
            26 => drop(board.reset((at & 1) as u16)),
            27 => board.suspect((at & 1) as u16),
            28 => {
                let _ = machine.devices[(at & 1) as usize].raise((at >> 1 & 15) as u16);
            }
            29 => machine.reboot(),
            30 => machine.controllers.patience.store(at & 3, std::sync::atomic::Ordering::Relaxed),
            _ => drop(board.attach((at & 1) as u16, (at >> 1 & 7) as u8, u64::from(at & 0xfff8))),
        }
    }
    machine.controllers.patience.store(0, std::sync::atomic::Ordering::Relaxed);
    machine.reboot();
    machine.end();
});
