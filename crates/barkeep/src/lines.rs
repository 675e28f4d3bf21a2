//! A journal as it goes into a file and before a person's eyes, event by event.

use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt};
use crate::show::Show;
use barkeep_check::Ended;
use barkeep_journal::{Event, Header, Sink, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// `journal.jsonl` being written, and the verdict being formed.
pub struct Lines {
    file: BufWriter<File>,
    path: PathBuf,
    header: Header,
    show: Show,
    /// The first write that failed.
    failed: io::Result<()>,
}

impl Lines {
    /// Makes the folder and the file, and writes the header line.
    ///
    /// # Errors
    /// Results cannot be written there.
    pub fn create(options: &RunOptions, header: Header) -> anyhow::Result<Self> {
        let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/run"));
        std::fs::create_dir_all(&out).usage(format!("cannot make the folder {}", out.display()))?;
        let path = out.join("journal.jsonl");
        let file = File::create(&path).usage(format!("cannot write {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let failed = writeln!(file, "{}", json::header_line(header));
        Ok(Self { file, path, header, show: Show::new(), failed })
    }

    /// Writes out what is held back.
    pub fn flush(&mut self) {
        if self.failed.is_ok() {
            self.failed = self.file.flush();
        }
    }

    /// Prints the verdict of a run that came to `result`, and gives its status.
    ///
    /// # Errors
    /// The journal could not be written.
    pub fn verdict(mut self, result: &anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        self.flush();
        self.failed.usage(format!("cannot write {}", self.path.display()))?;
        let status = match result {
            Ok(exit) => *exit,
            Err(error) => {
                eprintln!("barkeep: {error:#}");
                Exit::of(error)
            }
        };
        Ok(self.show.verdict(Ended::ByItself(status.code().into()), &self.path))
    }
}

impl Sink for Lines {
    fn event(&mut self, event: &Event) {
        if self.failed.is_ok() {
            self.failed = writeln!(self.file, "{}", json::line(event, self.header));
        }
        self.show.event(event, self.header);
    }
}
