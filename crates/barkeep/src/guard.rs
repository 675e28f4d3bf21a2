//! Watches over a VMM's process inside the lab that is to be ended by SIGKILL, by its own scenario or
//! from here, and looks at what is left of it.

use crate::aftermath::{self, Lent};
use anyhow::Context;
use barkeep_journal::{Actor, Event, Journal, Kind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Set for a process that somebody watches over.
const WATCHED: &str = "BARKEEP_WATCHED";
const SIGKILL: i32 = 9;

/// How a process is to be ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Killing {
    /// Its scenario may do it.
    pub by_itself: bool,
    /// It is done from outside, that long after its start.
    pub after: Option<Duration>,
}

/// A process that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It was killed, as its scenario has it.
    Killed {
        /// Things that were left behind.
        left: u64,
    },
    /// It was killed from here, with nothing in its scenario of it.
    Struck {
        /// Things that were left behind.
        left: u64,
    },
}

/// Whether somebody watches over this process.
pub fn is_watched() -> bool {
    std::env::var_os(WATCHED).is_some()
}

/// Runs a command that is a VMM's to its end, and looks at what a killed one leaves. `devices` are the
/// machine's, as [`Lent::now`] takes them.
///
/// # Errors
/// It cannot be started or waited for, or what it left cannot be looked at.
pub fn watch(
    command: &mut Command,
    killing: Killing,
    devices: Option<&str>,
    journal: &Journal,
) -> anyhow::Result<Over> {
    let planned = killing != Killing::default();
    let lifetime = planned.then(|| journal.begin(Event::new(Kind::Process, Actor::Vmm).text("vmm")));
    // A run that nobody is to kill may be of a machine without any.
    let lent = planned.then(|| Lent::now(devices)).transpose()?;
    let mut child = command.env(WATCHED, "1").spawn().context("cannot start a run")?;
    let (status, struck) = wait(&mut child, killing.after).context("cannot wait for a run")?;
    let killed = status.signal() == Some(SIGKILL);
    if let Some(lifetime) = lifetime {
        let text = if killed { "SIGKILL" } else { "exit" };
        journal.end_with(lifetime, |event| event.text(text).result(0));
    }
    let Some(lent) = lent.filter(|_| killed) else { return Ok(Over::Ended(status)) };
    let left = aftermath::look(&lent, journal)?;
    if struck || !killing.by_itself {
        return Ok(Over::Struck { left });
    }
    // Who would have written it is dead, as it was meant to be.
    journal.emit(Event::new(Kind::RunEnd, Actor::Lab).result(0));
    Ok(Over::Killed { left })
}

/// Waits for the end of a process, and ends it if that does not come in time; gives whether that was done.
fn wait(child: &mut Child, after: Option<Duration>) -> std::io::Result<(ExitStatus, bool)> {
    let Some(after) = after else { return Ok((child.wait()?, false)) };
    let pid = Pid::from_child(child);
    let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
    let mut waited = [PollFd::new(&descriptor, PollFlags::IN)];
    let limit = Timespec { tv_sec: after.as_secs().cast_signed(), tv_nsec: after.subsec_nanos().into() };
    let ended = poll(&mut waited, Some(&limit))? > 0;
    if !ended {
        child.kill()?;
    }
    Ok((child.wait()?, !ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_journal::{Clock, Lane};

    fn over(script: &str, killing: Killing) -> (ExitStatus, bool) {
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        wait(&mut child, killing.after).unwrap()
    }

    #[test]
    fn who_is_not_over_in_time_is_killed_and_nobody_else() {
        let soon = Killing { by_itself: false, after: Some(Duration::from_millis(20)) };
        let (status, struck) = over("sleep 100", soon);
        assert_eq!((status.signal(), struck), (Some(SIGKILL), true));
        let late = Killing { after: Some(Duration::from_secs(100)), ..soon };
        let (status, struck) = over("exit 7", late);
        assert_eq!((status.code(), struck), (Some(7), false));
        assert_eq!(over("kill -9 $$", Killing::default()).0.signal(), Some(SIGKILL));
    }

    #[test]
    fn a_process_nobody_is_to_kill_leaves_no_trace_in_the_journal() {
        let (journal, _) = Journal::in_memory(16, Lane::Lab, Clock::Virtual).unwrap();
        let room = journal.room();
        let mut command = Command::new("sh");
        let over = watch(command.args(["-c", "exit 3"]), Killing::default(), None, &journal).unwrap();
        assert!(matches!(over, Over::Ended(status) if status.code() == Some(3)));
        assert_eq!(journal.room(), room);
    }
}
