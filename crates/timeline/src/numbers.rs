//! What a journal comes to, in numbers.

use crate::{Edge, EndedBy, Handled, Outage, Outcome, Party, Slice, Told, Way, What};
use barkeep_check::Durations;
use barkeep_journal::{DeviceAddress, Event, Kind, Trigger};
use std::collections::BTreeMap;

/// Sorts of slices whose times are kept apart. A kernel's own steps have names of their own.
const SORTS: usize = 128;

/// What of an outage is a series: times of different series are never put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Which way.
    pub way: Way,
    /// Ended by whom.
    pub ended_by: EndedBy,
}

/// All of them. The nanoseconds are those of the journal's clock.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Events there were.
    pub events: u64,
    /// Of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// In each lane.
    pub parties: BTreeMap<Party, u64>,
    /// Revokes that were begun.
    pub revokes: u64,
    /// Changes of state.
    pub edges: BTreeMap<Edge, u64>,
    /// What became of what.
    pub outcomes: BTreeMap<(Trigger, Outcome), u64>,
    /// Outages that came to an end.
    pub outages: BTreeMap<Series, Durations>,
    /// Outages that the journal leaves open.
    pub open_outages: BTreeMap<Way, u64>,
    /// How long each sort of step took.
    pub steps: BTreeMap<(Party, String), Durations>,
    /// Steps that were begun and never ended.
    pub unended: u64,
    /// From all being back to the first DMA that was seen to land.
    pub first_dma: Durations,
    /// The first moment and the last one, of all but the kernel's log from before the run.
    pub span: Option<(u64, u64)>,
}

impl Numbers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event; what a [`crate::Follower`] makes of it goes into these as well.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        *self.kinds.entry(event.kind).or_default() += 1;
        *self.parties.entry(Party::of(event)).or_default() += 1;
        if event.kind != Kind::KernelLog && event.kind != Kind::Lost {
            let (first, last) = self.span.get_or_insert((event.time_ns, event.time_ns));
            *last = event.time_ns.max(*last);
            *first = event.time_ns.min(*first);
        }
    }

    /// When the run's time begins, nanoseconds of its clock.
    pub fn start_ns(&self) -> u64 {
        self.span.map_or(0, |(first, _)| first)
    }

    /// What a slice is counted as.
    fn sort(slice: &Slice) -> (Party, String) {
        let named = match slice.what {
            // Each function of the kernel by itself.
            What::Step(_) if slice.party == Party::Kernel => slice.text.split_whitespace().next(),
            What::Step(Kind::Trigger) | What::Handling => Some(slice.trigger.name()),
            What::Step(_) | What::Dma => None,
        };
        let name = match (slice.what, named) {
            (What::Handling, Some(trigger)) => format!("handling {trigger}"),
            (_, Some(name)) => name.to_owned(),
            (what, None) => what.name().to_owned(),
        };
        (slice.party, name)
    }
}

impl Told for Numbers {
    fn slice(&mut self, slice: Slice) {
        let Some(ns) = slice.ns() else {
            self.unended += 1;
            return;
        };
        let sort = Self::sort(&slice);
        if self.steps.len() < SORTS || self.steps.contains_key(&sort) {
            self.steps.entry(sort).or_default().add(ns);
        }
    }

    fn outage(&mut self, outage: Outage) {
        match (outage.end, outage.ns()) {
            (Some(end), Some(ns)) => {
                let series = Series { way: outage.way, ended_by: end.by };
                self.outages.entry(series).or_default().add(ns);
            }
            _ => *self.open_outages.entry(outage.way).or_default() += 1,
        }
    }

    fn edge(&mut self, _: DeviceAddress, edge: Edge, _: &Event) {
        *self.edges.entry(edge).or_default() += 1;
    }

    fn handled(&mut self, handled: Handled) {
        *self.outcomes.entry((handled.trigger, handled.outcome)).or_default() += 1;
    }

    fn revoke(&mut self, number: u64, _: &Event) {
        self.revokes = number;
    }

    fn first_dma(&mut self, restored_ns: u64, event: &Event) {
        self.first_dma.add(event.time_ns.saturating_sub(restored_ns));
    }
}
