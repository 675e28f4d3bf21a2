//! Inside the lab: one run after the other. Each is a process of its own, so that nothing of one is left
//! for the next but what the kernel and the devices remember.

use super::list::{Item, List, MARK};
use crate::exit::{Exit, UsageExt, wrong};
use crate::guard::{self, Killing, Over};
use crate::here;
use anyhow::Context;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_scenario::Scenario;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

/// What a signal's number is added to in a status, as shells do.
pub const SIGNALLED: i32 = 128;
const SIGKILL: i32 = 9;

/// The kernel logs three faults in five seconds and drops the rest (`dmar_fault`). A scenario that sleeps
/// where that matters counts from its own first fault on: the run before must be that far away.
const BETWEEN_FAULTS: Duration = Duration::from_millis(5100);

/// Carries a list out, until a run does not pass or the journal is half full. What a run that did not
/// pass leaves behind is not known: the rest of the list is done in another boot.
///
/// # Errors
/// The list cannot be read; a run cannot be started.
pub fn carry_out(path: &Path) -> anyhow::Result<Exit> {
    let journal = here::lab_journal()?;
    let text = std::fs::read(path).usage(format!("cannot read {}", path.display()))?;
    let List { arguments, scenarios, runs } =
        serde_json::from_slice(&text).usage(format!("{} is no list of runs", path.display()))?;
    let habits = habits(&scenarios);
    let scenarios = written(&scenarios)?;
    let room = journal.room();
    let mut devices = None;
    for (n, item) in runs.iter().enumerate() {
        let scenario = scenarios.get(item.scenario).ok_or_else(|| {
            wrong(Exit::Usage, format!("run {} names scenario {}: there is none", item.number, item.scenario))
        })?;
        if n > 0 {
            // A run has at least as much room as all before it together took.
            if journal.room() < room / 2 {
                break;
            }
            devices = Some(restore(&journal)?);
            if habits[item.scenario].minds_fault_log {
                sleep(BETWEEN_FAULTS);
            }
        }
        let killing = Killing {
            by_itself: habits[item.scenario].kills_vmm,
            after: item.kill_after.map(Duration::from_nanos),
        };
        if !one(item, scenario, (&arguments, killing), devices.as_deref(), &journal)? {
            break;
        }
    }
    Ok(Exit::Pass)
}

/// Writes the scenarios where a run finds them.
fn written(scenarios: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = std::env::temp_dir();
    let write = |(n, text): (usize, &String)| {
        let path = folder.join(format!("scenario-{n}.toml"));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    scenarios.iter().enumerate().map(write).collect()
}

/// What has to be known of a scenario before it is run.
#[derive(Clone, Copy, Default)]
struct Habits {
    /// It may end its own VMM by SIGKILL.
    kills_vmm: bool,
    /// It counts on the kernel's log of faults.
    minds_fault_log: bool,
}

/// Those of each. What is no scenario its run tells.
fn habits(scenarios: &[String]) -> Vec<Habits> {
    let of = |scenario: Scenario| Habits {
        kills_vmm: scenario.kills_vmm(),
        minds_fault_log: scenario.minds_fault_log(),
    };
    scenarios.iter().map(|text| Scenario::parse(text).map(of).unwrap_or_default()).collect()
}

/// Whether the machine is as it was, as far as the run can tell itself: it passed, or it was killed as
/// it was to be and has left nothing behind.
fn one(
    item: &Item,
    scenario: &Path,
    (arguments, killing): (&[String], Killing),
    devices: Option<&str>,
    journal: &Journal,
) -> anyhow::Result<bool> {
    let mark = Event::new(Kind::Action, Actor::Lab).text(MARK).value(item.number as u64);
    let step = journal.begin(mark);
    let mut command = Command::new("/proc/self/exe");
    command.arg("replay").arg(scenario).args(["--lane", "lab"]).args(arguments);
    if let Some(seed) = item.seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(devices) = devices {
        command.env("BARKEEP_DEVICES", devices);
    }
    let over = guard::watch(&mut command, killing, devices, journal)?;
    let (result, goes_on) = match over {
        Over::Ended(status) => (code(status), status.success()),
        Over::Killed { left } => (0, left == 0),
        Over::Struck { left } => (SIGNALLED + SIGKILL, left == 0),
    };
    if !matches!(over, Over::Ended(_)) {
        // Others end with a look at their last fault; the next one, whatever it is, is to find its own recorded.
        sleep(BETWEEN_FAULTS);
    }
    journal.end(step, result);
    Ok(goes_on)
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or_default())
}

/// Makes the machine what the topology says it is; gives its devices as a run takes them from
/// `BARKEEP_DEVICES`: what was removed may have come back elsewhere.
fn restore(journal: &Journal) -> anyhow::Result<String> {
    let devices = barkeep_lab::ward::put_right(journal).context("the machine cannot be put right")?;
    let named = devices.iter().map(|(name, address)| format!("{name}={address}"));
    Ok(named.collect::<Vec<_>>().join(" "))
}
