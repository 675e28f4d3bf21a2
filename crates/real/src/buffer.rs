//! A dma-buf.

use crate::errors;
use barkeep_model::Errno;
use rustix::fs::{SeekFrom, seek};
use std::fs::File;

/// Which part of a BAR a dma-buf begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The device's number.
    pub(crate) device: u8,
    pub(crate) bar: u8,
    /// The offset of the first range in it.
    pub(crate) offset: u64,
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
        Ok(Self { origin: self.origin, file })
    }

    /// Bytes: its end, as `lseek` finds it.
    pub(crate) fn size(&self) -> Result<u64, Errno> {
        let end = seek(&self.file, SeekFrom::End(0)).map_err(errors::of_rustix)?;
        // Nobody else reads or writes at the position, but what was done is undone.
        seek(&self.file, SeekFrom::Start(0)).map_err(errors::of_rustix)?;
        Ok(end)
    }
}
