//! How long the ways to a window were away, from its journal.

use crate::judge::{Window, ends};
use barkeep_journal::{Event, Kind, Phase};

/// How long, the last time it was; nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Away {
    /// CPU access: from the begin of the outage to its end.
    pub cpu_ns: Option<u64>,
    /// Peers' DMA: from the begin of what revoked, or of the unmap, to the end of the map.
    pub dma_ns: Option<u64>,
    /// From the first of both away to the last of both back.
    pub both_ns: Option<u64>,
}

/// From here to there, nanoseconds.
type Span = (u64, u64);

/// Measures a window that has come back.
pub(crate) fn away(window: &Window<'_>) -> Away {
    let (cpu, dma) = (cpu(window), dma(window));
    let long = |(from, to): Span| to.saturating_sub(from);
    let both = match (cpu, dma) {
        (Some(cpu), Some(dma)) => Some((cpu.0.min(dma.0), cpu.1.max(dma.1))),
        (one, other) => one.or(other),
    };
    Away { cpu_ns: cpu.map(long), dma_ns: dma.map(long), both_ns: both.map(long) }
}

/// The last outage that has begun and ended.
fn cpu(window: &Window<'_>) -> Option<Span> {
    let events = window.events;
    let outage = |event: &Event| event.kind == Kind::Outage && window.mapped(event);
    let to = events.iter().rposition(|event| outage(event) && ends(event) && event.value != Some(0))?;
    let begins =
        |event: &&Event| outage(event) && event.phase == Phase::Begin && event.value == events[to].value;
    Some((events[..to].iter().rev().find(begins)?.time_ns, events[to].time_ns))
}

/// From what took the last mapping but one away, to the last that was made: with the last outage, or
/// without any.
fn dma(window: &Window<'_>) -> Option<Span> {
    let events = window.events;
    let outage = |event: &Event| event.kind == Kind::Outage && window.mapped(event) && event.value != Some(0);
    // A fault record of a DMA that met the outage may come late, and have it mapped once more.
    let until = events.iter().rposition(|event| outage(event) && ends(event)).unwrap_or(events.len());
    let maps = |event: &Event| {
        event.kind == Kind::P2pMap && window.mapped(event) && ends(event) && event.result == Some(0)
    };
    let to = events[..until].iter().rposition(maps)?;
    let since = events[..to].iter().rposition(maps)?;
    let passed = &events[since..to];
    let begins = |event: &Event, kind: Kind| (event.kind, event.phase) == (kind, Phase::Begin);
    let unmap = passed.iter().position(|event| begins(event, Kind::P2pUnmap) && window.mapped(event))?;
    // What comes before that without an unmap of its own has taken nothing away.
    let trigger = |event: &&Event| begins(event, Kind::Trigger) && event.device == Some(window.device);
    let from = passed[..unmap].iter().rev().find(trigger).unwrap_or(&passed[unmap]);
    Some((from.time_ns, events[to].time_ns))
}
