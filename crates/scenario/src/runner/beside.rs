//! What goes on beside the scenario's own line of actions: config writes in the background, and what
//! the VMM or others do meanwhile.

use super::{RunError, Runner};
use crate::deed::Deed;
use crate::language::Action;
use crate::world::{Turn, World, WorldError};
use barkeep_journal::{Actor, Event, Step};
use barkeep_probe::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Between two looks whether something is over.
const TURN: Duration = Duration::from_millis(1);
/// Turns until it must be: as long as a vCPU may take for a command. A reset may last 60 s.
const TURNS: u32 = 200_000;

/// Something that goes on beside the scenario.
pub(super) struct Meanwhile<'scope> {
    what: String,
    doing: Doing<'scope>,
}

enum Doing<'scope> {
    Thread(ScopedJoinHandle<'scope, ()>),
    Planned(Arc<AtomicBool>),
}

impl Doing<'_> {
    fn is_over(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.is_finished(),
            Self::Planned(over) => over.load(Ordering::Acquire),
        }
    }
}

impl Runner<'_, '_> {
    /// Has something done that long from now, and goes on.
    pub(super) fn meanwhile(&mut self, after: Duration, action: &Action) -> Result<(), RunError> {
        let what = action.to_string();
        let deed = Deed::of(action, self)?;
        let deed = deed.ok_or_else(|| RunError::NotMeanwhile(what.clone()))?;
        let begun = self.begun(action, Actor::Observer);
        let world = self.world;
        let doing = match world.alone() {
            None => Doing::Thread(self.scope.spawn(move || {
                world.pause(after);
                let step = world.board().journal().begin(begun);
                carry_out(deed, step, world);
            })),
            Some(alone) => {
                let over = Arc::new(AtomicBool::new(false));
                alone.after(after, turn(deed, begun, Arc::clone(&over)));
                Doing::Planned(over)
            }
        };
        self.meanwhile.push(Meanwhile { what, doing });
        Ok(())
    }

    /// Waits for all of it.
    pub(super) fn join(&mut self) -> Result<(), RunError> {
        let vcpus: Vec<usize> = self.writing.iter().copied().collect();
        vcpus.into_iter().try_for_each(|vcpu| self.written(vcpu))?;
        while let Some(meanwhile) = self.meanwhile.pop() {
            self.over(meanwhile)?;
        }
        self.join_background();
        Ok(())
    }

    fn over(&self, Meanwhile { what, doing }: Meanwhile<'_>) -> Result<(), RunError> {
        for _ in 0..TURNS {
            if doing.is_over() {
                return Ok(());
            }
            self.world.pause(TURN);
        }
        Err(WorldError::Hang(format!("`{what}` does not come to its end")).into())
    }

    /// A config write that is carried out while the scenario goes on.
    pub(super) fn write_behind(&mut self, vcpu: usize, write: Command) -> Result<(), RunError> {
        self.world.send(vcpu, write)?;
        self.writing.insert(vcpu);
        Ok(())
    }

    /// Waits for the config write of a vCPU.
    fn written(&mut self, vcpu: usize) -> Result<(), RunError> {
        if self.writing.remove(&vcpu) {
            self.world.receive(vcpu)?;
        }
        Ok(())
    }

    /// Ends what a vCPU is at, so that it can be told something else: a write is waited for, and
    /// hammering and watching, which have no end of their own, are stopped.
    pub(super) fn free(&mut self, vcpu: usize) -> Result<(), RunError> {
        self.written(vcpu)?;
        self.stop_watching(vcpu);
        let verdict = self.hammering.stop_one(self.world, vcpu)?;
        for (what, held) in verdict {
            self.expectation(&what, held);
        }
        Ok(())
    }
}

/// As an action of its own, beside the scenario's: whoever reads the journal must not take the
/// scenario's observations for being made in it.
fn carry_out(deed: Deed, step: Step, world: &dyn World) {
    let met = deed.carry_out(world);
    world.board().journal().end(step, i32::from(!met));
}

/// Where there is one thread. What would have to wait for a call or an event that is under way is
/// put off to right after it: whoever could bring that to its end is further up on the same stack. It
/// has begun all the same, as with a thread that waits.
fn turn(deed: Deed, begun: Event, over: Arc<AtomicBool>) -> Turn {
    Box::new(move |world| {
        let obstacle = deed.obstacle();
        let step = world.board().journal().begin(begun);
        let turn: Turn = Box::new(move |world| {
            carry_out(deed, step, world);
            over.store(true, Ordering::Release);
        });
        match world.alone() {
            Some(alone) if obstacle.stands(world) => {
                alone.once(Box::new(move |world| !obstacle.stands(world)), turn);
            }
            Some(_) | None => turn(world),
        }
    })
}
