//! How much of the state space was asked about: which operation met which state.

use crate::kind::Kind;
use barkeep_model::Op;
use std::collections::BTreeMap;

/// Operations by their kind and the state they met, as the specification classes states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage<Class> {
    episodes: u64,
    pairs: BTreeMap<(Kind, Class), u64>,
}

impl<Class> Default for Coverage<Class> {
    fn default() -> Self {
        Self { episodes: 0, pairs: BTreeMap::new() }
    }
}

impl<Class: Ord> Coverage<Class> {
    /// Counts an episode.
    pub fn episode(&mut self) {
        self.episodes += 1;
    }

    /// Counts an operation, and the class of the state before it.
    pub fn operation(&mut self, op: &Op, before: Class) {
        *self.pairs.entry((Kind::of(op), before)).or_insert(0) += 1;
    }

    /// Episodes counted.
    #[must_use]
    pub fn episodes(&self) -> u64 {
        self.episodes
    }

    /// Operations counted.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.pairs.values().sum()
    }

    /// How many different pairs there are.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.pairs.len()
    }

    /// The pairs in their order, each with how often it came up.
    pub fn pairs(&self) -> impl Iterator<Item = (Kind, &Class, u64)> {
        self.pairs.iter().map(|((kind, class), count)| (*kind, class, *count))
    }

    /// Kinds that never came up.
    pub fn missing(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(|kind| self.pairs.keys().all(|(met, _)| met != kind))
    }

    /// Adds what somebody else counted.
    pub fn extend(&mut self, other: Self) {
        let Self { episodes, pairs } = other;
        self.episodes += episodes;
        for (pair, count) in pairs {
            *self.pairs.entry(pair).or_insert(0) += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_once_each() {
        let mut coverage = Coverage::default();
        for (file, class) in [(0, "closed"), (1, "closed"), (0, "open")] {
            coverage.operation(&Op::Reset { file }, class);
        }
        coverage.episode();
        assert_eq!((coverage.episodes(), coverage.operations(), coverage.distinct()), (1, 3, 2));
        assert_eq!(coverage.pairs().next(), Some((Kind::Reset, &"closed", 2)));
        assert_eq!(coverage.missing().count(), Kind::ALL.len() - 1);
        coverage.extend(coverage.clone());
        assert_eq!((coverage.episodes(), coverage.operations(), coverage.distinct()), (2, 6, 2));
    }
}
