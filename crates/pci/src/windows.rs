//! Which parts of a BAR may be given away.
//!
//! vfio-pci exports any page of a memory BAR, also one that holds the MSI-X table
//! (`vfio_pci_core_feature_dma_buf` does not look). A guest or a peer that can write the table can
//! have the device write to any interrupt address, so those pages stay with the VMM.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::layout::{Bar, BarKind, Location, MsixCapability};

/// A part of a BAR that may be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Index of the BAR, which is its VFIO region index.
    pub bar: u8,
    /// First byte, from the start of the BAR; a multiple of the page size.
    pub offset: u64,
    /// Bytes; a multiple of the page size, not zero.
    pub size: u64,
}

impl Window {
    /// The bytes of the BAR this takes.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }
}

/// A part of a BAR that may not be exported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Excluded {
    /// The bytes of the BAR that stay with the VMM.
    pub range: Range<u64>,
    /// Why.
    pub reason: Reason,
}

/// Why a part of a BAR may not be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The page holds part of the MSI-X table.
    MsixTable,
    /// The page holds part of the MSI-X pending bit array.
    MsixPba,
    /// The page holds parts of both.
    MsixTableAndPba,
    /// An I/O BAR cannot be exported (EINVAL).
    Io,
    /// The BAR has less than a page: mapping it would give away its neighbours.
    SmallerThanPage,
    /// What is left after the last whole page; a sound BAR has no such rest.
    PartialPage,
    /// The page size asked for is no power of two.
    PageSize,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::MsixTable => "holds the MSI-X table",
            Reason::MsixPba => "holds the MSI-X pending bit array",
            Reason::MsixTableAndPba => "holds the MSI-X table and pending bit array",
            Reason::Io => "is I/O space",
            Reason::SmallerThanPage => "is smaller than a page",
            Reason::PartialPage => "is not a whole page",
            Reason::PageSize => "the page size is not a power of two",
        })
    }
}

/// A BAR, taken apart: windows and exclusions together are all of it, each in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Exportable {
    /// What may be exported. iommufd takes dma-bufs of one range only, so each window is one.
    pub windows: Vec<Window>,
    /// What may not, and why.
    pub excluded: Vec<Excluded>,
}

/// Takes `bar` apart into page-aligned windows that may be given to guests and peers, and the rest.
///
/// `page` is the host's page size, bytes: dma-buf ranges and memory slots are made of host pages.
/// Everything may go but pages that hold the MSI-X table or the pending bit array; an I/O BAR and
/// one smaller than a page give no window at all.
#[must_use]
pub fn exportable(bar: &Bar, msix: Option<&MsixCapability>, page: u64) -> Exportable {
    if let Some(reason) = unfit(bar, page) {
        return Exportable { windows: Vec::new(), excluded: vec![Excluded { range: 0..bar.size, reason }] };
    }
    let whole = bar.size / page * page;
    let pages_of = |place: Option<Location>| pages(place, bar.index, whole, page);
    let table = pages_of(msix.map(|msix| msix.table));
    let pba = pages_of(msix.map(|msix| msix.pba));

    // Between two neighbouring edges every page has the same answer.
    let mut edges = [0, table.start, table.end, pba.start, pba.end, whole];
    edges.sort_unstable();
    let mut parts = Exportable::default();
    for edge in edges.windows(2) {
        let reason = match (table.contains(&edge[0]), pba.contains(&edge[0])) {
            (false, false) => None,
            (true, false) => Some(Reason::MsixTable),
            (false, true) => Some(Reason::MsixPba),
            (true, true) => Some(Reason::MsixTableAndPba),
        };
        parts.add(bar.index, edge[0]..edge[1], reason);
    }
    parts.add(bar.index, whole..bar.size, Some(Reason::PartialPage));
    parts
}

impl Exportable {
    fn add(&mut self, bar: u8, range: Range<u64>, reason: Option<Reason>) {
        if range.is_empty() {
            return;
        }
        match reason {
            Some(reason) => self.excluded.push(Excluded { range, reason }),
            None => self.windows.push(Window { bar, offset: range.start, size: range.end - range.start }),
        }
    }
}

/// Why nothing of the BAR may be exported, if so.
fn unfit(bar: &Bar, page: u64) -> Option<Reason> {
    if !page.is_power_of_two() {
        Some(Reason::PageSize)
    } else if bar.kind == BarKind::Io {
        Some(Reason::Io)
    } else if bar.size < page {
        Some(Reason::SmallerThanPage)
    } else {
        None
    }
}

/// The pages of BAR `index` that `place` touches, cut at `whole`; empty if none.
fn pages(place: Option<Location>, index: u8, whole: u64, page: u64) -> Range<u64> {
    let Some(place) = place.filter(|place| place.bar == index && place.size > 0) else {
        return 0..0;
    };
    let Range { start, end } = place.range();
    // `whole` is a multiple of the page, so cutting first keeps rounding up from overflowing.
    let end = end.min(whole).next_multiple_of(page);
    (start / page * page).min(end)..end
}
