//! A journal, read from its first line to its last.

use crate::Damages;
use barkeep_journal::{Event, Header};
use barkeep_report::{Damage, jsonl};
use std::io::BufRead;

/// Shows every event that can be read to `take`, and gives what could not.
///
/// # Errors
/// It is no journal, or a newer one of a place this Barkeep does not know.
pub fn read<R: BufRead>(lines: R, mut take: impl FnMut(&Event, Header)) -> Result<(Header, Damages), Damage> {
    let (header, newer, events) = jsonl::read_as_far_as_possible(lines)?;
    let mut damages = Damages::default();
    newer.into_iter().for_each(|damage| damages.add(damage));
    for event in events {
        match event {
            Ok(event) => take(&event, header),
            Err(damage) => damages.add(damage),
        }
    }
    Ok((header, damages))
}
