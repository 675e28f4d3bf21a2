//! The journal of one boot, parted into those of its runs.

use super::inside::SIGNALLED;
use super::list::MARK;
use crate::journal_file::JournalFile;
use crate::wall_clock;
use barkeep_check::{Checker, Ended, Finding, Verdict};
use barkeep_journal::{Actor, Event, Header, Kind, Phase, Sink};
use barkeep_storm::Interleaving;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A run that is over.
pub struct Done {
    /// What its journal comes to.
    pub verdict: Verdict,
    /// Of its journal.
    pub header: Header,
    /// Its journal.
    pub journal: PathBuf,
    /// How many events it has.
    pub events: u64,
    /// From its first event to its last, nanoseconds of the run's clock.
    pub took_ns: u64,
    /// The order of actor and step, time removed.
    pub interleaving: u128,
    /// From its first event to its end, as seen from outside: nanoseconds of this machine's
    /// `CLOCK_MONOTONIC`.
    pub wall: Range<u64>,
}

/// A boot that is over.
pub struct Boot {
    /// Its runs, by their numbers.
    pub done: Vec<(usize, Done)>,
    /// What was found before the first of them.
    pub of_boot: Vec<Finding>,
}

/// Parts the events of one boot. Those between two runs (the kernel's log, the machine being restored)
/// belong to the run before; those before the first are judged by themselves.
pub struct Parts<'a> {
    /// Where the journal of a run of that number goes.
    folder: &'a dyn Fn(usize) -> PathBuf,
    boot: Checker,
    run: Option<Part>,
    done: Vec<(usize, Done)>,
    failed: anyhow::Result<()>,
}

/// One run's part.
struct Part {
    number: usize,
    /// The step that is this run.
    step: u32,
    file: JournalFile,
    checker: Checker,
    interleaving: Interleaving,
    since: u64,
    /// The place of its first event in the boot's journal: its own begins at 0.
    base: u64,
    first_ns: u64,
    last_ns: u64,
    events: u64,
    /// How its process ended.
    status: Option<i32>,
}

impl<'a> Parts<'a> {
    /// None yet.
    pub fn new(folder: &'a dyn Fn(usize) -> PathBuf) -> Self {
        Self { folder, boot: Checker::new(), run: None, done: Vec::new(), failed: Ok(()) }
    }

    /// Whether any run has begun.
    pub fn has_begun(&self) -> bool {
        self.run.is_some()
    }

    /// Takes the next event of the boot.
    pub fn event(&mut self, event: &Event, header: Header) {
        if let Some(number) = begins(event) {
            self.end_run(None);
            match Part::create(number, &(self.folder)(number), event, header) {
                Ok(part) => self.run = Some(part),
                Err(error) => self.failed = Err(error),
            }
        }
        let Some(run) = &mut self.run else {
            self.boot.event(event);
            return;
        };
        run.event(event);
        if (event.kind, event.phase, event.step) == (Kind::Action, Phase::End, run.step) {
            run.status = event.result;
        }
    }

    /// No event follows. `cut_off` says why, if the boot did not end by itself: that is the end of the
    /// run it met.
    ///
    /// # Errors
    /// A journal could not be written.
    pub fn finish(mut self, cut_off: Option<Ended>) -> anyhow::Result<Boot> {
        self.end_run(cut_off);
        self.failed?;
        // Of the boot only what was found; that it was never a run is as it must be.
        let found = self.boot.finish(Ended::ByItself(0)).findings;
        let of_boot = found.into_iter().filter(|finding| !finding.unfinished).collect();
        Ok(Boot { done: self.done, of_boot })
    }

    fn end_run(&mut self, cut_off: Option<Ended>) {
        let Some(run) = self.run.take() else { return };
        let number = run.number;
        match run.finish(cut_off) {
            Ok(done) => self.done.push((number, done)),
            Err(error) => self.failed = Err(error),
        }
    }
}

/// The number of the run that an event begins.
fn begins(event: &Event) -> Option<usize> {
    let ours = (event.kind, event.actor, event.phase) == (Kind::Action, Actor::Lab, Phase::Begin);
    event.value.filter(|_| ours && event.text == MARK).map(|number| number as usize)
}

impl Part {
    fn create(number: usize, folder: &Path, first: &Event, header: Header) -> anyhow::Result<Self> {
        Ok(Self {
            number,
            step: first.step,
            file: JournalFile::create(folder, header)?,
            checker: Checker::new(),
            interleaving: Interleaving::default(),
            since: wall_clock::now(),
            base: first.seq,
            first_ns: first.time_ns,
            last_ns: first.time_ns,
            events: 0,
            status: None,
        })
    }

    fn event(&mut self, event: &Event) {
        let mut event = event.clone();
        event.seq -= self.base;
        self.checker.event(&event);
        self.interleaving.event(&event);
        self.events += 1;
        self.last_ns = self.last_ns.max(event.time_ns);
        self.file.event(&event);
    }

    fn finish(self, cut_off: Option<Ended>) -> anyhow::Result<Done> {
        let header = self.file.header();
        let journal = self.file.finish()?;
        let ended = match (cut_off, self.status) {
            (Some(ended), _) => ended,
            (None, Some(status)) if status > SIGNALLED => {
                Ended::Died { why: format!("its process was ended by signal {}", status - SIGNALLED) }
            }
            (None, Some(status)) => Ended::ByItself(status),
            (None, None) => Ended::Died { why: "what carried the runs out ended before it".into() },
        };
        Ok(Done {
            verdict: self.checker.finish(ended),
            header,
            journal,
            events: self.events,
            took_ns: self.last_ns - self.first_ns,
            interleaving: self.interleaving.finish(),
            wall: self.since..wall_clock::now(),
        })
    }
}

#[cfg(test)]
#[path = "part_test.rs"]
mod tests;
