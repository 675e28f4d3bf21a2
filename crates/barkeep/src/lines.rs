//! A journal as it goes into a file and before a person's eyes, event by event.

use crate::cli::RunOptions;
use crate::exit::{self, Exit};
use crate::journal_file::JournalFile;
use crate::recipe::Recipe;
use crate::show::Show;
use barkeep_check::Ended;
use barkeep_journal::{Event, Header, Sink};
use barkeep_scenario::Scenario;
use std::path::Path;

/// `journal.jsonl` being written, and the verdict being formed.
pub struct Lines {
    file: JournalFile,
    show: Show,
}

impl Lines {
    /// Makes the folder and the file, and writes the header line.
    ///
    /// # Errors
    /// Results cannot be written there.
    pub fn create(
        options: &RunOptions,
        scenario: &Scenario,
        seed: u64,
        header: Header,
    ) -> anyhow::Result<Self> {
        let out = options.out.as_deref().unwrap_or(Path::new("out/run"));
        let file = match options.guest.guest {
            Some(_) => JournalFile::create(out, header)?,
            None => JournalFile::of_recipe(out, header, &Recipe::of(options, scenario, seed)?)?,
        };
        Ok(Self { file, show: Show::new() })
    }

    /// Writes out what is held back.
    pub fn flush(&mut self) {
        self.file.flush();
    }

    /// Prints the verdict of a run that came to `result`, and gives its status.
    ///
    /// # Errors
    /// The journal could not be written.
    pub fn verdict(self, result: &anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let path = self.file.finish()?;
        let status = match result {
            Ok(exit) => *exit,
            Err(error) => {
                eprintln!("barkeep: {}", exit::told(error));
                Exit::of(error)
            }
        };
        Ok(self.show.verdict(Ended::ByItself(status.code().into()), &path))
    }
}

impl Sink for Lines {
    fn event(&mut self, event: &Event) {
        self.file.event(event);
        self.show.event(event, self.file.header());
    }
}
