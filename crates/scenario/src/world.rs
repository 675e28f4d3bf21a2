//! What a scenario needs of a lane: a board whose guest is the probe, and a way to let time
//! pass.

use barkeep_journal::DeviceAddress;
use barkeep_platform::Board;
use barkeep_probe::{Command, Reply};
use std::time::Duration;

/// Why a lane could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The guest gave no answer in time: a hang.
    #[error("{0}")]
    Hang(String),
    /// A device of the guest's answers all ones.
    #[error("{0}")]
    Gone(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A running VM whose guest is the probe.
pub trait World: Sync {
    /// Its RAM and devices.
    fn board(&self) -> &Board;

    /// Sends the probe on a vCPU a command.
    ///
    /// # Errors
    /// See [`WorldError`].
    fn send(&self, vcpu: usize, command: Command) -> Result<(), WorldError>;

    /// Waits for its reply.
    ///
    /// # Errors
    /// See [`WorldError`].
    fn receive(&self, vcpu: usize) -> Result<Reply, WorldError>;

    /// Resets the machine, whatever its vCPUs are at: its devices are reset and set up as firmware does,
    /// and the probe starts from the beginning. What it was asked and has not answered is forgotten;
    /// RAM is kept.
    ///
    /// # Errors
    /// See [`WorldError`].
    fn reboot(&self) -> Result<(), WorldError>;

    /// CPU time this process has used.
    fn cpu_time(&self) -> Duration;

    /// Waits, outside of the guest.
    fn pause(&self, time: Duration);

    /// Ends this process by SIGKILL. Where the devices and their kernel are simulated, and would die
    /// with it, only notes it ([`Board::kill`]): then the scenario ends here.
    fn kill_vmm(&self);

    /// How time goes on here.
    fn time(&self) -> Time<'_>;

    /// What there is in place of threads, if there is only one. Without it, whatever goes on beside
    /// the scenario has a thread of its own, which may wait.
    fn alone(&self) -> Option<&dyn Alone> {
        None
    }
}

/// How time goes on, and with it what is to happen in the background.
#[derive(Clone, Copy)]
pub enum Time<'a> {
    /// By itself: what is to happen in the background happens on a thread of its own.
    Flows,
    /// What is to happen later is planned, and done by whoever lets time pass: because time goes
    /// on only with what is done, or so that no scheduler decides when it happens.
    Planned(&'a dyn Plan),
}

/// Done once, when its time has come.
pub type Turn = Box<dyn FnOnce(&dyn World) + Send>;

/// What is to happen later.
pub trait Plan {
    /// Has `turn` done `after` from now: on the way of whatever lets that much time pass, also
    /// in the middle of an event (a reset's 100 ms). Turns of the same time are done in the
    /// order they were planned in.
    fn after(&self, after: Duration, turn: Turn);
}

/// Asked again and again, whether something can be done now.
pub type Ready = Box<dyn Fn(&dyn World) -> bool + Send>;

/// One thread: whoever is to wait there for another one's call would wait for itself.
pub trait Alone: Plan {
    /// Whether a call under way holds a lock of the device, which another call would wait for.
    fn locked(&self, device: DeviceAddress) -> bool;

    /// Has `turn` done as soon as `ready` is so while anybody lets time pass. Turns that can be done
    /// at the same time are done in the order they were put off in.
    fn once(&self, ready: Ready, turn: Turn);
}
