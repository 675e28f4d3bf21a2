//! How often each of a set of texts was met, in bounded memory.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Texts that are kept apart.
const DISTINCT: usize = 64;

/// Texts and how often each was met: those of one run in the order of their first time, those
/// of several, merged, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tally {
    counts: Vec<(String, u64)>,
    #[serde(skip_serializing_if = "is_zero")]
    others: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    pub(crate) fn add(&mut self, text: &str, count: u64) {
        let known = self.counts.iter_mut().find(|(known, _)| known == text);
        if let Some((_, known)) = known {
            *known = known.saturating_add(count);
        } else if self.counts.len() < DISTINCT {
            self.counts.push((text.to_owned(), count));
        } else {
            self.others = self.others.saturating_add(count);
        }
    }

    /// Takes those of another run in. Kept apart are the first 64 in the order of the texts: which
    /// these are does not depend on the order of merging.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (text, count) in std::mem::take(&mut self.counts).into_iter().chain(other.counts.iter().cloned())
        {
            let known = all.entry(text).or_default();
            *known = known.saturating_add(count);
        }
        let mut all = all.into_iter();
        self.counts = all.by_ref().take(DISTINCT).collect();
        self.others =
            all.fold(self.others.saturating_add(other.others), |sum, (_, count)| sum.saturating_add(count));
    }

    /// Texts that are kept apart.
    pub(crate) fn kept_apart(&self) -> usize {
        self.counts.len()
    }

    /// Each text with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(text, count)| (text.as_str(), *count))
    }

    /// What was counted of texts beyond the first 64 different ones.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(self.others, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_beyond_the_limit_are_counted_all_the_same() {
        let mut tally = Tally::default();
        for n in 0..100 {
            tally.add(&n.to_string(), 2);
        }
        tally.add("0", 1);
        assert_eq!((tally.iter().next(), tally.others(), tally.total()), (Some(("0", 3)), 72, 201));
    }
}
