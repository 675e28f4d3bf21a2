//! The contract of `barkeep-export` over `/dev/vfio/devices/*` and `/dev/iommu`.
//!
//! * [`space`]: the I/O address space (IOAS) all devices of a VM share, an importer.
//! * [`device`]: one vfio-pci device: config space, regions, exports.
//! * [`faults`]: what the IOMMU refused.
//! * [`sysfs`]: where a device is and what it is bound to, before anything is opened.

pub mod device;
pub mod faults;
pub mod space;
pub mod sysfs;

mod sys;

pub use device::{Device, DeviceError};
pub use faults::FaultLog;
pub use space::{Space, SpaceError};
