//! Simulated devices on the specification of vfio-pci's export path.
//!
//! * [`options`]: what `--device sim:…` says; [`parts`]: the machine the specification runs on.
//! * [`host`]: the specified kernel and what the devices hold, behind one lock. Every call goes
//!   through it; time goes on by a [`clock`].
//! * [`device`], [`space`]: the contract of `barkeep-export` over it.
//! * [`administrator`]: what somebody outside does to the devices.
//! * [`second`]: a second process, which imports a window.
//! * [`guest`]: simulated CPUs on one thread, in virtual time.
//! * [`cpu`]: how CPUs reach BARs: real ones through host memory whose pages come and go,
//!   simulated ones by asking.

pub mod administrator;
mod bar_memory;
pub mod clock;
mod config_space;
pub mod cpu;
pub mod device;
mod dma;
mod engine;
pub mod guest;
mod holders;
pub mod host;
mod interrupts;
pub mod operations;
pub mod options;
pub mod parts;
mod planted;
pub mod punctual;
pub mod second;
pub mod space;
mod view;

pub use administrator::SimAdministrator;
pub use clock::{Clock, HostClock};
pub use cpu::Reach;
pub use device::SimDevice;
pub use host::{PROFILE, SimError, SimHost};
pub use operations::Operations;
pub use options::{Kind, OptionError, SimOption};
pub use parts::Named;
pub use punctual::Punctual;
pub use second::SimSeconds;
pub use space::{SimFaults, SimSpace};
