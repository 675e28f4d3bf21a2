//! Processes that carry episodes out: each dies with this one, and what it says last is known.

use anyhow::Context;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running process. Dropped, it is killed and waited for.
pub struct Process {
    /// It.
    pub child: Child,
    stderr: File,
}

/// Has this process end with the one that started it. The kernel sends the signal when the *thread*
/// ends that started it, so that has to stay.
///
/// # Errors
/// The kernel refuses, or it is gone already.
pub fn die_with(parent: i32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot be bound to who started this")?;
    // It may have died before the signal was asked for.
    anyhow::ensure!(getppid() == Pid::from_raw(parent), "who started this is gone");
    Ok(())
}

/// This command, as this same process would be called: with `--parent`, for [`die_with`].
pub fn command(subcommand: &str, words: &[String]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // A terminal's ^C goes to us, and we end it in our own time.
    command.arg(subcommand).process_group(0);
    command.arg("--parent").arg(std::process::id().to_string()).args(words);
    command
}

/// A file in memory that has this text, to be read from its beginning.
///
/// # Errors
/// No memory.
pub fn in_memory(text: &[u8]) -> anyhow::Result<File> {
    let file = memfd_create("barkeep", MemfdFlags::CLOEXEC).context("no file in memory")?;
    let mut file = File::from(file);
    file.write_all(text).and_then(|()| file.rewind()).context("cannot write to memory")?;
    Ok(file)
}

impl Process {
    /// Starts it, with this text on its standard input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut command: Command, input: &[u8]) -> anyhow::Result<Self> {
        let stderr = in_memory(b"")?;
        let words = stderr.try_clone().context("cannot duplicate a file")?;
        command.stdin(in_memory(input)?).stderr(Stdio::from(words));
        Ok(Self { child: command.spawn().context("cannot start another process of this program")?, stderr })
    }

    /// The last of what it said on standard error, on one line; `None` if nothing.
    pub fn said(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        // Its words are lost then; what it did is not.
        let _ = self.stderr.rewind().and_then(|()| self.stderr.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        (!last.is_empty()).then(|| last.join(" / "))
    }

    /// Ends it, if it has not ended, and gives how it ended.
    pub fn end(&mut self) -> Option<ExitStatus> {
        // Fails only where it has ended.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

/// Of a process's last words.
const LAST_LINES: usize = 3;

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A signal that ended a process, in words.
pub fn killed_by(status: ExitStatus) -> Option<String> {
    let number = status.signal()?;
    let known = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
    ];
    let name = known.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name);
    Some(name.map_or_else(|| format!("signal {number}"), str::to_owned))
}
