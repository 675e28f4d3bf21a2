//! One episode in a process of its own, into a journal in shared memory that outlives it: lanes `kvm` and
//! `host`, and in lane `model` one that failed.

use super::child::{self, Process};
use super::interrupt::Interrupt;
use super::judge::Judge;
use super::work::{self, Outcome, Show, Terms, Work};
use super::workers;
use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt};
use crate::journal_file::JournalFile;
use crate::{inside, model};
use anyhow::Context;
use barkeep_check::Ended;
use barkeep_journal::{Clock, Event, Header, Journal, Kind, Lane, Reader, Sink, layout};
use barkeep_scenario::Scenario;
use clap::Args;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The hidden subcommand that carries one episode out.
pub const SUBCOMMAND: &str = "storm-episode";
/// Records there is room for; memory is used as it fills.
const RECORDS: usize = 4 << 20;
const SIZE: usize = layout::HEADER_SIZE + RECORDS * layout::RECORD_SIZE;
/// Events without a sign of life among them after which an episode has hung.
const MOST_SILENT: u64 = 200_000;
/// How often a journal is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Options of the process that carries one episode out; its scenario is on standard input.
#[derive(Debug, Args)]
pub struct EpisodeOptions {
    /// Who is to outlive it.
    #[arg(long)]
    parent: i32,
    /// The parent's descriptor of the journal.
    #[arg(long)]
    journal: i32,
    /// As for `run`.
    #[command(flatten)]
    run: RunOptions,
}

/// Carries the episode out: the inside.
///
/// # Errors
/// The journal cannot be had, or what is read is no scenario. How the run ends is the status.
pub fn episode(options: &EpisodeOptions) -> anyhow::Result<Exit> {
    child::die_with(options.parent)?;
    let path = format!("/proc/{}/fd/{}", options.parent, options.journal);
    let file = File::options().read(true).write(true).open(path).context("cannot open the journal")?;
    let journal = Journal::join(file, SIZE)?;
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("cannot read the scenario")?;
    let scenario = Scenario::parse(&text).usage("no scenario")?;
    let run = &options.run;
    let seed = inside::seed(run, &scenario);
    let lane = journal.lane();
    let plan = inside::planned(scenario, run, lane)?;
    let result = match lane {
        Lane::Model => model::into(&plan, run, seed, journal.clone()),
        Lane::Kvm | Lane::Lab | Lane::Host => inside::run(plan, run, &journal),
    };
    let exit = result.as_ref().map_or_else(Exit::of, |exit| *exit);
    journal.finish(exit.code().into());
    result
}

/// Carries all episodes out, so many at the same time as the terms say, and shows each.
///
/// # Errors
/// No process, or no memory for a journal.
pub fn carry_out(
    work: Work<'_>,
    lane: Lane,
    terms: &Terms,
    interrupt: &Interrupt,
    keep: &dyn Fn(usize) -> Option<PathBuf>,
    show: &mut Show<'_>,
) -> anyhow::Result<()> {
    let mut running: BTreeMap<usize, Running> = BTreeMap::new();
    let mut over = BTreeMap::new();
    let (mut begun, mut shown) = (0, 0);
    loop {
        while running.len() < terms.jobs.max(1) && begun < work.len() && !terms.time_is_up() {
            running.insert(begun, Running::start(&work.episode(begun)?, lane, &terms.words)?);
            begun += 1;
        }
        let ended = running.iter_mut().map(|(number, one)| Ok((*number, one.look(terms.patience)?)));
        let ended = ended.collect::<anyhow::Result<Vec<_>>>()?;
        for (number, ended) in ended.into_iter().filter_map(|(number, ended)| Some((number, ended?))) {
            if let Some(one) = running.remove(&number) {
                over.insert(number, one.finish(ended, keep(number).as_deref())?);
            }
        }
        while let Some(outcome) = over.remove(&shown) {
            if show(shown, outcome).is_break() {
                return Ok(());
            }
            shown += 1;
        }
        if running.is_empty() && (begun == work.len() || terms.time_is_up()) {
            return Ok(());
        }
        interrupt.check()?;
        thread::sleep(LOOK);
    }
}

/// One episode under way.
struct Running {
    process: Process,
    file: File,
    reader: Reader,
    judge: Judge,
    resets: u64,
    /// When it last gave a sign of life, and the events there were since.
    since: Instant,
    silent: u64,
}

impl Running {
    fn start(scenario: &Scenario, lane: Lane, words: &[String]) -> anyhow::Result<Self> {
        let clock = if lane == Lane::Model { Clock::Virtual } else { Clock::Hardware };
        let (_, file) = Journal::in_memory(RECORDS, lane, clock)?;
        let reader = reader(&file)?;
        let mut command = child::command(SUBCOMMAND, words);
        command.arg("--journal").arg(file.as_raw_fd().to_string()).stdout(Stdio::null());
        let process = Process::start(command, work::text(scenario)?.as_bytes())?;
        let (judge, resets) = (Judge::default(), barkeep_storm::resets(scenario));
        Ok(Self { process, file, reader, judge, resets, since: Instant::now(), silent: 0 })
    }

    /// Takes in what there is; gives how it ended, if it has.
    fn look(&mut self, patience: Duration) -> anyhow::Result<Option<Ended>> {
        // Asked before the read: what was written before the end is then read for sure.
        let status = self.process.child.try_wait().context("cannot wait for an episode")?;
        while let Some(event) = self.reader.next_event() {
            self.judge.event(&event);
            self.silent += 1;
            if is_sign_of_life(&event) {
                (self.since, self.silent) = (Instant::now(), 0);
            }
        }
        match status {
            Some(status) => Ok(Some(ended(status))),
            None if self.since.elapsed() > patience || self.silent > MOST_SILENT => {
                self.process.end();
                Ok(Some(Ended::TimedOut))
            }
            None => Ok(None),
        }
    }

    /// Judges what is left, and writes the journal, where it is to be kept or anything is wrong.
    fn finish(mut self, ended: Ended, folder: Option<&Path>) -> anyhow::Result<Outcome> {
        while let Some(event) = self.reader.next_after_death() {
            self.judge.event(&event);
        }
        let said = if ended == Ended::ByItself(0) { None } else { self.process.said() };
        let mut outcome = Outcome { resets: self.resets, ..self.judge.finish(ended, said) };
        if let Some(folder) = folder.filter(|_| !outcome.verdict.passed()) {
            outcome.journal = Some(written(&self.file, folder)?);
        }
        Ok(outcome)
    }
}

/// Whether the scenario goes on. A guest that meets one fault after the other writes events, too.
fn is_sign_of_life(event: &Event) -> bool {
    matches!(event.kind, Kind::Action | Kind::Expectation)
}

fn reader(file: &File) -> anyhow::Result<Reader> {
    Ok(Reader::open(file.try_clone().context("cannot duplicate a file")?, SIZE)?)
}

/// Writes a journal out, from its first event on.
fn written(journal: &File, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut reader = reader(journal)?;
    let header: Header = reader.header();
    let mut file = JournalFile::create(folder, header)?;
    while let Some(event) = reader.next_after_death() {
        file.event(&event);
    }
    file.finish()
}

fn ended(status: ExitStatus) -> Ended {
    match status.code() {
        Some(code) => Ended::ByItself(code),
        None => workers::died(Some(status)),
    }
}
