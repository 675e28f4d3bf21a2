//! What Linux does on the vfio-pci dma-buf export path, as a specification that runs.

pub mod errno;
pub mod hardware;
pub mod op;

pub use errno::Errno;
pub use hardware::Hardware;
pub use op::{Answer, Op, Seen, Source, Subject};
