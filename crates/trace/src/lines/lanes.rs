//! The lanes beside a line: what is under way in each, and whose doing the line is.

use super::ends;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase};
use barkeep_timeline::Party;
use std::collections::{BTreeMap, BTreeSet};

/// Steps under way that are drawn.
const STEPS: usize = 4096;

#[derive(Default)]
pub(super) struct Lanes {
    /// Lane of each step under way.
    open: BTreeMap<u32, usize>,
    /// How many there are in each.
    depth: [usize; Party::ALL.len()],
    /// Devices an event of which is handled on the thread of the vCPU that caused it: the guest waits there.
    waiting: BTreeSet<DeviceAddress>,
}

impl Lanes {
    /// Takes an event in, and gives the lanes of its line.
    pub fn next(&mut self, event: &Event) -> String {
        let lane = Party::ALL.iter().position(|party| *party == Party::of(event)).unwrap_or(0);
        let counted = event.step != 0 && !is_frame(event);
        if counted && ends(event) {
            self.close(event.step);
        }
        if event.kind == Kind::Expect {
            self.waiting.retain(|device| Some(*device) != event.device);
        }
        self.depth[Party::Guest as usize] = self.waiting.len();
        let columns: Vec<_> = (0..Party::ALL.len())
            .map(|n| match (n == lane, event.phase) {
                (true, Phase::Begin) if event.step != 0 => "┬",
                (true, Phase::End) if event.step != 0 => "┴",
                (true, _) => "•",
                (false, _) if self.depth[n] > 0 => "│",
                (false, _) => " ",
            })
            .collect();
        if counted && event.phase == Phase::Begin && self.open.len() < STEPS {
            self.close(event.step);
            self.open.insert(event.step, lane);
            self.depth[lane] += 1;
        }
        self.wait(event);
        columns.join(" ")
    }

    fn wait(&mut self, event: &Event) {
        let lets_through = (event.kind, event.phase) == (Kind::Trigger, Phase::Begin);
        if lets_through && event.actor == Actor::Vcpu && self.waiting.len() < STEPS {
            self.waiting.extend(event.device);
        }
    }

    fn close(&mut self, step: u32) {
        if let Some(lane) = self.open.remove(&step) {
            self.depth[lane] = self.depth[lane].saturating_sub(1);
        }
    }
}

/// What everything else happens inside of: it would be drawn beside every line.
fn is_frame(event: &Event) -> bool {
    match event.kind {
        Kind::Action => matches!(event.actor, Actor::Scenario | Actor::Lab),
        Kind::Hold | Kind::Process => true,
        _ => false,
    }
}
