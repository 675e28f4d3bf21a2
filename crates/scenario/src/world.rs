//! What a scenario needs of a lane: a board whose guest is the probe, and a way to let time
//! pass.

use barkeep_platform::Board;
use barkeep_probe::{Command, Reply};
use std::time::Duration;

/// Why a lane could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The guest gave no answer in time: a hang.
    #[error("{0}")]
    Hang(String),
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

    /// CPU time this process has used.
    fn cpu_time(&self) -> Duration;

    /// Waits, outside of the guest.
    fn pause(&self, time: Duration);

    /// How time goes on here.
    fn time(&self) -> Time<'_>;
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
