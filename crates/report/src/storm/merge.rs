//! One record of several: the shards of a storm.

use super::{Header, Shard, Storm};
use std::collections::BTreeMap;

/// Records that are not parts of one storm.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotMerge {
    /// There are none.
    #[error("there is nothing to merge")]
    Nothing,
    /// They differ in more than their shard.
    #[error("record {number} is of another storm than the first: {what} is `{other}`, not `{first}`")]
    Differs {
        /// Which, from 1.
        number: usize,
        /// In what.
        what: String,
        /// Of the first.
        first: String,
        /// Of this one.
        other: String,
    },
    /// One part is there twice.
    #[error("record {number} has shard {shard}, which an earlier one has, too")]
    Twice {
        /// Which, from 1.
        number: usize,
        /// Of which shard.
        shard: Shard,
    },
    /// It is the whole of a storm.
    #[error("record {number} is no shard: it is all of its storm")]
    Whole {
        /// Which, from 1.
        number: usize,
    },
    /// One seed is in two of them.
    #[error("seed {seed} is in record {number} and in an earlier one")]
    Seed {
        /// Which, from 1.
        number: usize,
        /// Of the episode.
        seed: u64,
    },
}

/// Joins the records of a storm's shards. Their order does not matter.
///
/// # Errors
/// They are not shards of one storm, or one is there twice.
pub fn merge(storms: Vec<Storm>) -> Result<Storm, CannotMerge> {
    let several = storms.len() > 1;
    let mut storms = storms.into_iter().enumerate().map(|(n, storm)| (n + 1, storm));
    let (_, mut all) = storms.next().ok_or(CannotMerge::Nothing)?;
    if several && all.header.shards.is_empty() {
        return Err(CannotMerge::Whole { number: 1 });
    }
    for (number, storm) in storms {
        same_storm(number, &all.header, &storm.header)?;
        all.take(number, storm)?;
    }
    Ok(all)
}

impl Storm {
    fn take(&mut self, number: usize, other: Self) -> Result<(), CannotMerge> {
        let Self { header, episodes, totals, skipped, wall_clock_ns } = other;
        if header.shards.is_empty() {
            return Err(CannotMerge::Whole { number });
        }
        for shard in header.shards {
            let place = self.header.shards.binary_search(&shard);
            let place = place.err().ok_or(CannotMerge::Twice { number, shard })?;
            self.header.shards.insert(place, shard);
        }
        for episode in episodes {
            let place = self.episodes.binary_search_by_key(&episode.seed, |known| known.seed);
            let place = place.err().ok_or(CannotMerge::Seed { number, seed: episode.seed })?;
            self.episodes.insert(place, episode);
        }
        self.totals.merge(&totals);
        self.skipped = self.skipped.take().and(skipped);
        self.wall_clock_ns = match (self.wall_clock_ns, wall_clock_ns) {
            (Some(this), Some(other)) => Some(this.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Ok(())
    }
}

/// Everything but the shard must be the same, and the shards of the same whole.
fn same_storm(number: usize, first: &Header, other: &Header) -> Result<(), CannotMerge> {
    let (of_first, of_other) = (told(first), told(other));
    let names = of_first.keys().chain(of_other.keys());
    let nothing = String::new();
    for name in names {
        let value = |of: &BTreeMap<String, String>| of.get(name).unwrap_or(&nothing).clone();
        let (first, other) = (value(&of_first), value(&of_other));
        if first != other {
            return Err(CannotMerge::Differs { number, what: name.clone(), first, other });
        }
    }
    Ok(())
}

fn told(header: &Header) -> BTreeMap<String, String> {
    let Header {
        scenario,
        about,
        seed,
        count,
        shards,
        version,
        commit,
        kernel,
        lane,
        clock,
        options,
        require,
    } = header;
    let marks: Vec<_> = require.iter().map(|mark| mark.name()).collect();
    let number = |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let mut told = BTreeMap::from([
        ("scenario".to_owned(), scenario.clone()),
        ("about".to_owned(), about.clone()),
        ("seed".to_owned(), seed.to_string()),
        ("count".to_owned(), number(*count)),
        ("number of shards".to_owned(), number(shards.first().map(|shard| shard.of.into()))),
        ("version".to_owned(), version.clone()),
        ("commit".to_owned(), commit.clone()),
        ("kernel".to_owned(), kernel.clone()),
        ("lane".to_owned(), lane.to_string()),
        ("clock".to_owned(), clock.to_string()),
        ("require".to_owned(), marks.join(", ")),
    ]);
    told.extend(options.iter().map(|choice| (format!("option {}", choice.name), choice.value.clone())));
    told
}
