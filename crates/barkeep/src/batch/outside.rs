//! Outside of the lab: as many boots as it takes.

use super::list::List;
pub use super::part::Done;
use super::part::{Boot, Parts};
use crate::cli::LabOptions;
use crate::exit::{Exit, UsageExt, wrong};
use crate::outside;
use anyhow::Context;
use barkeep_check::Ended;
use barkeep_lab::{LabError, Outcome};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A run to be carried out.
pub struct Run {
    /// Its scenario's text.
    pub scenario: String,
    /// Its seed, where it has one.
    pub seed: Option<u64>,
    /// Its process is ended by SIGKILL that long after its start, on the machine's clock. What is left
    /// of it is looked at; if that is nothing, the boot goes on.
    pub kill_after: Option<Duration>,
    /// Where its journal goes.
    pub folder: PathBuf,
}

/// Runs on one topology and kernel.
pub struct Errand<'a> {
    /// As for `lab`.
    pub kernel: Option<&'a Path>,
    /// As for `lab`.
    pub topology: &'a str,
    /// As for `lab`.
    pub fast: bool,
    /// As for `lab`: for the boot, and again for each run.
    pub timeout: u64,
    /// Words for each run's command line, the same for all.
    pub arguments: &'a [String],
    /// In this order.
    pub runs: &'a [Run],
    /// Where what the boots leave goes.
    pub boots: &'a Path,
}

/// Carries all runs out, in one boot if all goes well, and shows each by its number once its boot is
/// over. Breaking off leaves out what has not been shown.
///
/// # Errors
/// The lab cannot run, or the testbed failed. What a run does wrong is in what is shown.
pub fn carry_out(
    errand: &Errand<'_>,
    show: &mut dyn FnMut(usize, Done) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let mut next = 0;
    let mut boot = 1;
    while next < errand.runs.len() {
        let folder = errand.boots.join(boot.to_string());
        let done = one_boot(errand, next, &folder)?;
        for (number, done) in done {
            next = number + 1;
            if show(number, done).is_break() {
                return Ok(());
            }
        }
        boot += 1;
    }
    Ok(())
}

/// One boot, for the runs from `first` on; at least that one is carried out.
fn one_boot(errand: &Errand<'_>, first: usize, folder: &Path) -> anyhow::Result<Vec<(usize, Done)>> {
    let request = outside::request(&LabOptions {
        kernel: errand.kernel.map(Path::to_owned),
        topology: Some(errand.topology.to_owned()),
        fast: errand.fast,
        timeout: errand.timeout,
        ..LabOptions::of(vec!["batch".to_owned(), listed(errand, first, folder)?], folder)
    })?;
    let place = |number: usize| errand.runs[number].folder.clone();
    let mut parts = Parts::new(&place);
    let outcome = barkeep_lab::run(&request, &mut |event, header| parts.event(event, header));
    let (cut_off, status, outcome) = match outcome {
        // An emulator that dies under a run is that run's verdict.
        Err(error @ LabError::Crashed { .. }) if parts.has_begun() => {
            (Some(Ended::Died { why: error.to_string() }), error.exit_code(), error.to_string())
        }
        Err(error) => return Err(outside::lab_error(error)),
        Ok(outcome) => {
            let (said, status) = (outcome.to_string(), outcome.exit_code());
            match outcome {
                Outcome::Finished { .. } => (None, status, said),
                Outcome::TimedOut { .. } | Outcome::Hung { .. } => (Some(Ended::TimedOut), status, said),
                Outcome::Died { .. } => (Some(Ended::Died { why: said.clone() }), status, said),
                Outcome::Interrupted { .. } => return Err(wrong(Exit::from_code(status), said)),
            }
        }
    };
    let Boot { done, of_boot } = parts.finish(cut_off)?;
    if let Some(finding) = of_boot.first() {
        return Err(wrong(Exit::Broken, format!("before the first run: {}", finding.what)));
    }
    if done.is_empty() || status == i32::from(Exit::Usage.code()) {
        let stderr = std::fs::read_to_string(folder.join("stderr.txt")).unwrap_or_default();
        let what = format!("{outcome}; {}, {}", stderr.trim_end(), folder.display());
        return Err(wrong(Exit::from_code(status.max(1)), what));
    }
    if status != 0 {
        eprintln!("barkeep: {outcome}; see {}", folder.display());
    }
    Ok(done)
}

/// Writes the list of what is left to do; gives its path.
fn listed(errand: &Errand<'_>, first: usize, folder: &Path) -> anyhow::Result<String> {
    let mut list = List { arguments: errand.arguments.to_vec(), ..List::default() };
    for (number, run) in errand.runs.iter().enumerate().skip(first) {
        list.add(number, &run.scenario, run.seed, run.kill_after);
    }
    std::fs::create_dir_all(folder).usage(format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join("runs.json");
    let text = serde_json::to_vec(&list).context("a list of runs is JSON")?;
    std::fs::write(&path, text).usage(format!("cannot write {}", path.display()))?;
    let path = path.into_os_string().into_string();
    path.map_err(|path| wrong(Exit::Usage, format!("{} is not UTF-8", path.display())))
}
