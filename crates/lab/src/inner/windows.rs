//! The two windows of memory shared with the outside: `ivshmem-plain` devices, found by
//! their slots.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// The BAR that is the memory.
const MEMORY: &str = "resource2";
/// Red Hat, inter-VM shared memory.
const IDENTITY: (&str, &str) = ("0x1af4", "0x1110");

/// The file whose mapping is the window's memory.
pub(super) fn path(slot: &str) -> PathBuf {
    device(slot).join(MEMORY)
}

/// Opens a window; gives its size in bytes too.
pub(super) fn open(slot: &str) -> io::Result<(File, usize)> {
    let device = device(slot);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("window at {slot}: {error}"));
    let read = |name: &str| fs::read_to_string(device.join(name)).map_err(named);
    if (read("vendor")?.trim(), read("device")?.trim()) != IDENTITY {
        return Err(named(io::Error::other("another device sits there")));
    }
    // Without a driver nobody has switched its memory decode on.
    fs::write(device.join("enable"), "1").map_err(named)?;
    let file = File::options().read(true).write(true).open(path(slot)).map_err(named)?;
    let size = file.metadata()?.len();
    Ok((file, size as usize))
}

fn device(slot: &str) -> PathBuf {
    PathBuf::from(format!("/sys/bus/pci/devices/0000:00:{slot}"))
}
