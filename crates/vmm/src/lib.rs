//! The microVM on KVM: memory slots, vCPUs, boot, and the link to the probe. It runs any
//! [`barkeep_platform::Board`], whatever its devices are.
//!
//! An access walks: vCPU exit ([`vcpu`]) → the bus of `barkeep-platform` → config space, or a
//! BAR that has no slot at the moment → the driver of `barkeep-export`, which comes back here
//! only for the memory slots ([`slots`]).

pub mod boot;
mod cpuid;
mod gate;
mod injection;
pub mod kvm_vfio;
pub mod machine;
pub mod probe_link;
mod registers;
pub mod routing;
pub mod slots;
pub mod vcpu;

pub use kvm_vfio::KvmVfio;
pub use machine::{Machine, MachineError, Parts, Shell, kvm_is_here};
pub use probe_link::{ProbeError, ProbeLink};
pub use routing::Routing;
pub use slots::Slots;
