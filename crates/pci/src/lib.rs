//! PCI configuration space as pure functions.
//!
//! Nothing here does I/O or needs a device: bytes go in, facts come out. The crate
//! answers six questions about a function that is passed through with vfio-pci:
//!
//! | module | question |
//! |---|---|
//! | [`layout`] | Which capabilities and BARs does it have, and where? |
//! | [`windows`] | Which parts of a BAR may be exported to a guest or a peer? |
//! | [`write`](mod@write) | What does vfio-pci do on this config write: revoke, restore, reset? |
//! | [`bars`] | Where did the guest put a BAR, and where would firmware put them all? |
//! | [`emulated`] | What does a guest see at 00:00.0, where no device is passed through? |
//! | [`msi`], [`msix`] | What has the guest written to the interrupt registers that vfio-pci does not take? |
//!
//! The authority for what a write does is the kernel, not the PCI specification:
//! `drivers/vfio/pci/vfio_pci_config.c`, read at Linux 7.3.4. The doc comments name the function
//! that decides. Everything is little-endian, offsets are bytes from the start of config space,
//! addresses and sizes are bytes.
//!
//! ```
//! use barkeep_pci::layout::Layout;
//! use barkeep_pci::write::{ConfigWrite, Effect, Registers};
//!
//! // An image as read from the vfio-pci config region, and the sizes from its region info.
//! let mut image = [0u8; 256];
//! image[0x00..0x04].copy_from_slice(&[0x86, 0x80, 0xca, 0x10]);
//! let layout = Layout::parse(&image, &[0x4000, 0, 0, 0, 0, 0])?;
//!
//! // The guest turns memory decode off with a two-byte write of COMMAND.
//! let before = Registers { command: 0x0006, ..Registers::default() };
//! let effects = layout.classify(&before, &ConfigWrite::word(0x04, 0x0004));
//! assert!(effects.contains(Effect::DecodeOff) && effects.revokes() && !effects.may_restore());
//! # Ok::<(), barkeep_pci::layout::LayoutError>(())
//! ```

pub mod bars;
pub mod emulated;
pub mod header;
pub mod layout;
pub mod msi;
pub mod msix;
pub mod windows;
pub mod write;

pub use layout::{Bar, BarKind, Layout};

#[cfg(test)]
mod image;
#[cfg(test)]
mod properties;
