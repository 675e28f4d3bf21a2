//! What the machine has, whatever devices it has.

mod kernel;
mod kvm;
mod limits;
mod vfio;

use crate::roots::Roots;
use crate::row::Row;

pub use kernel::{Built, option};
pub(crate) use limits::Bytes;

/// What the machine is to do.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Guest memory, bytes.
    pub memory: u64,
}

/// The rows of the machine, but for the export of dma-bufs, which only an open device tells for sure.
#[must_use]
pub fn rows(roots: &Roots, wanted: Wanted) -> Vec<Row> {
    vec![
        kvm::row(roots),
        vfio::iommu(roots),
        vfio::driver(roots),
        vfio::devices(roots),
        vfio::iommufd(roots),
        limits::memory_lock(roots, wanted.memory),
        limits::huge_pages(roots),
    ]
}

/// Whether this kernel exports BARs, as far as its configuration tells.
#[must_use]
pub fn dma_buf_by_configuration(roots: &Roots) -> Row {
    kernel::dma_buf(roots)
}
