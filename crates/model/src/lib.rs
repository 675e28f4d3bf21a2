//! What Linux does on the vfio-pci dma-buf export path, as a specification that runs.

pub mod errno;
pub mod hardware;
pub mod kernel;
pub mod op;
pub mod process;
pub mod profile;
pub mod rule;
pub mod semantics;

pub use errno::Errno;
pub use hardware::Hardware;
pub use kernel::Kernel;
pub use op::{Answer, Op, Seen, Source, Subject};
pub use process::{Class, Process};
pub use profile::Profile;
pub use rule::{Rule, RuleSet};
