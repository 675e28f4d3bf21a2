//! What a kernel under test has that its release does not say: patches, and a module. Found out by
//! trying it on that kernel, never by its name.

use serde::{Deserialize, Serialize};

/// What was found. The default is a kernel as it is released, without the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abilities {
    /// There is a device that imports, driven step by step (`guest-kernel/importer`).
    pub importer: bool,
    /// vfio-pci's dma-bufs have an mmap handler.
    pub mmap: bool,
    /// That importer can map a dma-buf of several ranges.
    pub ranges: bool,
}
