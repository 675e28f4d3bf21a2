//! A stretch of time in equal parts, and how much there was in each.

use barkeep_timeline::{Party, Way};

/// Parts.
pub const BINS: usize = 1200;

/// One part of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Slices, or outages, that begin in it.
    pub begun: u64,
    /// Marks in it.
    pub marks: u64,
    /// Nanoseconds of it in which there was one, summed over those that overlap.
    pub busy_ns: u64,
}

/// All parts of all lanes, and of both ways.
#[derive(Clone, Debug)]
pub struct Bins {
    from_ns: u64,
    width_ns: u64,
    parties: [Vec<Bin>; Party::ALL.len()],
    ways: [Vec<Bin>; Way::ALL.len()],
}

impl Bins {
    /// Empty ones.
    pub fn new((from_ns, to_ns): (u64, u64)) -> Self {
        let width_ns = (to_ns - from_ns) / BINS as u64 + 1;
        let empty = || vec![Bin::default(); BINS];
        Self {
            from_ns,
            width_ns,
            parties: std::array::from_fn(|_| empty()),
            ways: std::array::from_fn(|_| empty()),
        }
    }

    /// Nanoseconds of a part.
    pub fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The parts of a lane.
    pub fn of_party(&self, party: Party) -> &[Bin] {
        &self.parties[party as usize]
    }

    /// The parts of a way.
    pub fn of_way(&self, way: Way) -> &[Bin] {
        &self.ways[way as usize]
    }

    pub(super) fn mark(&mut self, party: Party, ns: u64) {
        let at = self.at(ns);
        self.parties[party as usize][at].marks += 1;
    }

    pub(super) fn slice(&mut self, party: Party, begin_ns: u64, end_ns: Option<u64>) {
        self.span(Lane::Party(party), begin_ns, end_ns);
    }

    pub(super) fn outage(&mut self, way: Way, begin_ns: u64, end_ns: Option<u64>) {
        self.span(Lane::Way(way), begin_ns, end_ns);
    }

    fn span(&mut self, lane: Lane, begin_ns: u64, end_ns: Option<u64>) {
        let (from, width) = (self.from_ns, self.width_ns);
        let to = from.saturating_add(width.saturating_mul(BINS as u64));
        let (begin, end) = (begin_ns.clamp(from, to), end_ns.unwrap_or(to).clamp(from, to));
        let (first, last) = (self.at(begin), self.at(end));
        let bins = match lane {
            Lane::Party(party) => &mut self.parties[party as usize],
            Lane::Way(way) => &mut self.ways[way as usize],
        };
        // One that began before the stretch began somewhere else.
        bins[first].begun += u64::from(begin_ns >= from);
        for (n, bin) in bins.iter_mut().enumerate().take(last + 1).skip(first) {
            let start = from.saturating_add(width.saturating_mul(n as u64));
            let inside = end.min(start.saturating_add(width)).saturating_sub(begin.max(start));
            bin.busy_ns = bin.busy_ns.saturating_add(inside);
        }
    }

    fn at(&self, ns: u64) -> usize {
        ((ns.saturating_sub(self.from_ns) / self.width_ns) as usize).min(BINS - 1)
    }
}

enum Lane {
    Party(Party),
    Way(Way),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_sums_up_to_what_there_was() {
        let mut bins = Bins::new((1000, 1000 + 1200 * 10 - 1));
        assert_eq!(bins.width_ns(), 10);
        bins.slice(Party::Guest, 1005, Some(1025));
        bins.slice(Party::Guest, 0, Some(1004));
        bins.mark(Party::Guest, 1012);
        let parts = bins.of_party(Party::Guest);
        let part = |begun, marks, busy_ns| Bin { begun, marks, busy_ns };
        assert_eq!(parts[..4], [part(1, 0, 9), part(0, 1, 10), part(0, 0, 5), part(0, 0, 0)]);
        bins.outage(Way::P2p, 12_980, None);
        assert_eq!(bins.of_way(Way::P2p)[1198].busy_ns + bins.of_way(Way::P2p)[1199].busy_ns, 20);
    }
}
