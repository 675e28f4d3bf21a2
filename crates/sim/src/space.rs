//! The simulated kernel's I/O address space, and what its IOMMU recorded.

use crate::holders;
use crate::host::{Buffer, SPACE, SimHost};
use barkeep_export::{Errno, Fault, FaultSource, Held, Holder, Importer, IoSpace, WindowId};
use barkeep_model::kernel::{Call, ExportId, Memory};
use barkeep_planted::is_planted;
use std::fs::File;
use std::sync::Arc;

/// The I/O address space all devices of a VM share.
pub struct SimSpace(pub Arc<SimHost>);

impl SimHost {
    pub(crate) fn add_buffer(&self, id: WindowId, export: ExportId, size: u64) {
        self.lock().buffers.insert(id, Buffer { export, size });
    }

    pub(crate) fn buffer(&self, id: WindowId) -> Result<Buffer, Errno> {
        self.lock().buffers.get(&id).copied().ok_or(Errno::NOENT)
    }
}

impl Importer for SimSpace {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        let Buffer { mut export, size } = self.0.buffer(window)?;
        if is_planted(barkeep_planted::Fault::BufferOfFirstWindow) {
            export = self.0.buffer(WindowId { window: 0, ..window })?.export;
        }
        self.0
            .call(&Call::MapBuffer { space: SPACE, export, start: 0, length: size, iova: address })
            .map(drop)
    }

    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno> {
        let Buffer { export: _, size } = self.0.buffer(window)?;
        self.0.call(&Call::Unmap { space: SPACE, iova: address, length: size })
    }
}

impl IoSpace for SimSpace {
    fn map_ram(&self, memory: &File, offset: u64, size: u64, iova: u64) -> Result<(), Errno> {
        let own = memory.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        // All of guest memory is one file: the specification knows one as well.
        self.0.lock().ram = Some(own);
        let call = Call::MapMemory { space: SPACE, memory: Memory::Guest, start: offset, length: size, iova };
        self.0.call(&call).map(drop)
    }

    fn remove_buffer(&self, window: WindowId) -> bool {
        let Some(Buffer { export, size: _ }) = self.0.lock().buffers.remove(&window) else {
            return false;
        };
        if !is_planted(barkeep_planted::Fault::BufferLeaked) {
            // Giving up a reference cannot fail.
            let _ = self.0.call(&Call::CloseBuffer { export });
        }
        true
    }

    fn hold_buffer(&self, window: WindowId, by: Holder) -> Result<Held, Errno> {
        holders::hold_buffer(&self.0, self.0.buffer(window)?.export, by)
    }
}

/// The IOMMU's records: every one, none late and none lost.
pub struct SimFaults(pub Arc<SimHost>);

impl FaultSource for SimFaults {
    fn take(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.0.lock().faults)
    }

    fn loses(&self) -> bool {
        false
    }

    fn keeps_our_time(&self) -> bool {
        true
    }
}
