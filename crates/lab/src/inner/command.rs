//! The inner command: a child of PID 1, so that its death is a status and not a panic.

use super::{InnerError, OUT, lab_event, windows};
use crate::command_line::JOURNAL_SLOT;
use crate::inside::Orders;
use crate::results::{STDERR, STDOUT};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The word that runs another program than this one.
const EXEC: &str = "exec";
const SHARE: &str = "/share";
/// The status of a command that a signal ended.
const EXIT_KILLED: i32 = 1;

/// Runs the inner command to its end and gives its status.
pub(super) fn run(
    orders: &Orders,
    devices: &[(String, DeviceAddress)],
    journal: &Journal,
) -> Result<i32, InnerError> {
    let (program, arguments) = program(&orders.command)?;
    let mut command = Command::new(&program);
    command.args(arguments).current_dir("/").env_clear().stdin(Stdio::null());
    command.envs(environment(orders, devices, journal)?);
    command.stdout(output(STDOUT)?).stderr(output(STDERR)?);
    let step = journal.begin(Event::new(Kind::Action, Actor::Lab).text(orders.command.join(" ")));
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            journal.end(step, -error.raw_os_error().unwrap_or_default());
            return Err(InnerError::Start(program, error));
        }
    };
    let ended = wait_for(Pid::from_raw(child.id().cast_signed()))
        .map_err(|error| InnerError::Io("cannot wait for the command", error.into()))?;
    let status = status_of(ended, journal);
    journal.end(step, status);
    end_leftovers(journal);
    Ok(status)
}

fn program(command: &[String]) -> Result<(PathBuf, &[String]), InnerError> {
    match command.split_first() {
        Some((word, rest)) if word == EXEC => {
            let (program, arguments) = rest.split_first().ok_or(InnerError::NoProgram)?;
            // An absolute path stands for itself.
            Ok((Path::new(SHARE).join(program), arguments))
        }
        _ => Ok((PathBuf::from("/init"), command)),
    }
}

fn environment(
    orders: &Orders,
    devices: &[(String, DeviceAddress)],
    journal: &Journal,
) -> Result<Vec<(&'static str, String)>, InnerError> {
    let path = windows::path(JOURNAL_SLOT);
    let size = path.metadata().map_err(|error| InnerError::Io("cannot find the journal", error))?.len();
    let named: Vec<_> = devices.iter().map(|(name, address)| format!("{name}={address}")).collect();
    let planted = orders.planted.iter().map(|name| (barkeep_planted::VARIABLE, name.clone()));
    let mut variables = vec![
        ("BARKEEP_JOURNAL", path.to_string_lossy().into_owned()),
        ("BARKEEP_JOURNAL_SIZE", size.to_string()),
        ("BARKEEP_LANE", journal.lane().to_string()),
        ("BARKEEP_CLOCK", orders.clock().to_string()),
        ("BARKEEP_OUT", OUT.to_owned()),
        ("BARKEEP_DEVICES", named.join(" ")),
        ("HOME", "/tmp".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
    ];
    variables.extend(planted);
    Ok(variables)
}

fn output(name: &str) -> Result<File, InnerError> {
    File::create(Path::new(OUT).join(name))
        .map_err(|error| InnerError::Io("cannot make an output file", error))
}

/// Reaps whatever ends until `child` has.
fn wait_for(child: Option<Pid>) -> rustix::io::Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == child => return Ok(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn status_of(ended: WaitStatus, journal: &Journal) -> i32 {
    match (ended.exit_status(), ended.terminating_signal()) {
        (Some(status), _) => status,
        (None, Some(number)) => {
            let event = lab_event(format!("the command was killed by {}", signal_name(number)));
            journal.emit(event.value(u64::from(number.unsigned_abs())));
            EXIT_KILLED
        }
        (None, None) => EXIT_KILLED,
    }
}

fn signal_name(number: i32) -> String {
    let known = [
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
        (Signal::SYS, "SIGSYS"),
    ];
    let name = known.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name);
    name.map_or_else(|| format!("signal {number}"), str::to_owned)
}

/// Ends what the command left running, so that what it held is given up before the end.
fn end_leftovers(journal: &Journal) {
    // Group 1, negated, is -1: every process but this one.
    if kill_process_group(Pid::INIT, Signal::KILL) == Err(Errno::SRCH) {
        return;
    }
    let mut count = 0;
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {
        count += 1;
    }
    if count > 0 {
        journal.emit(Event::new(Kind::Leftover, Actor::Lab).text("processes").value(count));
    }
}

impl From<Errno> for InnerError {
    fn from(error: Errno) -> Self {
        Self::Io("a system call failed", io::Error::from(error))
    }
}
