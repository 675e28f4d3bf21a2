//! The contract of `barkeep-export` over `/dev/vfio/devices/*` and `/dev/iommu`.
//!
//! * [`space`]: the I/O address space (IOAS) all devices of a VM share, an importer.
//! * [`device`]: one vfio-pci device: config space, regions, exports.
//! * [`faults`]: what the IOMMU refused.
//! * [`inherited`]: a device file that was open before this process was.
//! * `interrupts`: INTx, MSI and MSI-X of a device, by eventfds.
//! * [`signals`]: what the kernel tells of a device by eventfds.
//! * [`holders`]: what else keeps a device file or a dma-buf open.
//! * [`administrator`]: what somebody outside does to devices through sysfs.
//! * `taken`: who has a device that this process cannot have.
//! * [`sysfs`]: where a device is and what it is bound to, before anything is opened.

pub mod administrator;
pub mod device;
pub mod faults;
pub mod holders;
pub mod inherited;
pub mod signals;
pub mod space;
pub mod sysfs;

mod interrupts;
mod sys;
mod taken;

pub use administrator::Sysfs;
pub use device::{Device, DeviceError, KvmHolder};
pub use faults::FaultLog;
pub use inherited::NotInherited;
pub use signals::Signals;
pub use space::{Sharing, Space, SpaceError};
pub use taken::Taken;
