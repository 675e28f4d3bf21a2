//! Steps that have begun and not ended.

use super::Tick;
use barkeep_journal::{Actor, Event, Kind, Phase};

/// Steps that are followed at the same time.
pub(crate) const STEPS: usize = 4096;

#[derive(Default)]
pub(crate) struct Steps {
    /// In the order in which they began. Few, and what ends began last: searched from the end.
    open: Vec<(Tick, Event)>,
    /// When the last of the scenario's actions among them began.
    latest_action: Option<Tick>,
    /// A scenario is being carried out, or was.
    pub scenario: bool,
}

impl Steps {
    /// Notes begins and ends. Outages have phases but no number: they are no step of anybody.
    /// False for a begin that there is no room for.
    pub fn absorb(&mut self, event: &Event, tick: Tick) -> bool {
        match event.phase {
            Phase::Begin if event.step != 0 => {
                self.scenario |= of_scenario(event);
                self.close(event.step);
                if self.open.len() == STEPS {
                    return false;
                }
                if of_scenario(event) {
                    self.latest_action = Some(tick);
                }
                self.open.push((tick, event.clone()));
            }
            Phase::End if event.step != 0 => self.close(event.step),
            Phase::Begin | Phase::Point | Phase::End => {}
        }
        true
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
        self.latest_action
    }

    /// All that are under way, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Event> {
        self.open.iter().map(|(_, event)| event)
    }

    /// Forgets those that are not like this.
    pub fn keep(&mut self, like: impl Fn(&Event) -> bool) {
        self.open.retain(|(_, begin)| like(begin));
        let last = self.open.iter().rev().find(|(_, event)| of_scenario(event));
        self.latest_action = last.map(|(tick, _)| *tick);
    }

    fn begin(&self, end: &Event) -> Option<&(Tick, Event)> {
        let at = self.place(end.step)?;
        Some(&self.open[at]).filter(|(_, begin)| begin.kind == end.kind)
    }

    fn close(&mut self, step: u32) {
        let Some(at) = self.place(step) else { return };
        let (tick, _) = self.open.remove(at);
        if self.latest_action == Some(tick) {
            let before = self.open.iter().rev().find(|(_, event)| of_scenario(event));
            self.latest_action = before.map(|(tick, _)| *tick);
        }
    }

    fn place(&self, step: u32) -> Option<usize> {
        self.open.iter().rposition(|(_, begin)| begin.step == step)
    }
}

/// One of the scenario's own line. What goes on beside it has its actions too, and says nothing of
/// when the line observes something.
fn of_scenario(event: &Event) -> bool {
    event.kind == Kind::Action && event.actor == Actor::Scenario
}
