//! What a storm was: printed first, so that whatever happens can be done again.

use barkeep_check::Mark;
use barkeep_journal::{Clock, Lane};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::str::FromStr;

/// A part of a storm: of its seeds every N-th, from the K-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Of how many.
    pub of: u32,
    /// Which, from 1.
    pub number: u32,
}

/// Shards of one storm at the most.
const MOST: u32 = 10_000;

/// Not a shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a shard K/N with K from 1 to N, and N up to {MOST}")]
pub struct BadShard(String);

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Self, BadShard> {
        let parsed = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) && of <= MOST => Ok(Self { of, number }),
            _ => Err(BadShard(text.to_owned())),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Serialize for Shard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Shard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An option, given or drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Its name on the command line or in the storm file.
    pub name: String,
    /// What it is.
    pub value: String,
}

/// What a storm was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The name of its scenario.
    pub scenario: String,
    /// What its file says it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The seed of its first episode.
    pub seed: u64,
    /// Revoking actions that were to be planned. `None` where it went by a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The parts of it that this is the record of; none where it was done as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
    /// Barkeep's version.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The kernel, by its release, or what stands in for it.
    pub kernel: String,
    /// Where.
    #[serde(with = "lane")]
    pub lane: Lane,
    /// What its nanoseconds are.
    #[serde(with = "clock")]
    pub clock: Clock,
    /// Every other option, given or drawn for all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Marks that must be hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Mark>,
}

impl Header {
    /// Shards that are not in this record, though others of the same storm are.
    pub fn missing_shards(&self) -> Vec<Shard> {
        let of = self.shards.first().map_or(0, |shard| shard.of);
        let all = (1..=of).map(|number| Shard { of, number });
        all.filter(|shard| !self.shards.contains(shard)).collect()
    }

    /// Whether this is the record of all of it. What never happened can only be told of that.
    pub fn is_whole(&self) -> bool {
        let of = self.shards.first().map_or(0, |shard| shard.of as usize);
        self.shards.len() == of
    }

    /// A journal's header of the same lane and clock.
    pub(crate) fn journal(&self) -> barkeep_journal::Header {
        barkeep_journal::Header { lane: self.lane, clock: self.clock }
    }
}

mod lane {
    use super::{Deserialize, Deserializer, Error, Lane, Serializer};

    pub fn serialize<S: Serializer>(lane: &Lane, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(lane.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lane, D::Error> {
        let name = String::deserialize(deserializer)?;
        Lane::from_name(&name).ok_or_else(|| D::Error::custom(format!("no lane is called `{name}`")))
    }
}

mod clock {
    use super::{Clock, Deserialize, Deserializer, Error, Serializer};

    pub fn serialize<S: Serializer>(clock: &Clock, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(clock.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Clock, D::Error> {
        let name = String::deserialize(deserializer)?;
        Clock::from_name(&name).ok_or_else(|| D::Error::custom(format!("no clock is called `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_so_many() {
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
        for text in ["", "0/3", "4/3", "3", "1/0", "a/b", "1/2/3", "-1/2", "1/10001"] {
            assert_eq!(text.parse::<Shard>(), Err(BadShard(text.to_owned())));
        }
    }
}
