//! The guest as the world of a scenario.

use super::timeline::Timeline;
use super::vcpus::Guest;
use crate::clock::Clock;
use barkeep_journal::DeviceAddress;
use barkeep_platform::Board;
use barkeep_probe::{Command, Refusal, Reply};
use barkeep_scenario::{Alone, Plan, Ready, Time, Turn, World, WorldError};
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
                let text = format!("vCPU {vcpu} of the probe cannot do it: {refusal}");
                Err(if refusal == Refusal::Gone { WorldError::Gone(text) } else { WorldError::Failed(text) })
            }
            None => Err(WorldError::Hang(format!("vCPU {vcpu} of the probe gave no answer"))),
        }
    }

    fn reboot(&self) -> Result<(), WorldError> {
        self.guest.stop();
        let reset = self.guest.board().reboot();
        reset.map_err(|error| WorldError::Failed(error.to_string()))
    }

    /// That of the VM: nanoseconds in which a vCPU went on.
    fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.timeline.busy())
    }

    fn pause(&self, time: Duration) {
        self.timeline.sleep(nanoseconds(time));
    }

    fn kill_vmm(&self) {
        self.board().kill();
    }

    fn time(&self) -> Time<'_> {
        Time::Planned(self)
    }

    fn alone(&self) -> Option<&dyn Alone> {
        Some(self)
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

impl Alone for SimWorld {
    fn locked(&self, device: DeviceAddress) -> bool {
        self.timeline.locked(device)
    }

    fn once(&self, ready: Ready, turn: Turn) {
        let (me, own) = (self.me.clone(), self.me.clone());
        let ready = move || own.upgrade().is_some_and(|world| ready(&*world));
        let act = move || {
            if let Some(world) = me.upgrade() {
                turn(&*world);
            }
        };
        self.timeline.once(Box::new(ready), Box::new(act));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
