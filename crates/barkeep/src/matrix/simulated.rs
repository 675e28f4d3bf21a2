//! The cells of a simulated machine: in this process, in milliseconds.

use super::cells::{self, Errand};
use crate::cli::RunOptions;
use crate::exit::{Exit, told};
use crate::inside;
use crate::journal_file::JournalFile;
use crate::model::{self, Done};
use barkeep_check::{Checker, Ended};
use barkeep_journal::{Clock, Event, Header, Lane, Sink};
use barkeep_matrix::table::Outcome;
use std::path::Path;

/// Judges the events and keeps them.
#[derive(Default)]
struct Kept {
    checker: Checker,
    events: Vec<Event>,
}

impl Sink for Kept {
    fn event(&mut self, event: &Event) {
        self.checker.event(event);
        self.events.push(event.clone());
    }
}

/// Carries them out and shows what came of each.
///
/// # Errors
/// A scenario does not fit the devices, or a journal cannot be written.
pub fn carry_out(
    errand: &Errand<'_>,
    devices: &[String],
    show: &mut dyn FnMut(usize, Outcome),
) -> anyhow::Result<()> {
    for (n, place, job) in errand.jobs() {
        let options = RunOptions::of_scenario(&place.folder.join("scenario.toml"), devices)?;
        let plan = inside::plan(&options, Lane::Model)?;
        let Done { result, sink, .. } = model::once(&plan, &options, model::SEED, Kept::default())?;
        let status = result.as_ref().map_or_else(Exit::of, |exit| *exit);
        let verdict = sink.checker.finish(Ended::ByItself(status.code().into()));
        write(&sink.events, &place.folder)?;
        let outcome = match result {
            Err(error) => Outcome::Failed(told(&error)),
            Ok(_) => cells::outcome(job, &verdict, &sink.events),
        };
        show(n, outcome);
    }
    Ok(())
}

fn write(events: &[Event], folder: &Path) -> anyhow::Result<()> {
    let mut file = JournalFile::create(folder, Header { lane: Lane::Model, clock: Clock::Virtual })?;
    events.iter().for_each(|event| file.event(event));
    file.finish().map(drop)
}
