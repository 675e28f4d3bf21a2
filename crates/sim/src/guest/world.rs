//! The guest as the world of a scenario.

use super::timeline::Timeline;
use super::vcpus::Guest;
use crate::clock::Clock;
use barkeep_platform::Board;
use barkeep_probe::{Command, Reply};
use barkeep_scenario::{Plan, Time, Turn, World, WorldError};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a vCPU may take for a command, in virtual time. A reset may last 60 s.
const PATIENCE_NS: u64 = 200_000_000_000;

/// A world on one thread, in virtual time.
pub struct SimWorld {
    guest: Arc<Guest>,
    timeline: Arc<Timeline>,
    /// For what is planned.
    me: Weak<Self>,
}

impl SimWorld {
    /// A world whose CPUs go on whenever somebody waits on the timeline.
    pub fn new(guest: Guest, timeline: Arc<Timeline>) -> Arc<Self> {
        let guest = Arc::new(guest);
        let others: Weak<Guest> = Arc::downgrade(&guest);
        timeline.set_others(others);
        Arc::new_cyclic(|me| Self { guest, timeline, me: me.clone() })
    }
}

impl World for SimWorld {
    fn board(&self) -> &Board {
        self.guest.board()
    }

    fn send(&self, vcpu: usize, command: Command) -> Result<(), WorldError> {
        if self.guest.start(vcpu, command) {
            return Ok(());
        }
        Err(WorldError::Failed(format!("vCPU {vcpu} of the probe is not there to take commands")))
    }

    fn receive(&self, vcpu: usize) -> Result<Reply, WorldError> {
        if !self.guest.has_command(vcpu) {
            return Err(WorldError::Failed(format!("vCPU {vcpu} of the probe has nothing to answer")));
        }
        let mut answer = None;
        self.timeline.wait(PATIENCE_NS, || {
            answer = self.guest.answer(vcpu);
            answer.is_some()
        });
        match answer {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(refusal)) => {
                Err(WorldError::Failed(format!("vCPU {vcpu} of the probe cannot do it: {refusal}")))
            }
            None => Err(WorldError::Hang(format!("vCPU {vcpu} of the probe gave no answer"))),
        }
    }

    /// That of the VM: nanoseconds in which a vCPU went on.
    fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.timeline.busy())
    }

    fn pause(&self, time: Duration) {
        self.timeline.sleep(nanoseconds(time));
    }

    fn time(&self) -> Time<'_> {
        Time::Planned(self)
    }
}

impl Plan for SimWorld {
    fn after(&self, after: Duration, turn: Turn) {
        let me = self.me.clone();
        let act = move || {
            if let Some(world) = me.upgrade() {
                turn(&*world);
            }
        };
        self.timeline.after(nanoseconds(after), Box::new(act));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
