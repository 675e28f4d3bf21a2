//! The machine without its CPUs: where things are, RAM, the PCI root, what is behind a vCPU's
//! exits, firmware, and the devices of a VM. It knows nothing of KVM or VFIO: real vCPUs
//! (`barkeep-vmm`) and simulated ones (`barkeep-sim`) stand on it alike.
//!
//! * [`board`]: a VM's RAM, devices and driver, joined; what the bus and a scenario act on.
//! * [`bus`]: where an access goes that meets no memory; [`pci_root`], [`interrupts`], [`console`] and [`power`]
//!   behind it.
//! * [`faults`]: the IOMMU's fault records, followed; [`outsiders`]: others who hold a device's
//!   file, and the kernel that wants it back.
//! * [`efault`]: what a vCPU does when the memory behind a slot is not there.
//! * [`firmware`]: places the BARs and turns the devices on, also when the guest reboots.
//! * [`map`] and [`memory`]: addresses, and RAM.

pub mod board;
pub mod bus;
pub mod console;
pub mod efault;
pub mod faults;
pub mod firmware;
mod importer;
pub mod interrupts;
pub mod map;
pub mod memory;
pub mod outsiders;
pub mod pci_root;
mod places;
pub mod power;
mod reboot;
pub mod second;

pub use board::{Board, BoardError, BoardParts};
pub use bus::{Bus, Doorbell, Flow};
pub use memory::{Pages, Ram};
pub use outsiders::{Holding, OnRequest};
