//! The world of a scenario on real vCPUs: a VM whose guest is the probe. Its devices are any.

use crate::exit::told;
use barkeep_boot::Guest;
use barkeep_platform::Board;
use barkeep_probe::{Command, Refusal, Reply};
use barkeep_scenario::{Plan, Time, Turn, World, WorldError};
use barkeep_sim::{Clock, HostClock};
use barkeep_vmm::{Machine, MachineError, ProbeError, ProbeLink};
use rustix::process::{Signal, getpid, kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long the probe may take for a command. Far more than any takes, and still an end: a
/// reset may last 60 s.
const PATIENCE: Duration = Duration::from_secs(200);

/// The world.
pub struct VmWorld {
    /// The devices.
    pub board: Arc<Board>,
    /// The probe.
    pub link: Arc<ProbeLink>,
    /// The machine they are in.
    pub machine: Arc<Machine>,
    /// What it boots, again and again.
    guest: Guest,
    /// With simulated devices: the clock by which their kernel sleeps. What is planned on it is
    /// done in the middle of a reset whatever the machine's scheduler does.
    clock: Option<Arc<HostClock>>,
    /// For what is planned.
    me: Weak<Self>,
}

impl VmWorld {
    /// A world of these devices in this machine, which has booted `guest`, the probe at the other end of `link`; `clock` is that of simulated devices.
    pub fn new(
        board: Arc<Board>,
        link: Arc<ProbeLink>,
        machine: Arc<Machine>,
        guest: Guest,
        clock: Option<Arc<HostClock>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { board, link, machine, guest, clock, me: me.clone() })
    }
}

impl World for VmWorld {
    fn board(&self) -> &Board {
        &self.board
    }

    fn send(&self, vcpu: usize, command: Command) -> Result<(), WorldError> {
        self.link.send(vcpu, command).map_err(|error| probe_error(&error))
    }

    fn receive(&self, vcpu: usize) -> Result<Reply, WorldError> {
        self.link.receive(vcpu, PATIENCE).map_err(|error| probe_error(&error))
    }

    fn reboot(&self) -> Result<(), WorldError> {
        self.machine.reboot(&self.guest).map_err(|error| match error {
            MachineError::Hangs(_) => WorldError::Hang(error.to_string()),
            error => WorldError::Failed(told(&anyhow::Error::new(error))),
        })
    }

    fn cpu_time(&self) -> Duration {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
    }

    fn pause(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.sleep(time.as_nanos() as u64),
            None if time.is_zero() => {}
            None => std::thread::sleep(time),
        }
    }

    fn kill_vmm(&self) {
        match &self.clock {
            Some(_) => self.board.kill(),
            // Of itself nobody is refused it, and it does not return.
            None => drop(kill_process(getpid(), Signal::KILL)),
        }
    }

    fn time(&self) -> Time<'_> {
        if self.clock.is_some() { Time::Planned(self) } else { Time::Flows }
    }
}

impl Plan for VmWorld {
    fn after(&self, after: Duration, turn: Turn) {
        let Some(clock) = &self.clock else {
            return;
        };
        let me = self.me.clone();
        let act = move || {
            if let Some(world) = me.upgrade() {
                turn(&*world);
            }
        };
        clock.after(after.as_nanos() as u64, Box::new(act));
    }
}

fn probe_error(error: &ProbeError) -> WorldError {
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        ProbeError::Hangs { .. } => WorldError::Hang(text),
        ProbeError::Refused { source: Refusal::Gone, .. } => WorldError::Gone(text),
        ProbeError::NotThere(_) | ProbeError::Refused { .. } | ProbeError::Busy(_) => {
            WorldError::Failed(text)
        }
    }
}
