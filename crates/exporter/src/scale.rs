//! How map, revoke and restore scale: over the size of what is exported, the number of its ranges and the
//! number of its importers. Times are those of the clock there is; in the lab that is virtual time, exact
//! and the same everywhere.

use crate::row::{StepExt, Trouble};
use crate::stage::{Exporter, Stage};
use barkeep_model::Errno;
use barkeep_real::importer::{Form, Limits, Manner};
use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

const PAGE: u64 = 4 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// 2 MiB to 512 MiB, and 2 GiB to 16 GiB: what an I/O page table is written by, and how many of them.
const BY_2_MIB: [u64; 5] = [1, 4, 16, 64, 256];
const BY_1_GIB: [u64; 4] = [2, 4, 8, 16];
const RANGES: [u64; 5] = [1, 4, 16, 64, 256];
const IMPORTERS: [u64; 5] = [1, 2, 4, 8, 16];
/// Of what several import.
const SHARED: u64 = 16 * MIB;
/// Of each; what is told is the median.
const ROUNDS: usize = 5;

/// What was measured once, or the median of it.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// All importers', one after the other.
    map: Duration,
    /// Decode off, which has all of them let go.
    revoke: Duration,
    /// Decode on.
    restore: Duration,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum NoFigures {
    /// The kernel did not do something.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// They cannot be printed.
    #[error("the figures cannot be printed")]
    Print(#[from] io::Error),
}

/// Measures, and prints the tables, with the growth of each column.
///
/// # Errors
/// The kernel did not do something that it should have, or the table cannot be printed.
pub fn measure(stage: &Stage, out: &mut dyn Write) -> Result<(), NoFigures> {
    let bar = &stage.behind_port;
    let over_size = |size| several(stage, bar, &[(0, size)], 1);
    for (of, unit, counts) in [("times 2 MiB", 2 * MIB, &BY_2_MIB[..]), ("times 1 GiB", GIB, &BY_1_GIB[..])] {
        let there = counts.iter().copied().filter(|count| count * unit <= bar.size);
        table(out, of, there, |count| over_size(count * unit))?;
    }
    let over_ranges = |count| {
        let ranges: Vec<_> = (0..count).map(|n| (2 * n * PAGE, PAGE)).collect();
        several(stage, bar, &ranges, 1)
    };
    table(out, "ranges of 4 KiB", RANGES.into_iter(), over_ranges)?;
    let over_importers = |count| several(stage, bar, &[(0, SHARED)], count);
    table(out, "importers of 16 MiB", IMPORTERS.into_iter(), over_importers)
}

/// The median of some rounds; `None` where this kernel cannot map several ranges.
fn several(
    stage: &Stage,
    exporter: &Exporter,
    ranges: &[(u64, u64)],
    importers: u64,
) -> Result<Option<Times>, Trouble> {
    let rounds = (0..ROUNDS).map(|_| once(stage, exporter, ranges, importers));
    let Some(rounds) = rounds.collect::<Result<Option<Vec<Times>>, Trouble>>()? else { return Ok(None) };
    let median = |of: fn(&Times) -> Duration| {
        let mut all: Vec<Duration> = rounds.iter().map(of).collect();
        all.sort_unstable();
        all[ROUNDS / 2]
    };
    let (map, revoke, restore) = (median(|t| t.map), median(|t| t.revoke), median(|t| t.restore));
    Ok(Some(Times { map, revoke, restore }))
}

/// `None` where this kernel cannot map several ranges.
fn once(
    stage: &Stage,
    exporter: &Exporter,
    ranges: &[(u64, u64)],
    importers: u64,
) -> Result<Option<Times>, Trouble> {
    let opened = exporter.open()?;
    let buffer = opened.export(ranges)?;
    let session = stage.import(Limits::NONE)?;
    let mut attachments = Vec::new();
    for _ in 0..importers {
        attachments.push(session.attach(&buffer, Manner::PEER).step("attach")?);
    }
    let begin = Instant::now();
    for attachment in &attachments {
        match attachment.map(Form::Table) {
            Err(Errno::EADDRINUSE) => return Ok(None),
            mapped => mapped.step("map")?,
        };
    }
    let mapped = Instant::now();
    opened.decode(false).step("turn decode off")?;
    let off = Instant::now();
    opened.decode(true).step("turn decode on")?;
    let on = Instant::now();
    Ok(Some(Times { map: mapped - begin, revoke: off - mapped, restore: on - off }))
}

fn table(
    out: &mut dyn Write,
    of: &str,
    counts: impl Iterator<Item = u64>,
    once: impl Fn(u64) -> Result<Option<Times>, Trouble>,
) -> Result<(), NoFigures> {
    writeln!(out, "{of:>20} {:>14} {:>14} {:>14}", "map, ns", "revoke, ns", "restore, ns")?;
    let mut all = Vec::new();
    for count in counts {
        let Some(times) = once(count)? else {
            writeln!(out, "{count:>20} {:>14}", "EADDRINUSE")?;
            continue;
        };
        let Times { map, revoke, restore } = times;
        writeln!(
            out,
            "{count:>20} {:>14} {:>14} {:>14}",
            map.as_nanos(),
            revoke.as_nanos(),
            restore.as_nanos()
        )?;
        all.push((count, times));
    }
    let growth = |of: fn(&Times) -> Duration| {
        Growth::of(
            &all.iter()
                .map(|(count, times)| (*count as f64, of(times).as_nanos() as f64))
                .collect::<Vec<_>>(),
        )
    };
    if let (Some(map), Some(revoke), Some(restore)) =
        (growth(|t| t.map), growth(|t| t.revoke), growth(|t| t.restore))
    {
        writeln!(out, "{:>20} {map:>14} {revoke:>14} {restore:>14}", "growth")?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// How a column grows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Growth {
    /// At its end it is less than a tenth more than at its begin.
    Constant,
    /// By so many nanoseconds for each one more, in its last step as in all of it.
    Linear(f64),
    /// Less in the last step than in all of it.
    Below,
    /// More.
    Above,
}

impl Growth {
    /// Of counts and times; `None` of less than three.
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let [first, .., before, last] = points else { return None };
        let slope = |from: &(f64, f64), to: &(f64, f64)| (to.1 - from.1) / (to.0 - from.0);
        let all = slope(first, last);
        let ratio = slope(before, last) / all;
        Some(match ratio {
            _ if last.1 < 1.1 * first.1 => Self::Constant,
            0.8..1.25 => Self::Linear(all),
            ..0.8 => Self::Below,
            _ => Self::Above,
        })
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.pad("constant"),
            Self::Linear(each) => f.pad(&format!("{each:.0} each")),
            Self::Below => f.pad("below linear"),
            Self::Above => f.pad("above linear"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_by_its_slope() {
        let of =
            |times: [f64; 4]| Growth::of(&[1.0, 4.0, 16.0, 64.0].into_iter().zip(times).collect::<Vec<_>>());
        assert_eq!(of([100.0, 101.0, 99.0, 104.0]), Some(Growth::Constant));
        assert_eq!(of([101.0, 104.0, 116.0, 164.0]), Some(Growth::Linear(1.0)));
        assert_eq!(of([1.0, 4.0, 6.0, 7.0]), Some(Growth::Below));
        assert_eq!(of([1.0, 16.0, 256.0, 4096.0 * 4.0]), Some(Growth::Above));
        assert_eq!(Growth::of(&[(1.0, 1.0), (2.0, 2.0)]), None);
    }
}
