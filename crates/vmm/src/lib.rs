//! The microVM: KVM, memory, PCI root, vCPUs, serial port, boot. Generic over the contract
//! of `barkeep-export`: it knows functions and importers, not VFIO.
//!
//! An access walks: vCPU exit ([`vcpu`]) → [`bus`] → config space ([`pci_root`]) or a BAR
//! that has no slot at the moment ([`bus`]) → the driver of `barkeep-export`, which comes
//! back here only for the memory slots ([`slots`]).

pub mod boot;
pub mod bus;
pub mod firmware;
pub mod kvm_vfio;
pub mod machine;
pub mod map;
pub mod memory;
pub mod msix;
pub mod pci_root;
pub mod probe_link;
pub mod slots;
pub mod vcpu;

pub use kvm_vfio::KvmVfio;
pub use machine::{Frame, Parts, Shell};
pub use machine::{Machine, MachineError};
pub use memory::Ram;
pub use probe_link::{ProbeError, ProbeLink};
pub use slots::Slots;
