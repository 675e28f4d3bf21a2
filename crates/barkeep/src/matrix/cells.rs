//! The cells of a machine, as files and as runs.

use super::{emulated, simulated};
use crate::cli::MatrixOptions;
use crate::exit::UsageExt;
use anyhow::Context;
use barkeep_check::Verdict;
use barkeep_journal::Event;
use barkeep_lab::shell_quoted;
use barkeep_matrix::table::Outcome;
use barkeep_matrix::{Cell, Column, Job, Machine, Trigger, judge};
use barkeep_report::jsonl;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One cell.
pub struct Place {
    /// What happens.
    pub trigger: Trigger,
    /// How, or why not.
    pub cell: Cell,
    /// Where its scenario is, and its journal goes.
    pub folder: PathBuf,
}

/// All cells of one machine.
pub struct Errand<'a> {
    /// The machine.
    pub column: &'a Column,
    /// In the order of the triggers.
    pub cells: Vec<Place>,
}

impl<'a> Errand<'a> {
    /// Makes the cells, and writes their scenarios.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn new(column: &'a Column, triggers: &[Trigger], options: &MatrixOptions) -> anyhow::Result<Self> {
        let place = |trigger: &Trigger| {
            let cell = Cell::of(*trigger, column);
            let folder = options.out.join(trigger.name()).join(file_name(&column.name));
            if let Cell::Run(job) = &cell {
                write(job, &folder)?;
            }
            Ok(Place { trigger: *trigger, cell, folder })
        };
        Ok(Self { column, cells: triggers.iter().map(place).collect::<anyhow::Result<_>>()? })
    }

    /// The cells that are carried out.
    pub fn jobs(&self) -> impl Iterator<Item = (usize, &Place, &Job)> {
        self.cells.iter().enumerate().filter_map(|(n, place)| match &place.cell {
            Cell::Run(job) => Some((n, place, &**job)),
            Cell::Never(_) => None,
        })
    }

    /// What is known of the cells before anything is carried out.
    fn outcomes(&self) -> Vec<Outcome> {
        let known = |place: &Place| match &place.cell {
            Cell::Run(_) => Outcome::Left,
            Cell::Never(why) => Outcome::Never(why.clone()),
        };
        self.cells.iter().map(known).collect()
    }
}

/// A topology of somebody else's is named by its file.
pub fn file_name(column: &str) -> String {
    let stem = Path::new(column).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| column.to_owned())
}

fn write(job: &Job, folder: &Path) -> anyhow::Result<()> {
    let text = job.scenario.to_toml().context("a cell's scenario can be written down")?;
    std::fs::create_dir_all(folder).usage(format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join("scenario.toml");
    std::fs::write(&path, text).usage(format!("cannot write {}", path.display()))
}

/// Carries all of them out, several machines at a time; gives what came of each cell.
///
/// # Errors
/// The testbed failed.
pub fn carry_out(errands: &[Errand<'_>], options: &MatrixOptions) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let done: Vec<Mutex<Vec<Outcome>>> = errands.iter().map(|errand| Mutex::new(errand.outcomes())).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(errand) = errands.get(place) else { return };
            let mut show = |n: usize, outcome: Outcome| {
                tell(errand, n, &outcome);
                lock(&done[place])[n] = outcome;
            };
            let result = match &errand.column.machine {
                Machine::Lab => emulated::carry_out(errand, options, &mut show),
                Machine::Model(devices) => simulated::carry_out(errand, devices, &mut show),
            };
            if let Err(error) = result {
                lock(&failed).get_or_insert(error);
                // Nobody begins another one.
                next.store(errands.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs() {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_default() {
        Some(error) => Err(error),
        None => Ok(done.iter().map(|outcomes| lock(outcomes).clone()).collect()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A line for whoever waits.
fn tell(errand: &Errand<'_>, n: usize, outcome: &Outcome) {
    let how = match outcome {
        Outcome::Passed { .. } => "pass",
        Outcome::Failed(_) => "FAIL",
        Outcome::Never(_) | Outcome::Left => return,
    };
    eprintln!("{how}  {} on {}", errand.cells[n].trigger, errand.column.name);
}

/// What came of a cell, by the checker's verdict and by what its journal shows.
pub fn outcome(job: &Job, verdict: &Verdict, events: &[Event]) -> Outcome {
    if let Some(finding) = verdict.findings.first() {
        return Outcome::Failed(format!("{}: {}", finding.invariant, finding.what));
    }
    if !verdict.passed() {
        return Outcome::Failed(format!("status {}", verdict.exit_code()));
    }
    match judge(events, &job.wanted) {
        Ok(away) => Outcome::Passed { end: job.wanted.end, away },
        Err(missing) => Outcome::Failed(missing.to_string()),
    }
}

/// The events of a journal that was written here.
///
/// # Errors
/// It cannot be read.
pub fn events(journal: &Path) -> anyhow::Result<Vec<Event>> {
    let what = || format!("cannot read {}", journal.display());
    let (_, events) = jsonl::open(journal).with_context(what)?;
    events.collect::<Result<_, _>>().with_context(what)
}

/// The command that does a cell alone.
pub fn alone(column: &Column, place: &Place, options: &MatrixOptions) -> String {
    let scenario = place.folder.join("scenario.toml").display().to_string();
    let mut words = vec!["barkeep".to_owned(), "replay".to_owned(), scenario, "--lane".to_owned()];
    words.push(column.lane().to_owned());
    match &column.machine {
        Machine::Lab => {
            if let Some(kernel) = &options.kernel {
                words.extend(["--kernel".to_owned(), kernel.display().to_string()]);
            }
        }
        Machine::Model(devices) => {
            for device in devices {
                words.extend(["--device".to_owned(), device.clone()]);
            }
        }
    }
    shell_quoted(&words)
}
