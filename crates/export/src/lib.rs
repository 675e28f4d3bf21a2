//! One contract with two sides, and the keeper between them.
//!
//! * [`contract`]: a device whose BARs are exported ([`Exporter`]), and address spaces that
//!   import them ([`Importer`]): guest memory slots, an I/O address space ([`IoSpace`]).
//! * [`passthrough`]: any [`RawDevice`] as an exporter, with the registers the kernel goes by.
//! * [`shadow`]: what those registers are, and what a write to them means, without I/O.
//! * [`claims`]: which BAR has a place that the guest gave to several.
//! * [`keeper`]: a state machine that knows every mapping of a device's exported windows.
//!   An event goes in, the next step comes out, the step's result goes in. It knows nothing
//!   of KVM or VFIO.
//! * [`driver`]: journals the start of each step, performs it, journals its end.
//! * [`administrator`]: what somebody outside of the VM does to the devices.
//! * [`second`]: a second process that imports a window.
//! * [`importers`]: an importing device with a driver of its own.
//! * [`outage`]: for each window, whether the CPU can reach it at this moment.

pub mod administrator;
pub mod claims;
pub mod contract;
pub mod driver;
pub mod importers;
pub mod keeper;
pub mod outage;
pub mod passthrough;
pub mod second;
pub mod shadow;

pub use administrator::{Administrator, PcieError};
pub use claims::Claims;
pub use contract::{
    Backing, Cause, Errno, Exporter, Fault, FaultSource, Found, Function, Held, Holder, Importer, IoSpace,
    LowPower, Passage, RawDevice, VectorCount, Window, WindowId, result_number,
};
pub use driver::{Answer, Driver, Parties};
pub use importers::{DrivenImporter, Happened, Happening, Importers};
pub use keeper::{Keeper, Mapping, Slot, Step, StepResult};
pub use outage::{OutageWord, Phase};
pub use passthrough::Passthrough;
pub use second::{Imported, Importing, SECOND_IOVA, SecondEnd, SecondProcess, Seconds};
pub use shadow::Shadow;
