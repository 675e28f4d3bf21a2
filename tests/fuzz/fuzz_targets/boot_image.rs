//! A kernel's file, an initrd and a command line: anything. Either the guest can begin inside of its RAM, or
//! it is refused in words.
#![no_main]

use barkeep_boot::{Entry, Guest};
use barkeep_platform::Ram;

/// Bytes of guest memory.
const MEMORY: u64 = 16 << 20;
/// Where a bzImage has its header.
const HEADER: usize = 0x1f1;

/// Enough of a header that what is changed of it is looked at.
fn bzimage(changes: &[(u16, u8)], behind: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(HEADER, &[1]);
    put(0x1fe, &[0x55, 0xaa]);
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &0x10_0000_u32.to_le_bytes());
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x238, &0x7ff_u32.to_le_bytes());
    put(0x258, &0x10_0000_u64.to_le_bytes());
    put(0x260, &0x1000_u32.to_le_bytes());
    change(file, changes, behind)
}

fn change(mut file: Vec<u8>, changes: &[(u16, u8)], behind: &[u8]) -> Vec<u8> {
    for (at, byte) in changes {
        let length = file.len().max(1);
        if let Some(changed) = file.get_mut(usize::from(*at) % length) {
            *changed = *byte;
        }
    }
    file.extend(behind);
    file
}

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<(u16, u8)>, Vec<u8>, Option<Vec<u8>>, String, Option<u16>)| {
    let (sort, changes, behind, initrd, cmdline, vcpus) = input;
    let kernel = match sort % 4 {
        0 => behind,
        1 => bzimage(&changes, &behind),
        // The probe is an ELF with a PVH note.
        _ => change(barkeep_probe::IMAGE.to_vec(), &changes, &behind),
    };
    let acpi = vcpus.map(|vcpus| vcpus % 64 + 1);
    let guest = Guest { kernel, initrd, cmdline, acpi };
    let ram = Ram::new(MEMORY).expect("RAM");
    match guest.load(&ram) {
        Ok(Entry::Pvh { entry: _, start_info: at } | Entry::Linux { entry: _, zero_page: at }) => {
            assert!(u64::from(at) < MEMORY);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
