//! What the scenario expects: its expectations and its actions.
//!
//! The lab's own actions are left out: their result is a status, and becomes the run's.

use crate::findings::Findings;
use crate::verdict::Invariant::Expectation;
use crate::world::{Tick, World};
use barkeep_journal::{Actor, Event, Phase};

#[derive(Default)]
pub(crate) struct Expectations {
    /// When one was last found broken: an action that failed for it says nothing new.
    broken: Option<Tick>,
}

impl Expectations {
    /// An expectation was looked at.
    pub fn expectation(&mut self, world: &World, event: &Event, out: &mut Findings) {
        if event.result.is_some_and(|result| result != 0) {
            self.broken = Some(world.tick);
            out.add(Expectation, event, format!("not met: {}", event.text));
        }
    }

    /// An action began or ended.
    pub fn action(&self, world: &World, event: &Event, out: &mut Findings) {
        if event.phase != Phase::End || event.actor == Actor::Lab || event.result.is_none_or(|r| r == 0) {
            return;
        }
        let begin = world.steps.begun(event);
        if self.broken.is_some() && self.broken >= begin {
            return;
        }
        // The text stands at the begin.
        let text = world.steps.begin_event(event).map_or(event.text.as_str(), |begin| begin.text.as_str());
        out.add(Expectation, event, format!("the action `{text}` was not met"));
    }
}
