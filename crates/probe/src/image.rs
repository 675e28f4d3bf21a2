// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The probe's image, and how to boot it.
//!
//! An ELF file with a PVH note: load its one segment at 1 MiB (what the file does not hold need
//! not be zeroed; it ends below 2 MiB), enter at the note's address in 32-bit protected mode with
//! `ebx` at an `hvm_start_info`, whose `cmdline_paddr` gives the command line. That structure and
//! the line must lie outside the image, outside the page at [`TRAMPOLINE`] (with more than one
//! vCPU) and, until the first doorbell, outside the mailboxes in use. The machine needs a local
//! APIC per vCPU at `0xFEE00000`, its ID being the vCPU's number.
//!
//! # Command line, alone
//! Without `served` the probe scans PCI by ports CF8/CFC and works by itself:
//!
//! | word | meaning | default |
//! |---|---|---|
//! | `target=BB:DD.F` | the function whose BAR is used | the one with the largest prefetchable BAR, edu left out |
//! | `bar=N` | with `target=`: which BAR | its largest, prefetchable ones first |
//! | `offset=` `length=` | the bytes of the BAR that are used; at most 4096 | 0, 256 |
//! | `steps=a,b` | of `cpu`, `p2p`, `flr`, `decode`, in any order | all (`flr` only if there is one) |
//! | `absent=` | the `u32` read where nobody decodes | all ones; QEMU itself answers 0 |
//! | `mmio32=` | where BARs go that firmware left at 0 | `0xE0000000` |
//! | `mmio64=` | where 64-bit ones go, if elsewhere | |
//! | `apic_hz=` | the local APIC's timer, ticks per second | measured by PIT or PM timer, else 1 GHz |
//! | `pm_timer=` | the ACPI PM timer's port | `0x608` |
//! | `cpus=N` | start other CPUs, too | 1 |
//! | `poweroff_port=` `poweroff_value=` | ACPI's PM1a control port and what to write | none, `0x2000` |
//! | `debug_exit=` | QEMU's isa-debug-exit port; QEMU exits with 1 (pass) or 3 (fail) | none |
//! | `plant=no-bus-master` | makes P2P fail, to see that it can | |
//!
//! Its last line on the serial port at `0x3F8` is `probe: verdict pass` or
//! `probe: verdict fail: <why>`.

use std::fmt;

/// The ELF file.
pub static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe.elf"));

/// The page in which other vCPUs wake up; used while the first one boots.
pub const TRAMPOLINE: u64 = 0x7000;

/// The ticks per second of the local APIC timer that KVM and QEMU emulate.
pub const DEFAULT_APIC_HZ: u64 = 1_000_000_000;

/// What a served probe must be told; its `Display` is the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedOptions {
    /// vCPUs to start, the first one included; at most [`crate::mailbox::MAX_CPUS`].
    pub cpus: usize,
    /// Ticks per second of the local APIC timer.
    pub apic_hz: u64,
}

impl Default for ServedOptions {
    fn default() -> Self {
        Self { cpus: 1, apic_hz: DEFAULT_APIC_HZ }
    }
}

impl fmt::Display for ServedOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "served cpus={} apic_hz={}", self.cpus, self.apic_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::{IMAGE, ServedOptions};

    #[test]
    fn the_image_is_a_small_elf_file() {
        assert_eq!(&IMAGE[..4], b"\x7fELF");
        assert!(IMAGE.len() < 32 * 1024, "{} bytes", IMAGE.len());
    }

    #[test]
    fn the_command_line_of_a_served_probe() {
        let line = ServedOptions { cpus: 2, ..Default::default() }.to_string();
        assert_eq!(line, "served cpus=2 apic_hz=1000000000");
    }
}
