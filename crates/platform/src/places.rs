//! Where a BAR could be moved to.

use crate::board::Board;
use crate::map::{MMIO32, MMIO64};
use barkeep_export::Function;
use std::ops::Range;

impl Board {
    /// An address for a BAR other than its own: aligned to its size, in the hole it is in, where no
    /// BAR is. `None` if there is no such place, or no such BAR.
    pub fn free_place(&self, device: u16, bar: u8) -> Option<u64> {
        let function = &self.seats.get(usize::from(device))?.function;
        let now = function.bar_address(bar)?;
        let size = function.layout().bars.get(usize::from(bar))?.as_ref()?.size;
        let hole = [MMIO32, MMIO64].into_iter().find(|hole| hole.contains(&now))?;
        let taken: Vec<Range<u64>> = self.seats.iter().flat_map(|seat| bars_of(&*seat.function)).collect();
        free(&hole, size, &taken)
    }
}

fn bars_of(function: &dyn Function) -> Vec<Range<u64>> {
    let bars = function.layout().bars.iter().flatten();
    bars.filter_map(|bar| function.bar_address(bar.index).map(|at| at..at + bar.size)).collect()
}

/// The highest place, far from where firmware puts BARs: whoever still goes to the old address
/// then meets nothing.
fn free(hole: &Range<u64>, size: u64, taken: &[Range<u64>]) -> Option<u64> {
    let mut at = hole.end.checked_sub(size)? & !(size - 1);
    while at >= hole.start {
        let overlaps = taken.iter().find(|bar| bar.start < at + size && at < bar.end);
        match overlaps {
            None => return Some(at),
            Some(bar) => at = bar.start.checked_sub(size)? & !(size - 1),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_aligned_place_that_nothing_overlaps() {
        let hole = 0x1000..0x9000;
        assert_eq!(free(&hole, 0x4000, &[]), Some(0x4000));
        let (low, last) = (0x1000..0x1100, 0x8000..0x9000);
        assert_eq!(free(&hole, 0x1000, &[low, last]), Some(0x7000));
        assert_eq!(free(&hole, 0x1000, &[0x8800..0x8900, 0x7000..0x8000]), Some(0x6000));
        let (middle, last) = (0x4000..0x5000, 0x8000..0x9000);
        assert_eq!(free(&hole, 0x4000, &[middle, last]), None, "below 0x4000 no aligned place begins");
        assert_eq!(free(&hole, 0x10000, &[]), None);
    }
}
