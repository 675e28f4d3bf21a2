//! What the page is told, as JSON. Times are nanoseconds since the start of the run; what has no end is `null`.

use super::numbers;
use crate::drawing::{Drawing, Mark};
use crate::label;
use crate::survey::Survey;
use barkeep_journal::DeviceAddress;
use barkeep_report::names;
use barkeep_report::style::Tone;
use barkeep_report::time::lane_and_clock;
use barkeep_timeline::{Handled, Outage, Outcome, Party, Slice, State, Way};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Version of what is here.
const VERSION: u32 = 1;

/// All of it.
pub(super) fn of(survey: &Survey, drawing: &Drawing, journal: &str) -> Value {
    let mut strings = Strings::default();
    let start = survey.numbers.start_ns();
    let shown = Shown { survey, start };
    let slices: Vec<_> = drawing.slices.iter().map(|slice| shown.slice(slice, &mut strings)).collect();
    let marks: Vec<_> = drawing.marks.iter().map(|mark| shown.mark(mark, &mut strings)).collect();
    let outages: Vec<_> = drawing.outages.iter().map(|outage| shown.outage(outage)).collect();
    let handled: Vec<_> = drawing.handled.iter().map(|handled| shown.handled(handled)).collect();
    let findings: Vec<_> = survey
        .verdict
        .findings
        .iter()
        .map(|f| json!([f.invariant.to_string(), f.seq, shown.since(f.time_ns), f.what]))
        .collect();
    let damages = (!survey.damages.is_empty()).then(|| survey.damages.to_string());
    json!({
        "barkeep_trace": VERSION,
        "title": survey.title,
        "journal": journal,
        "lane": survey.header.lane.name(),
        "clock": survey.header.clock.name(),
        "lane_and_clock": lane_and_clock(survey.header),
        "devices": survey.devices.iter().map(|(name, at)| json!([name, at.to_string()])).collect::<Vec<_>>(),
        "time": { "start_ns": start, "from": shown.since(drawing.ns.0), "to": shown.since(drawing.ns.1) },
        "parties": Party::ALL.iter().map(|party| party.name()).collect::<Vec<_>>(),
        "ways": Way::ALL.iter().map(|way| way.name()).collect::<Vec<_>>(),
        "states": states(),
        "outcomes": Outcome::ALL.iter().map(|outcome| outcome.name()).collect::<Vec<_>>(),
        "slices": slices,
        "marks": marks,
        "outages": outages,
        "handled": handled,
        "strings": strings.all,
        "bins": bins(drawing, start),
        "put_together": drawing.put_together(),
        "amount": {
            "slices": drawing.amount.slices,
            "marks": drawing.amount.marks,
            "outages": drawing.amount.outages,
            "handled": drawing.amount.handled,
        },
        "numbers": numbers::of(survey),
        "findings": findings,
        "more_findings": survey.verdict.counts.unlisted,
        "damages": damages,
    })
}

/// Each state, and which others it can become: what the diagram is drawn from.
fn states() -> Vec<Value> {
    let name = |state: &State| state.name();
    State::ALL
        .iter()
        .map(|s| json!([s.name(), s.successors().iter().map(name).collect::<Vec<_>>()]))
        .collect()
}

/// Each text once.
#[derive(Default)]
struct Strings {
    all: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Strings {
    fn place(&mut self, text: String) -> usize {
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        self.all.push(text.clone());
        self.places.insert(text, self.all.len() - 1);
        self.all.len() - 1
    }
}

struct Shown<'a> {
    survey: &'a Survey,
    start: u64,
}

impl Shown<'_> {
    /// The kernel's log may be from before the run.
    fn since(&self, ns: u64) -> i64 {
        i64::try_from(ns).unwrap_or(i64::MAX).saturating_sub(i64::try_from(self.start).unwrap_or(i64::MAX))
    }

    fn name(&self, device: Option<DeviceAddress>) -> Option<String> {
        device.map(|_| self.survey.names.short(device))
    }

    fn slice(&self, slice: &Slice, strings: &mut Strings) -> Value {
        let place = match (self.name(slice.device), slice.bar) {
            (None, _) => String::new(),
            (Some(device), None) => device,
            (Some(device), Some(bar)) => format!("{device} BAR {bar}"),
        };
        let party = Party::ALL.iter().position(|party| *party == slice.party);
        json!([
            party,
            self.since(slice.begin_ns),
            slice.end_ns.map(|end| self.since(end)),
            strings.place(label::of(slice)),
            strings.place(place),
            slice.result.filter(|result| *result != 0).map(names::result),
            slice.seq,
            slice.handling,
            strings.place(slice.what.name().to_owned()),
        ])
    }

    fn mark(&self, mark: &Mark, strings: &mut Strings) -> Value {
        let party = Party::ALL.iter().position(|party| *party == mark.party);
        let tone = match mark.tone {
            Tone::Quiet => 0,
            Tone::Notice => 1,
            Tone::Bad => 2,
            Tone::Good => 3,
        };
        json!([party, self.since(mark.ns), tone, strings.place(mark.text.clone()), mark.seq])
    }

    fn outage(&self, outage: &Outage) -> Value {
        let Outage { way, device, bar, address, taken, end } = outage;
        json!({
            "way": way.name(),
            "device": self.name(Some(*device)),
            "bar": bar,
            "address": format!("{address:#x}"),
            "begin": self.since(taken.time_ns),
            "taken_by": taken.trigger.name(),
            "taken_seq": taken.seq,
            "revoke": taken.revoke,
            "end": end.map(|end| self.since(end.time_ns)),
            "back_by": end.map(|end| end.trigger.name()),
            "back_seq": end.map(|end| end.seq),
            "ended": end.map(|end| end.by.name()),
        })
    }

    fn handled(&self, handled: &Handled) -> Value {
        let Handled { number, revoke, device, trigger, actor, begun, ended, result, refused, outcome } =
            handled;
        json!({
            "number": number,
            "revoke": revoke,
            "device": self.name(Some(*device)),
            "trigger": trigger.name(),
            "actor": actor.name(),
            "begin": self.since(begun.1),
            "begin_seq": begun.0,
            "end": ended.map(|(_, ns)| self.since(ns)),
            "end_seq": ended.map(|(seq, _)| seq),
            "result": result,
            "refused": refused.map(|(way, errno)| json!([way.name(), names::result(errno)])),
            "outcome": outcome.name(),
        })
    }
}

/// Parts in which there is something: number, begun, marks, busy nanoseconds.
fn bins(drawing: &Drawing, start: u64) -> Option<Value> {
    let bins = drawing.bins.as_ref()?;
    let parts = |parts: &[crate::drawing::bins::Bin]| -> Vec<Value> {
        let used =
            parts.iter().enumerate().filter(|(_, bin)| bin.begun > 0 || bin.marks > 0 || bin.busy_ns > 0);
        used.map(|(n, bin)| json!([n, bin.begun, bin.marks, bin.busy_ns])).collect()
    };
    Some(json!({
        "from": drawing.ns.0.saturating_sub(start),
        "width": bins.width_ns(),
        "parties": Party::ALL.iter().map(|party| parts(bins.of_party(*party))).collect::<Vec<_>>(),
        "ways": Way::ALL.iter().map(|way| parts(bins.of_way(*way))).collect::<Vec<_>>(),
    }))
}
