//! An attach that is tried only to learn its errno, at once or in the background: how a revoke,
//! and its end, are seen.

use crate::runner::Spot;
use crate::world::{Time, Turn, World};
use barkeep_export::{Errno, result_number};
use barkeep_journal::{Actor, Event, Kind, SeenBy};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

/// How long one turn of waiting for an outage lasts.
const TURN: Duration = Duration::from_millis(1);
/// Turns at the most: an attach that comes too early tells as much by its errno.
const TURNS: u32 = 10_000;

/// What an attach came to.
pub(crate) type Outcome = Result<(), Errno>;

/// An attach on its way. It is taken turn by turn, so that it needs no thread where time is
/// planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attach {
    spot: Spot,
    after: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Waiting for CPU access to the window to go away, with so many turns left.
    UntilOut(u32),
    /// Then for the time it is to come after.
    Delay,
    Try,
}

enum Next {
    Wait(Duration, Attach),
    Over(Outcome),
}

impl Attach {
    /// One that is tried `after` from now.
    pub fn now(spot: Spot, after: Duration) -> Self {
        Self { spot, after, stage: Stage::Delay }
    }

    /// One that is tried `after` from when the window is out.
    pub fn once_out(spot: Spot, after: Duration) -> Self {
        Self { spot, after, stage: Stage::UntilOut(TURNS) }
    }

    /// Carries it out, waiting as it must.
    pub fn carry_out(mut self, world: &dyn World) -> Outcome {
        loop {
            match self.turn(world) {
                Next::Wait(time, attach) => {
                    world.pause(time);
                    self = attach;
                }
                Next::Over(outcome) => return outcome,
            }
        }
    }

    fn turn(self, world: &dyn World) -> Next {
        let Self { spot, after, stage } = self;
        let wait = |time, stage| Next::Wait(time, Self { spot, after, stage });
        match stage {
            Stage::UntilOut(left)
                if left > 0 && !world.board().is_out(spot.device.index, spot.bar, spot.offset) =>
            {
                wait(TURN, Stage::UntilOut(left - 1))
            }
            Stage::UntilOut(_) | Stage::Delay => wait(after, Stage::Try),
            Stage::Try => Next::Over(attempt(world, spot)),
        }
    }
}

/// Written where and when it is done: a background attach is over before the action that joins
/// it.
fn attempt(world: &dyn World, spot: Spot) -> Outcome {
    let board = world.board();
    let about = |kind| {
        let event = Event::new(kind, Actor::Observer).device(spot.device.address).bar(spot.bar);
        event.address(spot.address)
    };
    let step = board.journal().begin(about(Kind::AttachProbe));
    let outcome = board.attach(spot.device.index, spot.bar, spot.offset);
    let errno = result_number(outcome);
    board.journal().end(step, errno);
    let seen = match outcome {
        Ok(()) => Some(Kind::Live),
        Err(Errno::NODEV) => Some(Kind::Revoked),
        Err(_) => None,
    };
    if let Some(kind) = seen {
        board.journal().emit(about(kind).seen_by(SeenBy::Errno).result(errno));
    }
    outcome
}

/// An attach in the background.
pub(crate) enum Background<'scope> {
    Thread(ScopedJoinHandle<'scope, Outcome>),
    Planned(Arc<Mutex<Option<Outcome>>>),
}

impl<'scope> Background<'scope> {
    /// Lets it go.
    pub fn start<'env>(attach: Attach, world: &'env dyn World, scope: &'scope Scope<'scope, 'env>) -> Self {
        match world.time() {
            Time::Flows => Self::Thread(scope.spawn(move || attach.carry_out(world))),
            Time::Planned(plan) => {
                let outcome = Arc::default();
                plan.after(Duration::ZERO, planned(attach, Arc::clone(&outcome)));
                Self::Planned(outcome)
            }
        }
    }

    /// Waits for its end, which always comes.
    pub fn join(self, world: &dyn World) -> Outcome {
        match self {
            Self::Thread(thread) => thread.join().unwrap_or(Err(Errno::IO)),
            Self::Planned(outcome) => loop {
                if let Some(outcome) = *outcome.lock().unwrap_or_else(PoisonError::into_inner) {
                    return outcome;
                }
                world.pause(TURN);
            },
        }
    }
}

/// The next turn of an attach; each plans the one after it.
fn planned(attach: Attach, told: Arc<Mutex<Option<Outcome>>>) -> Turn {
    Box::new(move |world| match (attach.turn(world), world.time()) {
        (Next::Wait(time, attach), Time::Planned(plan)) => plan.after(time, planned(attach, told)),
        (Next::Wait(time, attach), Time::Flows) => {
            world.pause(time);
            tell(&told, attach.carry_out(world));
        }
        (Next::Over(outcome), _) => tell(&told, outcome),
    })
}

fn tell(told: &Mutex<Option<Outcome>>, outcome: Outcome) {
    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
}
