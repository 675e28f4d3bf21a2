//! Steps that have begun and not ended.

use super::Tick;
use barkeep_journal::{Actor, Event, Kind, Phase};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Steps {
    open: BTreeMap<u32, (Tick, Event)>,
    /// A scenario is being carried out, or was.
    pub scenario: bool,
}

impl Steps {
    /// Notes begins and ends. Outages have phases but no number: they are no step of anybody.
    pub fn absorb(&mut self, event: &Event, tick: Tick) {
        match event.phase {
            Phase::Begin if event.step != 0 => {
                self.scenario |= of_scenario(event);
                self.open.insert(event.step, (tick, event.clone()));
            }
            Phase::End => {
                self.open.remove(&event.step);
            }
            Phase::Begin | Phase::Point => {}
        }
    }

    /// When the step that this event ends began.
    pub fn begun(&self, end: &Event) -> Option<Tick> {
        self.begin(end).map(|(tick, _)| *tick)
    }

    /// The event that began the step that this event ends.
    pub fn begin_event(&self, end: &Event) -> Option<&Event> {
        self.begin(end).map(|(_, event)| event)
    }

    /// When the innermost action of the scenario that is under way began.
    pub fn latest_action(&self) -> Option<Tick> {
        let actions = self.open.values().filter(|(_, event)| of_scenario(event));
        actions.map(|(tick, _)| *tick).max()
    }

    /// All that are under way, the oldest first.
    pub fn open(&self) -> Vec<&Event> {
        let mut open: Vec<_> = self.open.values().collect();
        open.sort_by_key(|(tick, _)| *tick);
        open.into_iter().map(|(_, event)| event).collect()
    }

    fn begin(&self, end: &Event) -> Option<&(Tick, Event)> {
        self.open.get(&end.step).filter(|(_, begin)| begin.kind == end.kind)
    }
}

fn of_scenario(event: &Event) -> bool {
    event.kind == Kind::Action && event.actor != Actor::Lab
}
