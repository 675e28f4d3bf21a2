//! QEMU as a child that cannot outlive us.
#![allow(
    unsafe_code,
    reason = "a parent-death signal and inherited files can only be set between fork and exec"
)]

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

/// A running QEMU. Dropping it kills it and waits for its end.
pub(crate) struct Qemu {
    child: Child,
    stderr: File,
    ended: Option<ExitStatus>,
}

impl Qemu {
    /// Starts `line` with the files `inherited`, in a process group of its own: a terminal's
    /// ^C goes to us, and we end it in our own time.
    pub(crate) fn start(line: &[String], inherited: Vec<Arc<File>>) -> io::Result<Self> {
        let stderr = File::from(memfd_create("stderr", MemfdFlags::CLOEXEC)?);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).process_group(0);
        command.stdin(Stdio::null()).stdout(stderr.try_clone()?).stderr(stderr.try_clone()?);
        let us = Pid::from_raw(std::process::id().cast_signed());
        // SAFETY: the closure makes system calls only, no allocation and no lock.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                for file in &inherited {
                    fcntl_setfd(file, FdFlags::empty())?;
                }
                // We may have died before the signal was asked for.
                if getppid() == us { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
            })
        };
        Ok(Self { child: command.spawn()?, stderr, ended: None })
    }

    /// How it ended, `None` while it runs.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Ends it, if it has not ended, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            // Both fail only where there is no such child any more.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// What it said on stdout and stderr.
    pub(crate) fn said(&mut self) -> String {
        let mut words = Vec::new();
        let read = self.stderr.rewind().and_then(|()| self.stderr.read_to_end(&mut words));
        match read {
            Ok(_) => String::from_utf8_lossy(&words).into_owned(),
            Err(error) => format!("(its words are lost: {error})"),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Qemu {
        Qemu::start(&["sh", "-c", script].map(str::to_owned), Vec::new()).unwrap()
    }

    #[test]
    fn its_words_and_end_are_known() {
        let mut child = shell("echo out; echo err >&2; exit 3");
        let status = loop {
            if let Some(status) = child.ended().unwrap() {
                break status;
            }
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(child.said(), "out\nerr\n");
    }

    #[test]
    fn dropped_means_dead() {
        let child = shell("sleep 100");
        let pid = Pid::from_raw(child.child.id().cast_signed()).unwrap();
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
