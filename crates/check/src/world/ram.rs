//! Guest RAM in the I/O address space.

/// Ranges that are kept apart.
pub(crate) const RANGES: usize = 1024;

/// Ranges of IOVA, none inside another. What is mapped is given up as a whole, without an event,
/// and may be mapped again: the same ranges then, which are kept once.
#[derive(Default)]
pub(crate) struct Ram(Vec<(u64, u64)>);

impl Ram {
    /// A range was mapped. False if there is no room for it.
    pub fn map(&mut self, address: u64, size: u64) -> bool {
        let end = address.saturating_add(size);
        let inside = |&(start, size): &(u64, u64)| start <= address && end <= start.saturating_add(size);
        if self.0.iter().any(inside) {
            return true;
        }
        self.0.retain(|&(start, size)| start < address || end < start.saturating_add(size));
        if self.0.len() == RANGES {
            return false;
        }
        self.0.push((address, size));
        true
    }

    /// Whether RAM was mapped anywhere in a range.
    pub fn overlaps(&self, address: u64, size: u64) -> bool {
        let end = address.saturating_add(size);
        self.0.iter().any(|&(start, size)| start < end && address < start.saturating_add(size))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_again_is_kept_once() {
        let mut ram = Ram::default();
        for _ in 0..3 {
            assert!(ram.map(0x1000, 0x1000) && ram.map(0x8000, 0x1000) && ram.map(0x1800, 0x800));
        }
        assert_eq!(ram.len(), 2);
        assert!(ram.map(0, 0x4000));
        assert_eq!(ram.len(), 2);
        assert!(ram.overlaps(0x3fff, 1) && ram.overlaps(0x7fff, 2));
        assert!(!ram.overlaps(0x4000, 0x4000) && !ram.overlaps(0x9000, 1));
    }

    #[test]
    fn there_is_an_end() {
        let mut ram = Ram::default();
        let mapped = (0..2 * RANGES as u64).filter(|n| ram.map(n * 0x2000, 0x1000)).count();
        assert_eq!((mapped, ram.len()), (RANGES, RANGES));
    }
}
