//! The thread that types what comes in on standard input into the guest's console.

use crate::sandbox;
use anyhow::Context;
use barkeep_sandbox::{Role, Sandbox};
use barkeep_vmm::Machine;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Types until the input ends, the guest, or this is dropped. It has a hold on the machine, with its KVM and
/// iommufd files: a read of an input on which nothing comes must not keep those.
pub struct Typist {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Typist {
    /// Starts.
    ///
    /// # Errors
    /// No file descriptor or thread.
    pub fn start(machine: &Arc<Machine>, confined: &Arc<Sandbox>) -> anyhow::Result<Self> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC).context("cannot make an event")?;
        let stopped = stop.try_clone().context("cannot make an event")?;
        let (machine, confined) = (Arc::clone(machine), Arc::clone(confined));
        let thread = std::thread::Builder::new()
            .name("console".into())
            .spawn(move || {
                sandbox::thread(&confined, Role::Console);
                type_in(&machine, &stopped);
            })
            .context("cannot start the console's thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        // An eventfd takes any number but the greatest. A guest that reads nothing more was stopped before.
        if rustix::io::write(&self.stop, &1_u64.to_ne_bytes()).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn type_in(machine: &Machine, stop: &OwnedFd) {
    let input = rustix::stdio::stdin();
    let mut bytes = [0; 256];
    while waits_for(input, stop) {
        match rustix::io::read(input, &mut bytes) {
            Ok(0) => return,
            Ok(read) if machine.console().type_in(&bytes[..read]) => {}
            Ok(_) => return,
            // Somebody else has read it, where the input is not this process's alone.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return log::warn!("nothing more can be typed into the guest: {error}"),
        }
    }
}

/// Until there is something to read; false once there will be nothing more to do.
fn waits_for(input: BorrowedFd<'_>, stop: &OwnedFd) -> bool {
    loop {
        let mut waited = [PollFd::new(&input, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) if !waited[1].revents().is_empty() => return false,
            Ok(_) if !waited[0].revents().is_empty() => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                log::warn!("nothing more can be typed into the guest: {error}");
                return false;
            }
        }
    }
}
