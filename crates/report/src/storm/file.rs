//! `storm.json`, version 1: the record of a storm as a file.

use super::{Episode, Header, Storm};
use barkeep_check::Summary;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The version of the file.
const VERSION: u32 = 1;

/// A text that is no record of a storm.
#[derive(Debug, thiserror::Error)]
pub enum NotAStorm {
    /// It is something else, or damaged.
    #[error("not the record of a storm: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer Barkeep's.
    #[error("the record of a storm of version {0}; this Barkeep reads version {VERSION}")]
    Version(u32),
    /// Episodes are not in the order of their seeds, or one is there twice.
    #[error("not the record of a storm: seed {0} is out of order")]
    Order(u64),
    /// Its shards are not in order, or not of one whole.
    #[error("not the record of a storm: its shards are not parts of one storm")]
    Shards,
}

/// As it stands in a file, but for the episodes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    barkeep_storm: u32,
    header: Header,
    #[serde(default)]
    skipped: Option<String>,
    totals: Summary,
    episodes: Vec<Episode>,
    #[serde(default)]
    wall_clock_ns: Option<u64>,
}

/// What says which version it is, whatever else there is.
#[derive(Deserialize)]
struct Versioned {
    barkeep_storm: u32,
}

impl Storm {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no such file.
    pub fn read(text: &str) -> Result<Self, NotAStorm> {
        let Versioned { barkeep_storm: version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(NotAStorm::Version(version));
        }
        let Written { barkeep_storm: _, header, skipped, totals, episodes, wall_clock_ns } =
            serde_json::from_str(text)?;
        if let Some(two) = episodes.windows(2).find(|two| two[0].seed >= two[1].seed) {
            return Err(NotAStorm::Order(two[1].seed));
        }
        let of_one = |two: &[super::Shard]| two[0].of == two[1].of && two[0].number < two[1].number;
        if !header.shards.windows(2).all(of_one) {
            return Err(NotAStorm::Shards);
        }
        Ok(Self { header, episodes, totals, skipped, wall_clock_ns })
    }

    /// Writes a file: a line for each episode, and the wall clock, which differs each time, in the
    /// last line but one.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { header, episodes, totals, skipped, wall_clock_ns } = self;
        let json = |part: Result<String, serde_json::Error>| part.map_err(io::Error::from);
        writeln!(out, "{{\"barkeep_storm\":{VERSION},")?;
        writeln!(out, "\"header\":{},", json(serde_json::to_string(header))?)?;
        if let Some(why) = skipped {
            writeln!(out, "\"skipped\":{},", json(serde_json::to_string(why))?)?;
        }
        writeln!(out, "\"totals\":{},", json(serde_json::to_string(totals))?)?;
        writeln!(out, "\"episodes\":[")?;
        for (n, episode) in episodes.iter().enumerate() {
            let comma = if n + 1 < episodes.len() { "," } else { "" };
            writeln!(out, "{}{comma}", json(serde_json::to_string(episode))?)?;
        }
        writeln!(out, "],\n\"wall_clock_ns\":{}\n}}", json(serde_json::to_string(wall_clock_ns))?)
    }
}
