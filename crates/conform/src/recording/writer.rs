//! Writes a recording while it is made.

use super::lines::{self, Begin, End, Step};
use super::{Header, Recorded};
use barkeep_model::Seen;
use serde::Serialize;
use std::io::{self, Write};

/// Writes line after line. Each one goes out in one piece and at once: if the kernel dies of an
/// operation, all before it are there.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    episodes: u64,
    /// What the line before saw.
    seen: Seen,
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        let line = lines::header(header)?;
        out.write_all((line + "\n").as_bytes())?;
        out.flush()?;
        Ok(Self { out, episodes: 0, seen: Seen::default() })
    }

    /// Begins an episode; exactly that many [`Writer::step`]s follow.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn episode(&mut self, number: u64, operations: u64) -> io::Result<()> {
        self.episodes += 1;
        self.seen = Seen::default();
        self.line(&Begin { episode: number, operations })
    }

    /// Writes an operation.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn step(&mut self, step: &Recorded) -> io::Result<()> {
        let Recorded { op, answer, seen } = step;
        let news = (*seen != self.seen).then(|| seen.clone());
        self.line(&Step { op: op.clone(), answer: *answer, seen: news })?;
        self.seen.clone_from(seen);
        Ok(())
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<W> {
        self.line(&End { end: self.episodes })?;
        Ok(self.out)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(line)? + "\n";
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}
