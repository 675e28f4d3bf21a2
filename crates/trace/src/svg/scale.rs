//! Where a moment stands.

use crate::drawing::{Drawing, is_frame};

/// Moments up to which the time between two is drawn by its logarithm.
const FEW: usize = 400;
/// Units from one written time to the next, at the least.
const APART: f64 = 74.0;

/// Moments, and where they stand; in between it is even.
pub(super) struct Scale {
    knots: Vec<(u64, f64)>,
    logarithmic: bool,
}

impl Scale {
    pub fn new(drawing: &Drawing, left: f64, right: f64) -> Self {
        let (from, to) = drawing.ns;
        let mut moments = vec![from, to];
        for slice in drawing.slices.iter().filter(|slice| !is_frame(slice)) {
            moments.push(slice.begin_ns);
            moments.extend(slice.end_ns);
        }
        for outage in &drawing.outages {
            moments.push(outage.taken.time_ns);
            moments.extend(outage.end.map(|end| end.time_ns));
        }
        moments.extend(drawing.marks.iter().map(|mark| mark.ns));
        moments.retain(|ns| (from..=to).contains(ns));
        moments.sort_unstable();
        moments.dedup();
        let logarithmic = moments.len() <= FEW && drawing.bins.is_none();
        if !logarithmic {
            moments = vec![from, to];
        }
        // A millisecond is some three times as wide as a microsecond.
        let weight = |pair: &[u64]| 3.0 + (1.0 + (pair[1] - pair[0]) as f64 / 1000.0).ln();
        let all: f64 = moments.windows(2).map(weight).sum();
        let unit = if all > 0.0 { (right - left) / all } else { 0.0 };
        let mut x = left;
        let mut knots = vec![(from, left)];
        for pair in moments.windows(2) {
            x += weight(pair) * unit;
            knots.push((pair[1], x));
        }
        Self { knots, logarithmic }
    }

    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic && self.knots.len() > 2
    }

    pub fn x(&self, ns: u64) -> f64 {
        let after = self.knots.partition_point(|(at, _)| *at <= ns);
        let before = self.knots[after.saturating_sub(1)];
        match self.knots.get(after) {
            Some(next) if ns > before.0 => {
                let share = (ns - before.0) as f64 / (next.0 - before.0) as f64;
                before.1 + (next.1 - before.1) * share
            }
            _ => before.1,
        }
    }

    /// Moments that have their time written, with room between them.
    pub fn ticks(&self) -> Vec<(u64, f64)> {
        if !self.logarithmic {
            let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else {
                return Vec::new();
            };
            let step = |n: u64| first.0 + (last.0 - first.0) / 10 * n;
            return (0..=10).map(|n| (step(n), self.x(step(n)))).collect();
        }
        let mut ticks: Vec<(u64, f64)> = Vec::new();
        for &(ns, x) in &self.knots {
            if ticks.last().is_none_or(|(_, last)| x - last >= APART) {
                ticks.push((ns, x));
            }
        }
        ticks
    }
}
