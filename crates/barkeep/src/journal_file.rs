//! A run's journal as it goes into a file.

use crate::exit::UsageExt;
use crate::recipe::Recipe;
use barkeep_journal::{Event, Header, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// `journal.jsonl` being written.
pub struct JournalFile {
    file: BufWriter<File>,
    path: PathBuf,
    header: Header,
    /// The first write that failed; none is tried after it.
    written: io::Result<()>,
}

impl JournalFile {
    /// Makes the folder and the file, and writes the header line.
    ///
    /// # Errors
    /// Results cannot be written there.
    pub fn create(folder: &Path, header: Header) -> anyhow::Result<Self> {
        Self::with_first_line(folder, header, &json::header_line(header))
    }

    /// The same of a run that can be carried out again.
    ///
    /// # Errors
    /// Results cannot be written there.
    pub fn of_recipe(folder: &Path, header: Header, recipe: &Recipe) -> anyhow::Result<Self> {
        Self::with_first_line(folder, header, &json::header_line_with(header, &recipe.to_json()))
    }

    fn with_first_line(folder: &Path, header: Header, line: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).usage(format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join("journal.jsonl");
        let file = File::create(&path).usage(format!("cannot write {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let written = writeln!(file, "{line}");
        Ok(Self { file, path, header, written })
    }

    /// What its first line says.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Writes an event's line.
    pub fn event(&mut self, event: &Event) {
        if self.written.is_ok() {
            self.written = writeln!(self.file, "{}", json::line(event, self.header));
        }
    }

    /// Writes out what is held back.
    pub fn flush(&mut self) {
        if self.written.is_ok() {
            self.written = self.file.flush();
        }
    }

    /// No event follows; gives where it is.
    ///
    /// # Errors
    /// It could not be written.
    pub fn finish(mut self) -> anyhow::Result<PathBuf> {
        self.flush();
        self.written.usage(format!("cannot write {}", self.path.display()))?;
        Ok(self.path)
    }
}
