//! Reads a recording, episode by episode. Whatever is wrong with the file is named with its line;
//! nothing of it makes this fall over, nor whoever carries out what it gives.

use super::lines::{self, Begin, End, Line, LineError, Step};
use super::{Episode, Header, Recorded};
use crate::fits::{Misfit, fits};
use crate::machine::{HardwareError, Machine};
use barkeep_model::Seen;
use std::io::{self, BufRead, Read};
use thiserror::Error;

/// Bytes of a line at the most. One operation's come nowhere near.
const LINE: u64 = 1 << 20;

/// A line that is none of a recording.
#[derive(Debug, Error)]
#[error("line {line}: {why}")]
pub struct Damage {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: Why,
}

/// What can be wrong.
#[derive(Debug, Error)]
pub enum Why {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Longer than a line can be.
    #[error("longer than {LINE} bytes")]
    TooLong,
    /// Not text.
    #[error("not UTF-8")]
    NotText,
    /// The file ends before the recording does.
    #[error("the recording ends here, in the middle")]
    Truncated,
    /// It is none of the lines that there are.
    #[error("{0}")]
    Line(#[source] LineError),
    /// No machine can be made of the hardware it names.
    #[error("the hardware: {0}")]
    Hardware(#[source] HardwareError),
    /// It names something there is not.
    #[error("{0}")]
    Misfit(#[source] Misfit),
    /// A line of another sort is due.
    #[error("{is} where {due} is due")]
    Order {
        /// What it is.
        is: &'static str,
        /// What it should be.
        due: &'static str,
    },
    /// There are other numbers of episodes than the last line says.
    #[error("the end of {says} episodes, after {are}")]
    Count {
        /// The number it says.
        says: u64,
        /// The number there are.
        are: u64,
    },
    /// Something follows the end.
    #[error("something follows the end")]
    Behind,
}

/// Reads a recording's first line.
///
/// # Errors
/// It cannot be read, or it is not a recording of this version, or of a machine that can be.
pub fn read<R: BufRead>(lines: R) -> Result<(Header, Episodes<R>), Damage> {
    let mut source = Source { lines, number: 0 };
    let damage = |why| Damage { line: 1, why };
    let first = source.next().map_err(damage)?.ok_or(damage(Why::Empty))?;
    let header = match lines::parse_header(&first.text) {
        Err(_) if !first.whole && first.text.starts_with("{\"barkeep_conform") => {
            return Err(damage(Why::Truncated));
        }
        parsed => parsed.map_err(|why| damage(Why::Line(why)))?,
    };
    let machine = header.machine().map_err(|why| damage(Why::Hardware(why)))?;
    Ok((header, Episodes { source, machine, episodes: 0, over: false }))
}

/// The episodes of a recording. The first damage ends it: what a line sees may be told by the one
/// before it.
#[derive(Debug)]
pub struct Episodes<R> {
    source: Source<R>,
    machine: Machine,
    episodes: u64,
    over: bool,
}

impl<R> Episodes<R> {
    /// The machine they ran on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
}

impl<R: BufRead> Episodes<R> {
    fn episode(&mut self) -> Result<Option<Episode>, Why> {
        match self.source.line()?.ok_or(Why::Truncated)? {
            Line::Begin(Begin { episode, operations }) => {
                let steps = self.steps(operations)?;
                self.episodes += 1;
                Ok(Some(Episode { number: episode, steps }))
            }
            Line::End(End { end }) if end != self.episodes => {
                Err(Why::Count { says: end, are: self.episodes })
            }
            Line::End(End { .. }) if self.source.next()?.is_some() => Err(Why::Behind),
            Line::End(End { .. }) => Ok(None),
            Line::Step(_) => Err(Why::Order { is: "an operation", due: "an episode" }),
        }
    }

    fn steps(&mut self, operations: u64) -> Result<Vec<Recorded>, Why> {
        // The number may be anything: memory is taken for what is there.
        let mut steps = Vec::new();
        let mut before = Seen::default();
        for _ in 0..operations {
            let Step { op, answer, seen } = match self.source.line()?.ok_or(Why::Truncated)? {
                Line::Step(step) => *step,
                Line::Begin(_) => return Err(Why::Order { is: "an episode", due: "an operation" }),
                Line::End(_) => return Err(Why::Order { is: "the end", due: "an operation" }),
            };
            fits(&op, &self.machine).map_err(Why::Misfit)?;
            before = seen.unwrap_or(before);
            steps.push(Recorded { op, answer, seen: before.clone() });
        }
        Ok(steps)
    }
}

impl<R: BufRead> Iterator for Episodes<R> {
    type Item = Result<Episode, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let episode = self.episode();
        self.over = !matches!(episode, Ok(Some(_)));
        episode.map_err(|why| Damage { line: self.source.number, why }).transpose()
    }
}

/// The lines.
#[derive(Debug)]
struct Source<R> {
    lines: R,
    number: u64,
}

/// A line, and whether a newline ended it.
struct Text {
    text: String,
    whole: bool,
}

impl<R: BufRead> Source<R> {
    fn next(&mut self) -> Result<Option<Text>, Why> {
        let mut bytes = Vec::new();
        self.number += 1;
        self.lines.by_ref().take(LINE).read_until(b'\n', &mut bytes).map_err(Why::Unreadable)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let whole = bytes.pop_if(|byte| *byte == b'\n').is_some();
        if !whole && bytes.len() as u64 == LINE {
            return Err(Why::TooLong);
        }
        let text = String::from_utf8(bytes).map_err(|_| Why::NotText)?;
        Ok(Some(Text { text, whole }))
    }

    fn line(&mut self) -> Result<Option<Line>, Why> {
        let Some(Text { text, whole }) = self.next()? else { return Ok(None) };
        match lines::parse(&text) {
            Err(_) if !whole => Err(Why::Truncated),
            parsed => parsed.map(Some).map_err(Why::Line),
        }
    }
}
