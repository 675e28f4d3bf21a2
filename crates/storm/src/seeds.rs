//! Which seeds a storm goes through, and who takes which of them.

use crate::episode::{LARGEST_SEED, table};
use crate::error::StormError;
use barkeep_scenario::Scenario;
use barkeep_scenario::language::revokes;
use std::fmt;
use std::str::FromStr;

/// The revoking actions of a scenario, repeats counted out.
pub fn resets(scenario: &Scenario) -> u64 {
    revokes(&scenario.actions)
}

/// As many seeds from `first` on as plan `count` resets together; of those every `n`-th, where there
/// is a shard. The shards of one storm share it out: none is done twice or left out.
///
/// # Errors
/// It is no storm, or there are no more seeds.
pub fn seeds(storm: &Scenario, first: u64, count: u64, shard: Option<Shard>) -> Result<Vec<u64>, StormError> {
    // Each episode goes on until it has planned that many: which is nearly what it comes to.
    let episodes = count.div_ceil(table(storm)?.resets.max(1));
    let last = first.checked_add(episodes).filter(|end| *end <= LARGEST_SEED + 1);
    let last = last.ok_or(StormError::Seed(first.saturating_add(episodes)))?;
    Ok((first..last)
        .zip(0..)
        .filter(|(_, number)| shard.is_none_or(|shard| shard.has(*number)))
        .map(|(seed, _)| seed)
        .collect())
}

/// One of several that share a storm out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 1.
    pub k: u32,
    /// Of how many.
    pub n: u32,
}

impl Shard {
    /// Whether the episode of this number, from 0, is its.
    pub fn has(self, number: u64) -> bool {
        number % u64::from(self.n) == u64::from(self.k - 1)
    }
}

/// Not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no shard like 1/4, which is the first of four")]
pub struct BadShard(String);

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(word: &str) -> Result<Self, BadShard> {
        let bad = || BadShard(word.to_owned());
        let (k, n) = word.split_once('/').ok_or_else(bad)?;
        let (k, n): (u32, u32) = (k.parse().map_err(|_| bad())?, n.parse().map_err(|_| bad())?);
        if !(1..=n).contains(&k) {
            return Err(bad());
        }
        Ok(Self { k, n })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.k, self.n)
    }
}
