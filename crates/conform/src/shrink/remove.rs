//! Fewer operations.

use super::{Batch, Search};
use barkeep_model::{Op, Subject};

/// Up to so many operations, every two of them are tried together: an open and its close, a map
/// and its unmap go only so.
const PAIRS: usize = 20;

impl<B: Batch, S: Subject + ?Sized> Search<'_, B, S> {
    /// Takes operations out until none can go; says whether any went.
    pub(super) fn remove(&mut self) -> Result<bool, B::Error> {
        let before = self.best.episode.steps.len();
        while self.remove_some(parts)? || self.remove_some(pairs)? {}
        Ok(self.best.episode.steps.len() < before)
    }

    /// Tries to take out sets of operations, each alone, then those that could go together.
    fn remove_some(&mut self, sets: fn(usize) -> Vec<Vec<usize>>) -> Result<bool, B::Error> {
        let ops = self.ops();
        // The last one is where the two part.
        let sets = sets(ops.len() - 1);
        let alone = self.that_do(sets.iter().map(|set| without(&ops, set)).collect())?;
        let gone: Vec<&Vec<usize>> = alone.iter().map(|(place, _)| &sets[*place]).collect();
        let mut together = Vec::new();
        let mut all: Vec<usize> = Vec::new();
        for set in gone {
            all.extend(set);
            together.push(without(&ops, &all));
        }
        // All that can go, then fewer and fewer.
        together.reverse();
        let more = self.that_do(together)?;
        let fewest = alone.into_iter().chain(more).min_by_key(|(_, parted)| parted.episode.steps.len());
        Ok(fewest.is_some_and(|(_, parted)| self.take(parted)))
    }
}

/// Halves, quarters and so on down to single ones.
fn parts(count: usize) -> Vec<Vec<usize>> {
    let mut parts = Vec::new();
    let mut size = count.div_ceil(2);
    while size > 0 {
        let starts = (0..count).step_by(size);
        parts.extend(starts.map(|start| (start..count.min(start + size)).collect()));
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    parts
}

/// Every two.
fn pairs(count: usize) -> Vec<Vec<usize>> {
    if count > PAIRS {
        return Vec::new();
    }
    (0..count).flat_map(|first| (first + 1..count).map(move |second| vec![first, second])).collect()
}

fn without(ops: &[Op], set: &[usize]) -> Vec<Op> {
    let keeps = |(at, _): &(usize, &Op)| !set.contains(at);
    ops.iter().enumerate().filter(keeps).map(|(_, op)| op.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_pairs_cover_all() {
        assert_eq!(parts(3), [vec![0, 1], vec![2], vec![0], vec![1], vec![2]]);
        assert_eq!(parts(1), [vec![0]]);
        assert!(parts(0).is_empty() && pairs(0).is_empty() && pairs(PAIRS + 1).is_empty());
        assert_eq!(pairs(3), [vec![0, 1], vec![0, 2], vec![1, 2]]);
    }
}
