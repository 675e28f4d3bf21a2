//! The walk along the capability list.

use super::{
    AfCapability, Anomaly, Image, Layout, Location, MsiCapability, MsixCapability, PcieCapability,
    PmCapability,
};
use crate::header;

/// Walks the list and fills in the capabilities of `layout`.
///
/// Ends at a null pointer, at one that leaves the image, and at the first capability seen before,
/// so after at most 48 steps. Like vfio's `vfio_cap_init` and unlike the PCI core it does not stop
/// at ID 0xff: what is found behind it is a capability whose writes vfio interprets.
pub(super) fn read(image: Image<'_>, layout: &mut Layout) {
    if image.word(header::STATUS) & header::STATUS_CAPABILITIES == 0 {
        return;
    }
    let end = usize::from(header::CONFIG_SIZE).min(image.0.len());
    let mut found: Vec<(u16, u16)> = Vec::new();
    let mut pointer = image.byte(header::CAPABILITIES_POINTER);
    loop {
        let offset = u16::from(pointer & header::CAPABILITY_POINTER_MASK);
        if offset == 0 {
            return;
        }
        if u16::from(pointer) != offset {
            layout.anomalies.push(Anomaly::Unaligned { pointer });
        }
        if offset < header::HEADER_SIZE || usize::from(offset) + 2 > end {
            layout.anomalies.push(Anomaly::BadPointer { offset });
            return;
        }
        if found.iter().any(|&(seen, _)| seen == offset) {
            layout.anomalies.push(Anomaly::Loop { offset });
            return;
        }
        let size = visit(image, layout, offset, end);
        if let Some(&(first, _)) =
            found.iter().find(|&&(other, length)| offset < other + length && other < offset + size)
        {
            let second = offset;
            layout.anomalies.push(Anomaly::Overlap { first, second });
        }
        found.push((offset, size));
        pointer = image.byte(offset + header::CAPABILITY_NEXT);
    }
}

/// Takes note of the capability at `offset` and gives its size; 2 for one that is of no interest.
fn visit(image: Image<'_>, layout: &mut Layout, offset: u16, end: usize) -> u16 {
    const ONLY_LINK: u16 = 2;
    let id = image.byte(offset);
    let size = match id {
        header::CAPABILITY_PM => header::PM_SIZE,
        header::CAPABILITY_MSI => msi_size(image.word(offset + header::MSI_CONTROL)),
        header::CAPABILITY_MSIX => header::MSIX_SIZE,
        header::CAPABILITY_PCIE => header::PCIE_SIZE,
        header::CAPABILITY_AF => header::AF_SIZE,
        _ => return ONLY_LINK,
    };
    if usize::from(offset + size) > end {
        layout.anomalies.push(Anomaly::Truncated { id, offset });
        return ONLY_LINK;
    }
    let new = match id {
        header::CAPABILITY_PM => put(&mut layout.pm, pm(image, offset)),
        header::CAPABILITY_MSI => put(&mut layout.msi, msi(image, offset)),
        header::CAPABILITY_MSIX => put(&mut layout.msix, msix(image, offset)),
        header::CAPABILITY_PCIE => put(&mut layout.pcie, pcie(image, offset)),
        _ => put(&mut layout.af, af(image, offset)),
    };
    if !new {
        layout.anomalies.push(Anomaly::Duplicate { id, offset });
    }
    size
}

fn put<T>(slot: &mut Option<T>, value: T) -> bool {
    let new = slot.is_none();
    slot.get_or_insert(value);
    new
}

fn pm(image: Image<'_>, offset: u16) -> PmCapability {
    let pmcsr = image.word(offset + header::PM_PMCSR);
    PmCapability { offset, no_soft_reset: pmcsr & header::PM_PMCSR_NO_SOFT_RESET != 0 }
}

fn pcie(image: Image<'_>, offset: u16) -> PcieCapability {
    let devcap = image.dword(offset + header::PCIE_DEVCAP);
    PcieCapability { offset, flr: devcap & header::PCIE_DEVCAP_FLR != 0 }
}

fn af(image: Image<'_>, offset: u16) -> AfCapability {
    let both = header::AF_CAP_FLR | header::AF_CAP_TP;
    AfCapability { offset, flr: image.byte(offset + header::AF_CAP) & both == both }
}

/// Size as vfio's `vfio_msi_cap_len` reckons it: 10 bytes, 4 more with a 64-bit address, 10 more
/// with masks.
fn msi_size(control: u16) -> u16 {
    let wide = u16::from(control & header::MSI_CONTROL_64BIT != 0);
    let masks = u16::from(control & header::MSI_CONTROL_MASKABLE != 0);
    10 + 4 * wide + 10 * masks
}

fn msi(image: Image<'_>, offset: u16) -> MsiCapability {
    let control = image.word(offset + header::MSI_CONTROL);
    MsiCapability {
        offset,
        is_64bit: control & header::MSI_CONTROL_64BIT != 0,
        maskable: control & header::MSI_CONTROL_MASKABLE != 0,
        // 6 and 7 are reserved.
        vectors: 1 << ((control & header::MSI_CONTROL_MOST) >> header::MSI_CONTROL_MOST_SHIFT).min(5),
    }
}

fn msix(image: Image<'_>, offset: u16) -> MsixCapability {
    let control = image.word(offset + header::MSIX_CONTROL);
    let vectors = u64::from(control & header::MSIX_CONTROL_COUNT) + 1;
    let place = |register: u16, size: u64| {
        let value = image.dword(offset + register);
        Location { bar: (value & header::MSIX_BAR) as u8, offset: u64::from(value & !header::MSIX_BAR), size }
    };
    MsixCapability {
        offset,
        table: place(header::MSIX_TABLE, vectors * header::MSIX_ENTRY_SIZE),
        pba: place(header::MSIX_PBA, vectors.div_ceil(64) * 8),
    }
}
