//! Where BARs are: as the guest programmed them, and as firmware would place them.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use thiserror::Error;
use vm_allocator::{AddressAllocator, AllocPolicy};

use crate::header;
use crate::layout::{Bar, BarKind};

/// The first address a 32-bit memory BAR cannot have.
const FOUR_GIB: u64 = 1 << 32;

/// From this size on, bytes, a 64-bit prefetchable BAR is placed in the hole above 4 GiB rather
/// than in the 32-bit one: big BARs there would leave no room for those that cannot go elsewhere.
pub const HIGH_FROM: u64 = 16 << 20;

/// Where a guest has put `bar`: `low` and `high` are its register and, for a 64-bit BAR, the next
/// one; `high` is not looked at otherwise. Flag bits and bits below the size are masked.
///
/// `None` while the BAR has no place: at 0, which no system uses; when its last byte is the last
/// one there is (4 GiB - 1, or 2⁶⁴ - 1), which is what a guest leaves while it sizes the BAR; and
/// for ports beyond 0xffff. A 64-bit BAR in the middle of being sized cannot be told from one just
/// below 4 GiB: look only when memory decode is on.
#[must_use]
pub fn address(bar: &Bar, low: u32, high: u32) -> Option<u64> {
    let (value, last_possible) = match bar.kind {
        BarKind::Io => (u64::from(low & !header::BAR_IO_FLAGS), 0xffff + 1),
        BarKind::Memory32 => (u64::from(low & !header::BAR_MEMORY_FLAGS), FOUR_GIB - 1),
        BarKind::Memory64 => {
            let low = low & !header::BAR_MEMORY_FLAGS;
            (u64::from(high) << 32 | u64::from(low), u64::MAX)
        }
    };
    let size_mask = bar.size.checked_sub(1)?;
    let base = value & !size_mask;
    let last = base.checked_add(size_mask)?;
    (base != 0 && last < last_possible).then_some(base)
}

/// What to write into the registers of `bar` to put it at `address`: the first, and the upper half
/// for a 64-bit BAR. The inverse of [`address`]; flag bits are filled in as they read.
#[must_use]
pub fn registers(bar: &Bar, address: u64) -> (u32, Option<u32>) {
    let prefetchable = if bar.prefetchable { header::BAR_PREFETCHABLE } else { 0 };
    let low = address as u32;
    match bar.kind {
        BarKind::Io => (low & !header::BAR_IO_FLAGS | header::BAR_IO, None),
        BarKind::Memory32 => (low & !header::BAR_MEMORY_FLAGS | prefetchable, None),
        BarKind::Memory64 => {
            let low = low & !header::BAR_MEMORY_FLAGS | header::BAR_TYPE_64 | prefetchable;
            (low, Some((address >> 32) as u32))
        }
    }
}

/// A BAR that wants a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    /// The function as the guest will see it: bus in bits 15:8, device in 7:3, function in 2:0.
    pub function: u16,
    /// The BAR.
    pub bar: Bar,
}

impl fmt::Display for Request {
    /// `BAR 2 of 00:03.0 (Memory64, 0x1000 bytes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { function, bar } = self;
        let (bus, device, number) = (function >> 8, function >> 3 & 0x1f, function & 7);
        write!(f, "BAR {} of {bus:02x}:{device:02x}.{number}", bar.index)?;
        write!(f, " ({:?}, {:#x} bytes)", bar.kind, bar.size)
    }
}

/// Where a BAR goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The function that asked.
    pub function: u16,
    /// The BAR.
    pub bar: Bar,
    /// Its address, a multiple of its size; `None` for an I/O BAR, which gets no place here and
    /// has to stay undecoded.
    pub address: Option<u64>,
}

impl Assignment {
    /// The guest physical addresses the BAR takes.
    #[must_use]
    pub fn range(&self) -> Option<Range<u64>> {
        self.address.map(|address| address..address + self.bar.size)
    }
}

/// Why BARs could not be placed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllocateError {
    /// No hole this BAR may be in has room left.
    #[error("{request} does not fit into the address space")]
    Full {
        /// The BAR that did not fit.
        request: Request,
    },
    /// A BAR has a size that is not a power of two.
    #[error("{request} does not have a size of a power of two")]
    Size {
        /// The BAR.
        request: Request,
    },
    /// The holes overlap, so two BARs could get the same address.
    #[error("the hole at {:#x} and the hole at {:#x} overlap", .hole32.start, .hole64.start)]
    Overlap {
        /// The hole for 32-bit BARs.
        hole32: Range<u64>,
        /// The hole for 64-bit BARs.
        hole64: Range<u64>,
    },
}

/// Places BARs as firmware does: naturally aligned, the biggest first, one assignment per request
/// in the order of the requests, the same every time.
///
/// - 32-bit memory BARs go into `hole32`. What of it is not below 4 GiB is not used, nor its last
///   byte if that is the last below 4 GiB (see [`address()`]).
/// - 64-bit prefetchable BARs of at least [`HIGH_FROM`] go into `hole64`; if it is full or empty,
///   into what the 32-bit ones left of `hole32`. Other 64-bit BARs try them the other way round.
/// - I/O BARs get no place.
///
/// # Errors
///
/// [`AllocateError::Full`] names the first BAR that had no room.
pub fn allocate(
    requests: &[Request],
    hole32: Range<u64>,
    hole64: Range<u64>,
) -> Result<Vec<Assignment>, AllocateError> {
    if !hole32.is_empty() && !hole64.is_empty() && hole32.start < hole64.end && hole64.start < hole32.end {
        return Err(AllocateError::Overlap { hole32, hole64 });
    }
    let mut low = Hole::new(hole32.start..hole32.end.min(FOUR_GIB - 1));
    let mut high = Hole::new(hole64);
    let mut assignments: Vec<Assignment> = requests.iter().map(Assignment::none).collect();
    for index in placing_order(requests) {
        let request = requests[index];
        let bar = request.bar;
        if !bar.size.is_power_of_two() {
            return Err(AllocateError::Size { request });
        }
        let address = match bar.kind {
            BarKind::Io => continue,
            BarKind::Memory32 => low.take(bar.size),
            BarKind::Memory64 if bar.prefetchable && bar.size >= HIGH_FROM => {
                high.take(bar.size).or_else(|| low.take(bar.size))
            }
            BarKind::Memory64 => low.take(bar.size).or_else(|| high.take(bar.size)),
        };
        let address = address.ok_or(AllocateError::Full { request })?;
        assignments[index].address = Some(address);
    }
    Ok(assignments)
}

/// 32-bit BARs before those that can go elsewhere, big before small, else as requested.
fn placing_order(requests: &[Request]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&index| {
        let bar = requests[index].bar;
        (bar.kind == BarKind::Memory64, u64::MAX - bar.size)
    });
    order
}

impl Assignment {
    fn none(request: &Request) -> Assignment {
        Assignment { function: request.function, bar: request.bar, address: None }
    }
}

/// A range of guest physical addresses to place BARs in; `None` if there is nothing in it.
struct Hole(Option<AddressAllocator>);

impl Hole {
    /// Address 0 is left out: a BAR there counts as having no place.
    fn new(range: Range<u64>) -> Hole {
        let start = range.start.max(1);
        let size = range.end.saturating_sub(start);
        Hole(AddressAllocator::new(start, size).ok())
    }

    fn take(&mut self, size: u64) -> Option<u64> {
        let taken = self.0.as_mut()?.allocate(size, size, AllocPolicy::FirstMatch);
        taken.ok().map(|range| range.start())
    }
}
