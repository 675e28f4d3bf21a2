//! Peer-to-peer DMA from inside a guest: QEMU's edu copies within the memory of an NVMe controller, and
//! no byte of it goes through the guest's RAM.

use crate::guest_init::function::{Bar, Function};
use anyhow::bail;
use std::thread::sleep;
use std::time::Duration;

/// The engine, by its vendor and device.
const EDU: &str = "0x11e8";
/// Its registers, of 64 bits (QEMU, docs/specs/edu.rst).
const SOURCE: usize = 0x80;
const DESTINATION: usize = 0x88;
const COUNT: usize = 0x90;
const COMMAND: usize = 0x98;
const START: u64 = 1;
const TO_BUS: u64 = 2;
/// Where it knows its own buffer.
const BUFFER: u64 = 0x4_0000;
/// Controllers of non-volatile memory, by their class; those of QEMU have their memory in BAR 2.
const NVME: &str = "0x0108";
const MEMORY_BAR: u8 = 2;

/// Bytes that are copied, and where from and to.
const SIZE: usize = 64;
const FROM: usize = 0x1000;
const TO: usize = 0x2000;

/// A DMA takes 100 ms; one in an emulator without a clock of its own may take longer.
const PAUSE: Duration = Duration::from_millis(110);
const LOOKS: u32 = 100;

/// Copies, and looks by CPU whether what arrived is what was there.
///
/// # Errors
/// A device is missing; the engine does not end; something else arrived.
pub fn check(round: u64) -> anyhow::Result<()> {
    let (engine, peer) = (Function::with("device", EDU)?, Function::with("class", NVME)?);
    engine.enable()?;
    let (registers, memory) = (engine.bar(0)?, peer.bar(MEMORY_BAR)?);
    for offset in (0..SIZE).step_by(8) {
        memory.write(FROM + offset, word(round, offset))?;
        memory.write(TO + offset, 0)?;
    }
    transfer(&registers, memory.start + FROM as u64, BUFFER, START)?;
    transfer(&registers, BUFFER, memory.start + TO as u64, START | TO_BUS)?;
    for offset in (0..SIZE).step_by(8) {
        let (read, expected) = (memory.read(TO + offset)?, word(round, offset));
        if read != expected {
            bail!("peer-to-peer DMA {round}: {read:#x} arrived {offset} bytes in, not {expected:#x}");
        }
    }
    println!(
        "guest: peer-to-peer DMA {round}: {} copied {SIZE} bytes within BAR {MEMORY_BAR} of {}, seen to land",
        engine.address(),
        peer.address()
    );
    Ok(())
}

/// Different in each round: what an earlier one left is not taken for this one's.
fn word(round: u64, offset: usize) -> u64 {
    barkeep_lab::disk::word(round << 32 | offset as u64)
}

fn transfer(registers: &Bar, source: u64, destination: u64, command: u64) -> anyhow::Result<()> {
    registers.write(SOURCE, source)?;
    registers.write(DESTINATION, destination)?;
    registers.write(COUNT, SIZE as u64)?;
    registers.write(COMMAND, command)?;
    for _ in 0..LOOKS {
        sleep(PAUSE);
        if registers.read(COMMAND)? & START == 0 {
            return Ok(());
        }
    }
    bail!("edu does not end a DMA")
}
