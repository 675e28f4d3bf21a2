//! Steps that have begun and not ended, and when an observation was certainly made.
//!
//! An event is written after what it tells of, and its thread may lose the CPU in between. So "the
//! revoke was seen after the map" is shown by something that was written *before* the look: the begin of
//! the step it ends, or of the scenario's action in which it was made.

use crate::{Party, Slice, What};
use barkeep_journal::{Actor, Event, Kind, Phase};
use std::collections::BTreeMap;

/// A place in the order of events. Not `seq`: that is what a journal claims.
pub(crate) type Tick = u64;

/// Steps that are followed at the same time.
const STEPS: usize = 4096;
/// Characters of a text that are kept.
const TEXT: usize = 240;

struct Open {
    tick: Tick,
    kind: Kind,
    actor: Actor,
    slice: Slice,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Steps {
    open: BTreeMap<u32, Open>,
    /// Begins of the scenario's own actions among them, the innermost last.
    actions: Vec<(u32, Tick)>,
    /// A scenario is being carried out, or was.
    scenario: bool,
}

impl Steps {
    /// A moment the observation an event tells of was certainly made after.
    pub fn observed_from(&self, event: &Event, now: Tick) -> Tick {
        if event.phase == Phase::End {
            return self.open.get(&event.step).filter(|open| open.kind == event.kind).map_or(0, |o| o.tick);
        }
        match (self.actions.last(), event.actor) {
            // Looks when it likes and tells when it is asked, whatever the scenario is at.
            (_, Actor::Observer) if self.scenario => 0,
            (Some((_, began)), _) => *began,
            // Nothing says that it took time.
            (None, _) => now,
        }
    }

    /// A step begins. Gives the one that had its number and was never ended.
    pub fn begin(&mut self, event: &Event, now: Tick, handling: u64) -> Option<Slice> {
        if event.step == 0 {
            return None;
        }
        let left = self.take(event.step);
        if self.open.len() == STEPS {
            return left;
        }
        if is_action(event.kind, event.actor) {
            self.scenario = true;
            self.actions.push((event.step, now));
        }
        let open = Open { tick: now, kind: event.kind, actor: event.actor, slice: slice(event, handling) };
        self.open.insert(event.step, open);
        left
    }

    /// A step ends: the slice of it, if its begin is known.
    pub fn end(&mut self, event: &Event) -> Option<Slice> {
        self.open.get(&event.step).filter(|open| open.kind == event.kind)?;
        let mut slice = self.take(event.step)?;
        slice.end_ns = Some(event.time_ns.max(slice.begin_ns));
        slice.result = event.result;
        slice.bar = slice.bar.or(event.bar);
        if slice.text.is_empty() {
            slice.text = short(&event.text);
        }
        Some(slice)
    }

    /// Nobody ends these any more: all, or all that are not the lab's.
    pub fn cut_off(&mut self, but_the_labs: bool) -> Vec<Slice> {
        let stays = |open: &Open| but_the_labs && open.actor == Actor::Lab;
        let (stay, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.open).into_iter().partition(|(_, open)| stays(open));
        self.open = stay;
        self.actions.retain(|(step, _)| self.open.contains_key(step));
        let mut gone: Vec<_> = gone.into_values().map(|open| open.slice).collect();
        gone.sort_by_key(|slice| slice.seq);
        gone
    }

    fn take(&mut self, step: u32) -> Option<Slice> {
        let open = self.open.remove(&step)?;
        if is_action(open.kind, open.actor) {
            self.actions.retain(|(of, _)| *of != step);
        }
        Some(open.slice)
    }
}

/// One of the scenario's own line. What goes on beside it has its actions too, and says nothing of when
/// the line observes something.
fn is_action(kind: Kind, actor: Actor) -> bool {
    (kind, actor) == (Kind::Action, Actor::Scenario)
}

pub(crate) fn slice(event: &Event, handling: u64) -> Slice {
    Slice {
        party: Party::of(event),
        what: What::Step(event.kind),
        seq: event.seq,
        begin_ns: event.time_ns,
        end_ns: None,
        device: event.device,
        bar: event.bar,
        address: event.address,
        trigger: event.trigger,
        result: event.result,
        handling,
        text: short(&event.text),
    }
}

/// A text of bounded length.
fn short(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
