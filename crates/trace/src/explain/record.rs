//! What the VMM did in each event that it handled: the steps, in their order, with their answers.

use crate::sentence::trigger_name;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};
use std::collections::{BTreeMap, VecDeque};

/// Events that are remembered of each device, before and after the moment.
const BEFORE: usize = 48;
const AFTER: usize = 16;
/// Steps of one that are remembered.
const STEPS: usize = 512;

/// A step that is over, or that never was.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub kind: Kind,
    pub begun: u64,
    pub over: Option<u64>,
    pub bar: Option<u8>,
    pub address: Option<u64>,
    pub value: Option<u64>,
    pub result: Option<i32>,
    number: u32,
}

/// One event that was handled.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub device: DeviceAddress,
    pub trigger: Trigger,
    pub actor: Actor,
    pub begun: u64,
    pub over: Option<u64>,
    pub live: Option<bool>,
    pub revoke: Option<u64>,
    pub steps: Vec<Step>,
}

impl Record {
    /// `the FLR of nvme (seq 463 to 495, revoke:1)`.
    pub fn described(&self, device: &str) -> String {
        let end = self.over.map_or_else(|| "and never over".to_owned(), |over| format!("to {over}"));
        let revoke = self.revoke.map_or_else(String::new, |number| format!(", revoke:{number}"));
        format!("{} of {device} (seq {} {end}{revoke})", trigger_name(self.trigger), self.begun)
    }

    /// The last step of a kind, of a window.
    pub fn step(&self, kind: Kind, bar: u8, address: u64) -> Option<&Step> {
        let of_it = |step: &&Step| (step.kind, step.bar, step.address) == (kind, Some(bar), Some(address));
        self.steps.iter().rev().find(of_it)
    }

    /// The last look at the registers: where, and what they said.
    pub fn found(&self) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.kind == Kind::FindOut)
    }

    /// What was let through.
    pub fn let_through(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.kind == Kind::Trigger)
    }

    /// The step that was begun and never over.
    pub fn stuck(&self) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.over.is_none())
    }
}

pub(super) struct Records {
    at: u64,
    revokes: u64,
    all: BTreeMap<DeviceAddress, VecDeque<Record>>,
}

impl Records {
    pub fn new(at: u64) -> Self {
        Self { at, revokes: 0, all: BTreeMap::new() }
    }

    /// The one an event at this place belongs to.
    pub fn around(&self, device: DeviceAddress, seq: u64) -> Option<&Record> {
        let inside = |record: &&Record| record.begun <= seq && record.over.is_none_or(|over| over >= seq);
        self.all.get(&device)?.iter().rev().find(inside)
    }

    /// The revoke that something at this place belongs to.
    pub fn revoke_at(&self, device: DeviceAddress, seq: u64) -> Option<u64> {
        self.around(device, seq)?.revoke
    }

    /// Those of a device that are over after this place, in their order.
    pub fn since(&self, device: DeviceAddress, seq: u64) -> impl Iterator<Item = &Record> {
        let later = move |record: &&Record| record.over.is_none_or(|over| over >= seq);
        self.all.get(&device).into_iter().flatten().filter(later)
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        let revokes = (event.kind, event.phase) == (Kind::Trigger, Phase::Begin)
            && barkeep_check::revokes(event.trigger);
        self.revokes += u64::from(revokes);
        let Some(device) = event.device.filter(|_| is_step(event.kind) && event.actor != Actor::Observer)
        else {
            return;
        };
        if self.all.len() > 256 {
            return;
        }
        let records = self.all.entry(device).or_default();
        if records.back().is_none_or(|record| record.over.is_some()) {
            if event.kind == Kind::Expect || event.phase == Phase::End {
                return;
            }
            if event.seq > self.at && records.iter().filter(|record| record.begun > self.at).count() >= AFTER
            {
                return;
            }
            if event.seq <= self.at && records.len() == BEFORE {
                records.pop_front();
            }
            records.push_back(Record {
                device,
                trigger: event.trigger,
                actor: event.actor,
                begun: event.seq,
                over: None,
                live: None,
                revoke: None,
                steps: Vec::new(),
            });
        }
        let Some(record) = records.back_mut() else { return };
        if revokes {
            record.revoke = Some(self.revokes);
        }
        if (event.kind, event.phase) == (Kind::Trigger, Phase::Begin) {
            record.actor = event.actor;
        }
        if event.kind == Kind::Expect {
            record.over = Some(event.seq);
            record.live = event.value.map(|value| value == 1);
            return;
        }
        // An outage is no step: it has no number, and ends in another event's handling, too.
        if event.kind != Kind::Outage {
            record.steps_take(event);
        }
    }
}

impl Record {
    fn steps_take(&mut self, event: &Event) {
        match event.phase {
            Phase::Begin if self.steps.len() < STEPS => self.steps.push(Step {
                kind: event.kind,
                begun: event.seq,
                over: None,
                bar: event.bar,
                address: event.address,
                value: None,
                result: None,
                number: event.step,
            }),
            Phase::End => {
                let same = |s: &&mut Step| s.kind == event.kind && s.number == event.step && s.over.is_none();
                if let Some(step) = self.steps.iter_mut().rev().find(same) {
                    (step.over, step.value, step.result) = (Some(event.seq), event.value, event.result);
                }
            }
            Phase::Begin | Phase::Point => {}
        }
    }
}

fn is_step(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Trigger
            | Kind::FindOut
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::Outage
            | Kind::Expect
    )
}
