//! Stand-ins: kernels that are none, an emulator that is none.

use super::bench::Bench;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A file with all that a bzImage's header promises, and nothing in it.
pub fn bzimage() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[0x1f1] = 1;
    // In sixteenths, beside two sectors of set-up code.
    bytes[0x1f4] = ((4096 - 1024) / 16) as u8;
    bytes[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
    bytes
}

/// A kernel that does nothing, for ever: an ELF file with a PVH entry at a jump to itself.
pub fn spinning_kernel() -> Vec<u8> {
    const LOADED_AT: u32 = 0x10_0000;
    const HEADERS: u32 = 64 + 2 * 56;
    const NOTE: u32 = 20;
    let mut file = Vec::new();
    // ELF header: 64 bits, little endian, executable, x86-64, two program headers.
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1u32.to_le_bytes());
    file.extend([u64::from(LOADED_AT), 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 2, 0, 0, 0].map(u16::to_le_bytes).concat());
    let mut program_header = |kind: u32, flags: u32, offset: u32, address: u32, size: u32, align: u32| {
        file.extend([kind, flags].map(u32::to_le_bytes).concat());
        let words = [offset, address, address, size, size, align].map(|word| u64::from(word).to_le_bytes());
        file.extend(words.concat());
    };
    program_header(1, 5, HEADERS + NOTE, LOADED_AT, 2, 1);
    program_header(4, 4, HEADERS, 0, NOTE, 4);
    // XEN_ELFNOTE_PHYS32_ENTRY.
    file.extend([4u32, 4, 18].map(u32::to_le_bytes).concat());
    file.extend(b"Xen\0");
    file.extend(LOADED_AT.to_le_bytes());
    file.extend([0xeb, 0xfe]);
    file
}

/// A program for `BARKEEP_QEMU` that says it is this version of QEMU, and otherwise fails.
pub fn qemu(bench: &Bench, version: &str) -> PathBuf {
    let path = bench.write("qemu", format!("#!/bin/sh\necho 'QEMU emulator version {version}'\nexit 1\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
