//! Carries the operations of `barkeep-model` out on the running kernel, through its own
//! interface: `/dev/vfio/devices/*`, `/dev/iommu`, sysfs. Nothing here knows what the answers
//! should be.
//!
//! * [`executor`]: the [`barkeep_model::Subject`] that asks, and notices a call that does not
//!   come back.
//! * [`places`]: which devices, by name and address.
//! * [`discover`]: what those devices are, found out by asking and by trying.
//! * [`importer`]: an importer that is driven step by step.
//! * [`parts`]: what one process holds, piece by piece, for programs that are several processes.
//!
//! Below them, one file for each thing a process can hold or do: device files, dma-bufs,
//! mappings of BARs, I/O address spaces, references under way, removals, the DMA engine.

pub mod discover;
pub mod executor;
pub mod importer;
pub mod parts;
pub mod places;

mod abilities;
mod buffer;
mod carry_out;
mod clean;
mod device_file;
mod engine;
mod errors;
mod hands;
mod look;
mod marks;
mod patience;
mod post;
mod presence;
mod registers;
mod spaces;
mod sys;
mod sysfs;

pub use discover::DiscoverError;
pub use errors::of_io as errno_of;
pub use executor::{Broken, Executor, SetupError};
pub use places::{Place, PlacesError};
