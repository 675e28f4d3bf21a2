//! Writes zeros where runs aim: a pattern that one run left would be taken for the next one's.

use super::function::Function;
use crate::topology::Target;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

const PAGE: u64 = 4096;
const COMMAND: u64 = 4;
const COMMAND_MEMORY: u8 = 1 << 1;

/// Clears what a peer can write to; anything else was the guest's alone, and its first open
/// resets that. Nobody may have the device file open.
pub(super) fn clear(function: &Function, target: Target) -> io::Result<()> {
    let Target { bar, offset, size, peers } = target;
    if !peers {
        return Ok(());
    }
    // While nobody uses it the driver may have it in D3hot, and its memory decode off.
    function.keep_awake(true)?;
    let done = with_decode(function, || zero(&function.open(&format!("resource{bar}"))?, offset, size));
    function.keep_awake(false)?;
    done
}

fn with_decode(function: &Function, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let config = function.open("config")?;
    let mut command = [0; 2];
    config.read_exact_at(&mut command, COMMAND)?;
    // Written also where the bit is set, or is none: a virtual function of QEMU's does not
    // answer after a reset of its physical one until somebody writes here.
    config.write_all_at(&[command[0] | COMMAND_MEMORY, command[1]], COMMAND)?;
    let done = work();
    config.write_all_at(&command, COMMAND)?;
    done
}

fn zero(bar: &File, offset: u64, size: u64) -> io::Result<()> {
    let there = bar.metadata()?.len();
    if offset + size > there {
        return Err(io::Error::other(format!("the BAR has {there:#x} bytes")));
    }
    let start = offset / PAGE * PAGE;
    let length = (offset + size).next_multiple_of(PAGE) - start;
    let pages = MmapRegion::<()>::from_file(FileOffset::new(bar.try_clone()?, start), length as usize);
    let pages = pages.map_err(io::Error::other)?;
    let words = (offset - start)..(offset - start + size);
    // Registers take whole words.
    for at in words.step_by(4) {
        pages.as_volatile_slice().store(0u32, at as usize, Ordering::Relaxed).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_target_becomes_zero_and_nothing_beside_it() {
        let bar = tempfile::tempfile().unwrap();
        for (offset, size) in [(0x28, 8), (0x1800, 64), (0xff0, 0x20), (0x3000, 0x1000)] {
            bar.write_all_at(&[0xa5; 0x4000], 0).unwrap();
            zero(&bar, offset, size).unwrap();
            let mut bytes = [0; 0x4000];
            bar.read_exact_at(&mut bytes, 0).unwrap();
            let zeros = offset as usize..(offset + size) as usize;
            for (at, byte) in bytes.into_iter().enumerate() {
                assert_eq!(byte == 0, zeros.contains(&at), "{offset:#x}+{size:#x} at {at:#x}");
            }
        }
        assert!(zero(&bar, 0x3ff0, 0x20).is_err(), "beyond the BAR");
    }
}
