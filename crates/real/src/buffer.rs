//! A dma-buf.

use crate::errors;
use barkeep_model::Errno;
use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::sync::Arc;

/// Which parts of a BAR a dma-buf is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The device's number.
    pub(crate) device: u8,
    pub(crate) bar: u8,
    /// Offset and bytes of each, end to end.
    pub(crate) ranges: Arc<[(u64, u64)]>,
}

impl Origin {
    /// Where in the BAR an offset of the dma-buf lies.
    pub(crate) fn in_bar(&self, mut into: u64) -> Option<u64> {
        for &(offset, length) in &*self.ranges {
            if into < length {
                return offset.checked_add(into);
            }
            into -= length;
        }
        None
    }
}

/// One that vfio-pci exported.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) origin: Origin,
    file: File,
}

impl Buffer {
    pub(crate) fn new(origin: Origin, file: File) -> Self {
        Self { origin, file }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn duplicate(&self) -> Result<Self, Errno> {
        let file = self.file.try_clone().map_err(|e| errors::of_io(&e))?;
        Ok(Self { origin: self.origin.clone(), file })
    }

    /// Bytes: its end, as `lseek` finds it.
    pub(crate) fn size(&self) -> Result<u64, Errno> {
        let end = seek(&self.file, SeekFrom::End(0)).map_err(errors::of_rustix)?;
        // Nobody else reads or writes at the position, but what was done is undone.
        seek(&self.file, SeekFrom::Start(0)).map_err(errors::of_rustix)?;
        Ok(end)
    }
}
