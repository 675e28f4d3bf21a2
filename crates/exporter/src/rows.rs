//! The rows, by what they are about.

mod export;
mod hold;
mod memory;
mod moves;
mod nonsense;
mod range;
mod region;
mod segments;

use crate::row::{Row, Seen};
use barkeep_model::Errno;

/// All, in the order in which they are printed.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = export::rows();
    rows.extend(segments::rows());
    rows.extend(range::rows());
    rows.extend(memory::rows());
    rows.extend(moves::rows());
    rows.extend(hold::rows());
    rows.extend(region::rows());
    rows.extend(nonsense::rows());
    rows
}

/// What it means if a map of several ranges fails in the one way that is known of this kernel.
fn cannot_map_several(ranges: &[(u64, u64)], mapped: &Result<u32, Errno>) -> Option<Seen> {
    let why = "map gives EADDRINUSE: this kernel links every range at the start of the same run of I/O addresses \
               (docs/findings.md; kernel variant mmap has a fix)";
    (ranges.len() > 1 && *mapped == Err(Errno::EADDRINUSE)).then(|| Seen::Unable(why.to_owned()))
}

/// What it means if a row needs the importing device at work, and it is none that can be told to.
fn no_engine() -> Seen {
    Seen::Unable("the importing device is no DMA engine that is known here".to_owned())
}

/// Bytes.
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 4 * KIB;
