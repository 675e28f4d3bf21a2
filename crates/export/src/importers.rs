//! An importing device beside the VM, with a driver of its own: it has a window of one of the VM's devices
//! attached and mapped by the DMA API, and is told by the exporter itself when that is revoked.

use crate::contract::{Errno, WindowId};
use barkeep_journal::DeviceAddress;
use std::sync::Arc;
use std::time::Duration;

/// Has importing devices attach.
pub trait Importers: Send + Sync {
    /// Has `engine`, a device of the test importer's, attach to the window's dma-buf as a peer that can be told
    /// to let go. Told so, it unmaps `hold` later, 60 s at the most; until then the revoke waits.
    ///
    /// # Errors
    /// ENOENT where the window has no dma-buf (any more); ENODEV if the device is not the importer's, or the
    /// window is revoked; EBUSY if somebody else has it; EINVAL for a hold too long, or a device that is no
    /// engine.
    fn attach(
        &self,
        window: WindowId,
        engine: DeviceAddress,
        hold: Duration,
    ) -> Result<Arc<dyn DrivenImporter>, Errno>;
}

/// An importing device that is attached. Dropping it detaches it.
pub trait DrivenImporter: Send + Sync {
    /// Maps all of the window; gives what the device puts on the bus for its first byte.
    ///
    /// # Errors
    /// ENODEV while revoked; EEXIST where it is mapped; EINVAL where the two cannot be peers.
    fn map(&self) -> Result<u64, Errno>;

    /// Uses the window as an RDMA memory region is used: maps it if it is not mapped, or not any more. Gives
    /// what [`Self::map`] gives.
    ///
    /// # Errors
    /// Those of [`Self::map`], but for EEXIST.
    fn fault_in(&self) -> Result<u64, Errno>;

    /// Unmaps it.
    ///
    /// # Errors
    /// ENOLINK if it is not mapped.
    fn unmap(&self) -> Result<(), Errno>;

    /// Pins it.
    ///
    /// # Errors
    /// EALREADY if it is; whatever the exporter says.
    fn pin(&self) -> Result<(), Errno>;

    /// Unpins it.
    ///
    /// # Errors
    /// ENOLINK if it is not pinned.
    fn unpin(&self) -> Result<(), Errno>;

    /// What has happened to it since the last call, oldest first. It waits for a revoke that waits for this
    /// importer.
    ///
    /// # Errors
    /// ESTALE if there was more than is kept: all of that is lost, and the next call gives what comes after.
    fn happened(&self) -> Result<Vec<Happened>, Errno>;

    /// Has the device write `word` to an address that it was given, and does not wait for it.
    ///
    /// # Errors
    /// EBUSY if it still writes; EIO where it does not answer.
    fn dma_start(&self, address: u64, word: u32) -> Result<(), Errno>;

    /// Waits until it has.
    ///
    /// # Errors
    /// EIO where it does not answer.
    fn dma_finish(&self) -> Result<(), Errno>;
}

/// Something that happened to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, nanoseconds of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// What.
    pub what: Happening,
}

/// What can happen to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was told that access goes, or is about to be back.
    Told,
    /// It gave its mapping up because of that.
    LetGo,
    /// It was told, and has kept its mapping for now.
    Held,
    /// Somebody tried to map it.
    Mapped(Result<(), Errno>),
    /// It was unmapped of its own accord.
    Unmapped,
}

impl Happening {
    /// Its name in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::LetGo => "let-go",
            Self::Held => "held",
            Self::Mapped(_) => "mapped",
            Self::Unmapped => "unmapped",
        }
    }
}
