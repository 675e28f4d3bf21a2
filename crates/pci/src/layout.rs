//! What a function's config space says: identity, capabilities, BARs.
//!
//! The image to parse is the one vfio-pci shows (a read of the config region), because that is the
//! one whose writes the kernel interprets: `vfio_cap_init` has taken unknown capabilities off the
//! list, `vfio_bar_fixup` has filled in the BARs' type bits, and on a virtual function
//! `vfio_config_init` has filled in vendor and device.

mod capabilities;
#[cfg(test)]
mod tests;

use std::ops::Range;

use thiserror::Error;

use crate::header;

/// A function, as its config space describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Class code, 24 bits: base class in bits 23:16, sub-class in 15:8, programming interface.
    pub class: u32,
    /// The header type register as it stands, with the multi-function bit. Its layout bits are 0:
    /// vfio-pci refuses everything else (`vfio_pci_core_register_device`, EINVAL).
    pub header_type: u8,
    /// The function has no memory decode bit of its own: a virtual function, or any function on
    /// s390 (the kernel's `no_command_memory`, set in `pci_iov_scan_device` and by
    /// `arch/s390/pci/pci_bus.c`). Config space does not tell; [`Layout::parse`] says false and
    /// the caller sets it, from sysfs `physfn`.
    pub is_virtual_function: bool,
    /// The PCI Express capability.
    pub pcie: Option<PcieCapability>,
    /// The Advanced Features capability.
    pub af: Option<AfCapability>,
    /// The power management capability.
    pub pm: Option<PmCapability>,
    /// The MSI capability.
    pub msi: Option<MsiCapability>,
    /// The MSI-X capability.
    pub msix: Option<MsixCapability>,
    /// The BARs, each at its own index; the slot after a 64-bit BAR is empty.
    pub bars: [Option<Bar>; header::BAR_COUNT],
    /// What was wrong with the image and how far it was believed, in the order it was found.
    pub anomalies: Vec<Anomaly>,
}

/// PCI Express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PcieCapability {
    /// Where the capability begins.
    pub offset: u16,
    /// DEVCAP.FLR: writing the FLR bit of DEVCTL resets the function.
    pub flr: bool,
}

/// Advanced Features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AfCapability {
    /// Where the capability begins.
    pub offset: u16,
    /// Both the FLR and the TP capability, as `vfio_af_config_write` wants them: writing the FLR
    /// bit of AF control resets the function.
    pub flr: bool,
}

/// Power management.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PmCapability {
    /// Where the capability begins.
    pub offset: u16,
    /// Going from D3hot to D0 keeps the function's state. Without it vfio saves and restores the
    /// config space (`vfio_pci_probe_power_state`), but what the device held is gone.
    pub no_soft_reset: bool,
}

/// MSI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MsiCapability {
    /// Where the capability begins.
    pub offset: u16,
    /// The message address has 64 bits, which moves data and mask by 4 bytes.
    pub is_64bit: bool,
    /// Vectors can be masked one by one.
    pub maskable: bool,
    /// How many vectors it has: 1, 2, 4, 8, 16 or 32.
    pub vectors: u16,
}

/// MSI-X.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MsixCapability {
    /// Where the capability begins.
    pub offset: u16,
    /// Where the table is: 16 bytes per vector, 1 to 2048 vectors.
    pub table: Location,
    /// Where the pending bit array is: 8 bytes per 64 vectors or part of them.
    pub pba: Location,
}

/// A range of bytes inside a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// Index of the BAR. 6 and 7 can be encoded and mean no BAR.
    pub bar: u8,
    /// First byte, from the start of the BAR; a multiple of 8.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl Location {
    /// The bytes of the BAR this takes. Ends at `u64::MAX` rather than wrap.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size)
    }
}

/// A base address register that stands for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bar {
    /// 0 to 5; the lower one of the two a 64-bit BAR takes. Also its VFIO region index.
    pub index: u8,
    /// What the BAR decodes.
    pub kind: BarKind,
    /// Memory that may be prefetched; false for I/O.
    pub prefetchable: bool,
    /// Bytes, a power of two: the region size VFIO reports, which is `pci_resource_len`.
    pub size: u64,
}

/// What a BAR decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BarKind {
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere; takes the next register too.
    Memory64,
    /// I/O ports.
    Io,
}

/// Why an image is not one of a function that can be passed through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Not even the standard header.
    #[error("config space has {length} bytes, fewer than the 64 of the header")]
    Short {
        /// Bytes in the image.
        length: usize,
    },
    /// Nothing answers: the vendor is 0xffff, as behind a dead link or in D3cold.
    #[error("no function answers (vendor ID is 0xffff)")]
    Absent,
    /// A bridge. vfio-pci takes header type 0 only.
    #[error("header type {header_type:#04x} is not an endpoint's")]
    HeaderType {
        /// The register.
        header_type: u8,
    },
    /// A BAR with a size no such BAR can have.
    #[error("BAR {index} cannot have {size:#x} bytes")]
    BarSize {
        /// The BAR.
        index: u8,
        /// Bytes, as given by the caller.
        size: u64,
    },
    /// The last BAR says it is a 64-bit one, but there is no register for its upper half, or VFIO
    /// reports a region where the upper half of a 64-bit BAR is.
    #[error("the upper half of 64-bit BAR {index} is missing or a BAR itself")]
    UpperHalf {
        /// The 64-bit BAR.
        index: u8,
    },
}

/// Something odd in an image that was worked around.
///
/// A capability named here may still change the function behind this crate's back: whoever finds
/// one on a device should be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Anomaly {
    /// The capability list comes back to where it has been; the walk ended there.
    #[error("the capability list loops back to {offset:#x}")]
    Loop {
        /// The capability that was to be visited again.
        offset: u16,
    },
    /// The list points into the header or behind the image; the walk ended there.
    #[error("the capability list points to {offset:#x}, where none can be")]
    BadPointer {
        /// The pointer.
        offset: u16,
    },
    /// A pointer had its reserved low bits set; they were masked, as the PCI core does. vfio's
    /// `vfio_cap_init` does not mask them.
    #[error("capability pointer {pointer:#x} is not aligned")]
    Unaligned {
        /// The pointer before masking.
        pointer: u8,
    },
    /// The capability does not fit before offset 0x100 or the end of the image; it was left out.
    #[error("capability {id:#04x} at {offset:#x} is cut off")]
    Truncated {
        /// Capability ID.
        id: u8,
        /// Where it begins.
        offset: u16,
    },
    /// A second capability of a kind that can be there only once; the first one counts. vfio would
    /// interpret writes to both.
    #[error("capability {id:#04x} at {offset:#x} is there already")]
    Duplicate {
        /// Capability ID.
        id: u8,
        /// Where the second one begins.
        offset: u16,
    },
    /// Two capabilities share bytes; both count. In vfio the later one in the list owns the bytes.
    #[error("the capabilities at {first:#x} and {second:#x} overlap")]
    Overlap {
        /// Where the earlier one in the list begins.
        first: u16,
        /// Where the later one in the list begins.
        second: u16,
    },
    /// The MSI-X table or PBA is not inside a memory BAR.
    #[error("MSI-X structure at {offset:#x} of BAR {bar} is outside of any memory BAR")]
    MsixOutside {
        /// BAR index as encoded.
        bar: u8,
        /// Offset in it.
        offset: u64,
    },
}

impl Layout {
    /// Reads a function's layout from an image of its config space.
    ///
    /// `config` is what a read of the VFIO config region gave: 256 or 4096 bytes, at least 64; all
    /// that is needed lies in the first 256. `bar_sizes` are the sizes VFIO's region info gives
    /// for regions 0 to 5, 0 where there is none (an upper half, an unimplemented BAR).
    ///
    /// A damaged capability list costs capabilities and leaves an [`Anomaly`]; it is no error.
    ///
    /// # Errors
    ///
    /// See [`LayoutError`].
    pub fn parse(config: &[u8], bar_sizes: &[u64; header::BAR_COUNT]) -> Result<Layout, LayoutError> {
        let image = Image(config);
        if config.len() < usize::from(header::HEADER_SIZE) {
            return Err(LayoutError::Short { length: config.len() });
        }
        let vendor = image.word(header::VENDOR);
        if vendor == 0xffff {
            return Err(LayoutError::Absent);
        }
        let header_type = image.byte(header::HEADER_TYPE);
        if header_type & header::HEADER_TYPE_LAYOUT != 0 {
            return Err(LayoutError::HeaderType { header_type });
        }
        let mut layout = Layout {
            vendor,
            device: image.word(header::DEVICE),
            class: image.dword(header::REVISION) >> 8,
            header_type,
            is_virtual_function: false,
            pcie: None,
            af: None,
            pm: None,
            msi: None,
            msix: None,
            bars: parse_bars(image, bar_sizes)?,
            anomalies: Vec::new(),
        };
        capabilities::read(image, &mut layout);
        layout.check_msix();
        Ok(layout)
    }

    /// The BAR that register `register` (0 to 5) belongs to: its own, or the 64-bit one before it.
    #[must_use]
    pub fn bar_of_register(&self, register: u8) -> Option<&Bar> {
        let at = |index: u8| self.bars.get(usize::from(index))?.as_ref();
        at(register).or_else(|| at(register.checked_sub(1)?).filter(|below| below.kind == BarKind::Memory64))
    }

    fn check_msix(&mut self) {
        let Some(msix) = self.msix else { return };
        for place in [msix.table, msix.pba] {
            let bar = self.bars.get(usize::from(place.bar)).copied().flatten();
            let inside = bar.is_some_and(|bar| bar.kind != BarKind::Io && place.range().end <= bar.size);
            if !inside {
                self.anomalies.push(Anomaly::MsixOutside { bar: place.bar, offset: place.offset });
            }
        }
    }
}

fn parse_bars(
    image: Image<'_>,
    sizes: &[u64; header::BAR_COUNT],
) -> Result<[Option<Bar>; header::BAR_COUNT], LayoutError> {
    let mut bars = [None; header::BAR_COUNT];
    for (index, register) in (0u8..).zip((header::BAR0..header::BARS_END).step_by(4)) {
        let size = sizes[usize::from(index)];
        if size == 0 {
            continue;
        }
        let bar =
            Bar::decode(index, image.dword(register), size).ok_or(LayoutError::BarSize { index, size })?;
        // A 64-bit BAR takes the next register, so there has to be one and no region of its own.
        if bar.kind == BarKind::Memory64 && sizes.get(usize::from(index) + 1) != Some(&0) {
            return Err(LayoutError::UpperHalf { index });
        }
        bars[usize::from(index)] = Some(bar);
    }
    Ok(bars)
}

impl Bar {
    /// The BAR whose register reads `register`; `None` if such a BAR cannot have `size` bytes.
    /// The two reserved memory types count as 32-bit, as vfio's `vfio_generate_bar_flags` has it.
    fn decode(index: u8, register: u32, size: u64) -> Option<Bar> {
        let io = register & header::BAR_IO != 0;
        let wide = register & header::BAR_TYPE == header::BAR_TYPE_64;
        let (kind, sizes) = match (io, wide) {
            (true, _) => (BarKind::Io, 4..=1 << 31),
            (false, true) => (BarKind::Memory64, 16..=1 << 63),
            (false, false) => (BarKind::Memory32, 16..=1 << 31),
        };
        (size.is_power_of_two() && sizes.contains(&size)).then_some(Bar {
            index,
            kind,
            prefetchable: !io && register & header::BAR_PREFETCHABLE != 0,
            size,
        })
    }
}

/// Config space as bytes; what is behind the end reads as zero, so callers check what matters.
#[derive(Clone, Copy)]
struct Image<'a>(&'a [u8]);

impl Image<'_> {
    fn byte(self, offset: u16) -> u8 {
        self.0.get(usize::from(offset)).copied().unwrap_or(0)
    }

    fn word(self, offset: u16) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset.saturating_add(1))])
    }

    fn dword(self, offset: u16) -> u32 {
        u32::from(self.word(offset)) | u32::from(self.word(offset.saturating_add(2))) << 16
    }
}
