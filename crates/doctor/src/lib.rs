//! What this machine can do for passing devices through, and how a device comes to vfio-pci and
//! exactly back.
//!
//! Everything is read below [`Roots`], so that the same code looks at a running machine and at a
//! tree a test has made. [`examine`] reads and changes nothing; what can be known only of an open
//! device it asks a [`Probe`] for. [`bind`] writes to sysfs, in steps that can be printed instead.
//!
//! | module | what it knows |
//! |---|---|
//! | [`roots`] | where sysfs, procfs and devices are, and how they are read |
//! | [`function`] | one PCI function: driver, group, resets, BARs and their windows |
//! | [`machine`] | KVM, IOMMU, VFIO, iommufd, limits |
//! | [`route`] | the bridges between two functions |
//! | [`peers`] | which device's DMA can come to which device's BARs |
//! | [`report`] | all of it together, as text and for `--json` |
//! | [`bind`] | to vfio-pci and back |

pub mod bind;
pub mod function;
pub mod machine;
pub mod peers;
pub mod report;
pub mod roots;
pub mod route;
pub mod row;
#[cfg(test)]
mod tree;

pub use function::Function;
pub use report::{NoProbe, Probe, Probed, Report, examine};
pub use roots::Roots;
pub use row::{Row, State};
