//! The directory a run leaves behind.

use crate::error::LabError;
use barkeep_journal::layout::records_of;
use barkeep_journal::{Event, Header, json};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The journal as JSON lines.
pub const JOURNAL: &str = "journal.jsonl";
/// The serial console's output.
pub const CONSOLE: &str = "console.log";
/// What the inner command wrote to its standard output.
pub const STDOUT: &str = "stdout.txt";
/// What the inner command wrote to its standard error.
pub const STDERR: &str = "stderr.txt";

/// The results being written.
pub(crate) struct Results {
    dir: PathBuf,
    journal: BufWriter<File>,
    header: Header,
    last: Option<Event>,
}

impl Results {
    /// Makes the directory and the files in it that every run has. Files a former run left
    /// under these names go, so that none is taken for this one's.
    pub(crate) fn create(dir: &Path, header: Header, replay: Option<&str>) -> Result<Self, LabError> {
        let out = |source| LabError::Out { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(out)?;
        let dir = dir.canonicalize().map_err(out)?;
        for name in [STDOUT, STDERR] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(out(error)),
                _ => {}
            }
        }
        File::create(dir.join(CONSOLE)).map_err(out)?;
        let journal = File::create(dir.join(JOURNAL)).map_err(out)?;
        let mut results = Self { dir, journal: BufWriter::new(journal), header, last: None };
        let first = match replay {
            None => json::header_line(header),
            Some(replay) => json::header_line_with(header, replay),
        };
        results.line(&first)?;
        results.flush()?;
        Ok(results)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.dir.join(CONSOLE)
    }

    pub(crate) fn last(&self) -> Option<&Event> {
        self.last.as_ref()
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Writes an event read from the machine.
    pub(crate) fn write(&mut self, event: &Event) -> Result<(), LabError> {
        self.line(&json::line(event, self.header))?;
        self.last = Some(event.clone());
        Ok(())
    }

    /// Gives an event the outer half adds its place behind the last one, at its time: the
    /// machine's clock has stopped.
    pub(crate) fn placed(&self, mut event: Event) -> Event {
        if let Some(last) = &self.last {
            event.seq = last.seq + records_of(last) as u64;
            event.time_ns = last.time_ns;
        }
        event
    }

    pub(crate) fn flush(&mut self) -> Result<(), LabError> {
        let flushed = self.journal.flush();
        flushed.map_err(|source| LabError::Out { path: self.dir.join(JOURNAL), source })
    }

    fn line(&mut self, line: &str) -> Result<(), LabError> {
        let written = writeln!(self.journal, "{line}");
        written.map_err(|source| LabError::Out { path: self.dir.join(JOURNAL), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_journal::{Actor, Clock, Kind, Lane};

    const HEADER: Header = Header { lane: Lane::Lab, clock: Clock::Virtual };

    #[test]
    fn added_events_follow_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut results = Results::create(&dir.path().join("a/b"), HEADER, None).unwrap();
        let mut event = Event::new(Kind::Degraded, Actor::Lab).text("x".repeat(100)).at(7);
        event.seq = 4;
        results.write(&event).unwrap();
        let added = results.placed(Event::new(Kind::KernelLog, Actor::Lab));
        assert_eq!((added.seq, added.time_ns), (6, 7));
        results.flush().unwrap();
        let text = fs::read_to_string(dir.path().join("a/b").join(JOURNAL)).unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Results::create(&file.path().join("out"), HEADER, None).err().unwrap();
        assert_eq!(error.exit_code(), 2);
    }
}
