//! What a storm came to: many episodes of one scenario, told together.
//!
//! [`Storm`] is the record, `storm.json` its file. [`Storm::judge`] holds it against what it must
//! have hit and what is known; every format is written from that [`Judgement`] alone, so that they
//! cannot disagree:
//!
//! | [`print::begin`], [`print::end`] | for people: the first lines, the last table, the failures |
//! |---|---|
//! | [`junit::write`], [`ktap::write`] | for a CI |
//! | [`github::annotations`], [`github::summary`] | for GitHub's |

mod cases;
mod episode;
mod file;
pub mod github;
mod header;
mod judge;
pub mod junit;
pub mod known;
pub mod ktap;
mod merge;
pub mod print;
mod table;
mod told;
pub mod witness;

pub use episode::{Artefacts, Episode};
pub use file::NotAStorm;
pub use header::{BadShard, Choice, Header, Shard};
pub use judge::{Judgement, Outcome};
pub use known::Known;
pub use merge::{CannotMerge, merge};

use barkeep_check::Summary;
use std::collections::BTreeSet;

/// The record of a storm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// What was to be done, where and by what.
    pub header: Header,
    /// What became of each episode, in the order of their seeds.
    pub episodes: Vec<Episode>,
    /// The numbers of all of them together.
    pub totals: Summary,
    /// Why nothing was done, where the lane is not available.
    pub skipped: Option<String>,
    /// What it took by the wall clock, nanoseconds; of shards, together. All else in the record is
    /// the same each time.
    pub wall_clock_ns: Option<u64>,
}

impl Storm {
    /// One of which nothing has been done yet.
    pub fn new(header: Header) -> Self {
        Self { header, episodes: Vec::new(), totals: Summary::default(), skipped: None, wall_clock_ns: None }
    }

    /// An episode is over; `counts` are its numbers.
    pub fn add(&mut self, episode: Episode, counts: &Summary) {
        self.totals.merge(counts);
        // They may end in any order where several are carried out at once.
        let place = self.episodes.partition_point(|before| before.seed <= episode.seed);
        self.episodes.insert(place, episode);
    }

    /// Revoking actions that were planned in the episodes there are.
    pub fn resets(&self) -> u64 {
        self.episodes.iter().fold(0, |sum, episode| sum.saturating_add(episode.resets))
    }

    /// Time of the runs' clock, of all episodes together; nanoseconds.
    pub fn took_ns(&self) -> u64 {
        self.episodes.iter().fold(0, |sum, episode| sum.saturating_add(episode.took_ns))
    }

    /// Different interleavings, and of how many episodes it is known.
    pub fn interleavings(&self) -> (usize, usize) {
        let known = self.episodes.iter().filter_map(|episode| episode.interleaving);
        (known.clone().collect::<BTreeSet<_>>().len(), known.count())
    }
}
