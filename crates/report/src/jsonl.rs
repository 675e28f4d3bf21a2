//! A journal in a file, line by line. Whatever is wrong with the file is named with its line;
//! nothing of it makes this fall over.

use barkeep_journal::json::{self, LineError};
use barkeep_journal::{Clock, Event, Header, Lane, layout};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line at the most. An event's text has no bound of its own, but none comes near.
const LINE: u64 = 1 << 20;

/// A file, or a line of it, that cannot be read as a journal.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Damage {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: Why,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It is not a journal.
    #[error("not a journal: the first line is not `{{\"barkeep_journal\":…`")]
    Foreign,
    /// It is a journal, but not one of lines.
    #[error("a journal as it is in shared memory, not its lines")]
    Binary,
    /// A newer Barkeep's journal.
    #[error("a journal of version {0}; this Barkeep reads version {version}", version = layout::VERSION)]
    Version(u64),
    /// The last line ends in its middle.
    #[error("the file ends in the middle of this line")]
    Truncated,
    /// Longer than a line can be.
    #[error("longer than {LINE} bytes")]
    TooLong,
    /// Not text.
    #[error("not UTF-8")]
    NotText,
    /// Not an event.
    #[error("{0}")]
    Line(#[source] LineError),
}

/// Opens a journal's file.
///
/// # Errors
/// It cannot be read, or its first line is not that of a journal of this version.
pub fn open(path: &Path) -> Result<(Header, Events<BufReader<File>>), Damage> {
    let file = File::open(path).map_err(|error| Damage { line: 1, why: Why::Unreadable(error) })?;
    read(BufReader::new(file))
}

/// Reads a journal's lines.
///
/// # Errors
/// As [`open`].
pub fn read<R: BufRead>(lines: R) -> Result<(Header, Events<R>), Damage> {
    let mut events = Events { lines, number: 0, over: false };
    let damage = |why| Damage { line: 1, why };
    let first = events.next_line().map_err(damage)?.ok_or(damage(Why::Empty))?;
    let header = header(&first).map_err(damage)?;
    Ok((header, events))
}

/// As [`read`], and goes on into a newer Barkeep's journal, for as much of it as this one understands: what
/// is wrong with the first line is given beside the rest.
///
/// # Errors
/// There is nothing that could be read on.
pub fn read_as_far_as_possible<R: BufRead>(lines: R) -> Result<(Header, Option<Damage>, Events<R>), Damage> {
    let mut events = Events { lines, number: 0, over: false };
    let damage = |why| Damage { line: 1, why };
    let first = events.next_line().map_err(damage)?.ok_or(damage(Why::Empty))?;
    match header(&first).map_err(damage) {
        Ok(header) => Ok((header, None, events)),
        Err(newer @ Damage { why: Why::Version(_), .. }) => match lane_and_clock(&first) {
            Some(header) => Ok((header, Some(newer), events)),
            None => Err(newer),
        },
        Err(damage) => Err(damage),
    }
}

/// Where a run of any version took place, if this one knows such a place.
fn lane_and_clock(line: &Line) -> Option<Header> {
    let object: Value = serde_json::from_slice(&line.bytes).ok()?;
    let lane = Lane::from_name(object.get("lane")?.as_str()?)?;
    let clock = Clock::from_name(object.get("clock")?.as_str()?)?;
    Some(Header { lane, clock })
}

/// The events of a journal. A line that is damaged is told and passed over; the last one that
/// can be read ends it.
pub struct Events<R> {
    lines: R,
    number: u64,
    over: bool,
}

/// A line, and whether it was ended by a newline.
struct Line {
    bytes: Vec<u8>,
    whole: bool,
}

impl<R: BufRead> Events<R> {
    fn next_line(&mut self) -> Result<Option<Line>, Why> {
        let mut bytes = Vec::new();
        let read = self.lines.by_ref().take(LINE).read_until(b'\n', &mut bytes);
        self.number += 1;
        read.map_err(Why::Unreadable)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let whole = bytes.pop_if(|byte| *byte == b'\n').is_some();
        if !whole && bytes.len() as u64 == LINE {
            // What follows is not read as lines of its own.
            self.lines.skip_until(b'\n').map_err(Why::Unreadable)?;
            return Err(Why::TooLong);
        }
        Ok(Some(Line { bytes, whole }))
    }

    fn next_event(&mut self) -> Result<Option<Event>, Why> {
        let Some(Line { bytes, whole }) = self.next_line()? else { return Ok(None) };
        let parsed = std::str::from_utf8(&bytes)
            .map_err(|_| Why::NotText)
            .and_then(|text| json::parse(text).map_err(Why::Line));
        match parsed {
            Err(_) if !whole => Err(Why::Truncated),
            parsed => parsed.map(Some),
        }
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Event, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let event = self.next_event();
        self.over = matches!(event, Ok(None) | Err(Why::Unreadable(_) | Why::Truncated));
        event.map_err(|why| Damage { line: self.number, why }).transpose()
    }
}

fn header(line: &Line) -> Result<Header, Why> {
    if line.bytes.starts_with(&layout::MAGIC.to_le_bytes()) {
        return Err(Why::Binary);
    }
    let text = std::str::from_utf8(&line.bytes).map_err(|_| Why::Foreign)?;
    match json::parse_header(text) {
        Ok(header) => Ok(header),
        Err(_) if !line.whole && text.starts_with("{\"barkeep_journal") => Err(Why::Truncated),
        Err(LineError::NotAHeader) => Err(version(text).map_or(Why::Foreign, Why::Version)),
        Err(LineError::NotJson) => Err(Why::Foreign),
        Err(error @ LineError::Field(_)) => Err(Why::Line(error)),
    }
}

/// The version a first line claims, if it is not this one.
fn version(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("\"barkeep_journal\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|version| *version != u64::from(layout::VERSION))
}

#[cfg(test)]
#[path = "jsonl_test.rs"]
mod tests;
