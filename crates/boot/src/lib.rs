//! A guest into guest memory: its kernel, its initrd, what a firmware would have told it. Nothing here
//! knows of KVM: what comes out is bytes in RAM and where a CPU begins.
//!
//! * [`guest`]: what is booted, and where each part of it goes.
//! * [`image`]: an ELF with a PVH entry, or a bzImage, taken apart.
//! * [`start_info`] and [`zero_page`]: what either is told of the machine.
//! * [`memory_map`]: which addresses are RAM, and which are not.
//! * [`acpi`]: the tables; without a BIOS, and with no hardware of ACPI's own but a port for power.

pub mod acpi;
pub mod guest;
pub mod image;
pub mod memory_map;
mod start_info;
mod zero_page;

pub use guest::{BootError, Entry, Guest};
