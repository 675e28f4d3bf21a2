//! The events that show a finding: a handful out of a journal.
//!
//! What took access away, what the registers said, what was believed, what was done to the mapping
//! and the slot last, which DMA was meant; and the event the finding rests on.

use super::super::names::Names;
use crate::names;
use crate::time::duration;
use barkeep_check::Finding;
use barkeep_journal::{DeviceAddress, Event, Kind, Phase, SeenBy, Trigger};
use std::collections::BTreeMap;

/// What an event may have to say about a finding that comes later. Of each the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Something was let through, and how it ended.
    LetThrough,
    Passed,
    FoundOut,
    Believed,
    Slot,
    Mapping,
    Degraded,
}

/// The last of each part, of each device; and of each engine its last DMA.
#[derive(Default)]
struct Before {
    names: Names,
    parts: BTreeMap<(DeviceAddress, Part), Event>,
    dmas: BTreeMap<DeviceAddress, Event>,
    begins: BTreeMap<u32, Event>,
    action: Option<Event>,
}

/// Devices, engines and steps that are kept apart.
const ROOM: usize = 4096;

/// The events that show a finding, each in a line, in the order of the journal. Reads as far as the
/// finding's event, and holds a bounded number of events.
pub fn lines(events: impl IntoIterator<Item = Event>, finding: &Finding) -> Vec<String> {
    let mut before = Before::default();
    for event in events {
        if event.seq >= finding.seq {
            return before.witness(&event, finding);
        }
        before.take(event);
    }
    Vec::new()
}

impl Before {
    fn take(&mut self, event: Event) {
        if event.kind == Kind::DeviceOpen {
            self.names.opened(&event);
        }
        match event.phase {
            Phase::Begin if event.step != 0 && self.begins.len() < ROOM => {
                self.begins.insert(event.step, event.clone());
            }
            Phase::End => drop(self.begins.remove(&event.step)),
            Phase::Begin | Phase::Point => {}
        }
        if event.kind == Kind::Action && event.phase == Phase::Begin {
            self.action = Some(event.clone());
        }
        let Some(device) = event.device else { return };
        if event.kind == Kind::DmaStart {
            if self.dmas.len() < ROOM {
                self.dmas.insert(device, event);
            }
        } else if let Some(part) = part(&event)
            && self.parts.len() < ROOM
        {
            self.parts.insert((device, part), event);
        }
    }

    fn witness(&self, last: &Event, finding: &Finding) -> Vec<String> {
        let device = finding.device.or(last.device);
        let of_device = self.parts.iter().filter(|((of, _), _)| Some(*of) == device);
        let mut shown: Vec<&Event> = of_device.map(|(_, event)| event).collect();
        if last.text == "dma" || last.kind == Kind::Faulted {
            shown.extend(
                self.dmas.values().filter(|dma| last.kind != Kind::Faulted || dma.device == last.device),
            );
        }
        shown.extend(self.action.as_ref());
        shown.extend(self.begins.get(&last.step));
        shown.push(last);
        shown.sort_by_key(|event| event.seq);
        shown.dedup_by_key(|event| event.seq);
        shown.into_iter().map(|event| self.line(event)).collect()
    }

    fn line(&self, event: &Event) -> String {
        let mut line = format!("seq {} at {}: {}", event.seq, duration(event.time_ns), event.actor);
        if matches!(event.actor, barkeep_journal::Actor::Vcpu | barkeep_journal::Actor::Guest) {
            line += &event.index.to_string();
        }
        line += &format!(" {}", event.kind.name().replace('_', " "));
        if event.trigger != Trigger::None {
            line += &format!(" {}", names::trigger(event.trigger));
        }
        if event.device.is_some() {
            line += &format!(", {}", self.names.bar(event));
        }
        if let Some(address) = event.address {
            line += &format!(" at {address:#x}");
        }
        line += match event.phase {
            Phase::Begin => " begins",
            Phase::End => " ends",
            Phase::Point => "",
        };
        if let Some(value) = event.value {
            line += &match event.kind {
                Kind::FindOut => format!(": decode {}, D{}", value & 1, value >> 8 & 3),
                Kind::Expect => format!(": {}", if value == 1 { "live" } else { "revoked" }),
                _ => format!(": {value:#x}"),
            };
        }
        if let Some(result) = event.result {
            line += &match result {
                0 => ": success".to_owned(),
                _ => format!(": {}", names::result(result)),
            };
        }
        if event.seen_by != SeenBy::None {
            line += &format!(" (seen by {})", event.seen_by.name().replace('_', " "));
        }
        if !event.text.is_empty() {
            line += &format!(" `{}`", crate::style::fit(&event.text, 120));
        }
        line
    }
}

fn part(event: &Event) -> Option<Part> {
    match (event.kind, event.phase) {
        (Kind::Trigger, Phase::Begin) => Some(Part::LetThrough),
        (Kind::Trigger, Phase::End) => Some(Part::Passed),
        (Kind::FindOut, Phase::End) => Some(Part::FoundOut),
        (Kind::Expect, _) => Some(Part::Believed),
        (Kind::SlotAdd | Kind::SlotRemove, Phase::End) => Some(Part::Slot),
        (Kind::P2pMap | Kind::P2pUnmap, Phase::End) => Some(Part::Mapping),
        (Kind::Degraded, _) => Some(Part::Degraded),
        _ => None,
    }
}
