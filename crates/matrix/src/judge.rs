//! Holds a cell's journal to what it has to show. The checker judges whether all is well; this judges
//! whether there was anything to see: a cell that passes without the access that did not land has
//! shown nothing.

use crate::measure::{self, Away};
use crate::wanted::{Bar, End, Wanted};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase};

/// Observations that are not in the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not seen: {}", .0.join("; "))]
pub struct Missing(pub Vec<String>);

/// Looks for all that is wanted; gives how long the victim was away.
///
/// # Errors
/// What is not there.
pub fn judge(events: &[Event], wanted: &Wanted) -> Result<Away, Missing> {
    // What follows the last action is the VM being taken apart.
    let over = |event: &Event| event.kind == Kind::Action && event.actor == Actor::Scenario && ends(event);
    let events = &events[..events.iter().rposition(over).map_or(0, |last| last + 1)];
    let tried = |event: &Event| wanted.action.as_deref() == Some(event.text.as_str());
    let begins = |event: &Event| event.phase == Phase::Begin && (happens(event) || tried(event));
    let Some(begin) = events.iter().position(begins) else {
        return Err(Missing(vec!["anything that happens to a device".into()]));
    };
    let mut missing = Vec::new();
    for bar in std::iter::once(&wanted.victim).chain(&wanted.others) {
        match Window::of(bar, events) {
            Some(window) => window.judge(begin, wanted.end, &mut missing),
            None => missing.push(format!("{}, BAR {}: a window", bar.device, bar.bar)),
        }
    }
    let victim = Window::of(&wanted.victim, events);
    if let (End::Gone, Some(victim)) = (wanted.end, &victim) {
        let lives = |event: &Event| landed(event, "cpu") && event.device != Some(victim.device);
        if !events[victim.settled(begin)..].iter().any(lives) {
            missing.push("another device answering a CPU afterwards".into());
        }
    }
    match victim {
        Some(window) if missing.is_empty() => Ok(measure::away(&window)),
        _ => Err(Missing(missing)),
    }
}

/// One window of a BAR, in the events up to the end of the scenario.
pub(crate) struct Window<'a> {
    pub events: &'a [Event],
    name: String,
    pub device: DeviceAddress,
    bar: u8,
    peers: bool,
    /// Of the BAR, as it is exported.
    offset: u64,
    size: u64,
}

impl<'a> Window<'a> {
    fn of(bar: &Bar, events: &'a [Event]) -> Option<Self> {
        let is = |event: &&Event| {
            event.kind == Kind::DeviceOpen && event.text.split(' ').next() == Some(bar.device.as_str())
        };
        let device = events.iter().find(is)?.device?;
        let exported = |event: &Event| {
            let of = (event.kind, event.device, event.bar) == (Kind::BarExport, Some(device), Some(bar.bar));
            let (from, size) = event.address.zip(event.size).filter(|_| of)?;
            bar.offset.checked_sub(from).is_some_and(|inside| inside < size).then_some((from, size))
        };
        let (offset, size) = events.iter().find_map(exported)?;
        let name = format!("{}, BAR {}", bar.device, bar.bar);
        Some(Self { events, name, device, bar: bar.bar, peers: bar.peers, offset, size })
    }

    /// Whether an event is about this window as it is mapped. Windows of one BAR have different sizes.
    pub fn mapped(&self, event: &Event) -> bool {
        (event.device, event.bar, event.size) == (Some(self.device), Some(self.bar), Some(self.size))
    }

    /// Whether an observation is of this window.
    fn seen(&self, event: &Event) -> bool {
        let inside = |at: u64| at.checked_sub(self.offset).is_some_and(|at| at < self.size);
        (event.device, event.bar) == (Some(self.device), Some(self.bar)) && event.address.is_some_and(inside)
    }

    /// Whether a peer's access met a fault here, where the window is or was mapped.
    fn faulted(&self, event: &Event) -> bool {
        let Some(iova) = event.address.filter(|_| event.kind == Kind::Faulted) else { return false };
        let here = |map: &Event| {
            let at = map.address.filter(|_| map.kind == Kind::P2pMap && self.mapped(map));
            at.and_then(|at| iova.checked_sub(at)).is_some_and(|inside| inside < self.size)
        };
        self.events.iter().any(here)
    }

    /// Where the last thing that happened to it, or to its mappings, has ended.
    fn settled(&self, begin: usize) -> usize {
        let last = |event: &Event| {
            let concerns = match event.kind {
                Kind::Trigger | Kind::Administer | Kind::Hold => true,
                Kind::P2pMap | Kind::Outage => self.mapped(event),
                _ => false,
            };
            concerns && ends(event)
        };
        self.events.iter().rposition(last).map_or(begin, |last| last.max(begin))
    }

    fn judge(&self, begin: usize, end: End, missing: &mut Vec<String>) {
        let settled = self.settled(begin);
        let (before, after) = (&self.events[..begin], &self.events[settled..]);
        let since = &self.events[begin..];
        let mut want = |there: bool, what: &str| {
            if !there {
                missing.push(format!("{}: {what}", self.name));
            }
        };
        let lands =
            |events: &[Event], way: &str| events.iter().any(|event| landed(event, way) && self.seen(event));
        let cpu_fails =
            |events: &[Event]| events.iter().any(|event| not_landed(event, "cpu") && self.seen(event));
        let dma_faults = |events: &[Event]| events.iter().any(|event| self.faulted(event));
        let dma_fails = |events: &[Event]| {
            dma_faults(events) || events.iter().any(|event| not_landed(event, "dma") && self.seen(event))
        };
        want(lands(before, "cpu"), "a CPU's access landing before");
        want(!self.peers || lands(before, "dma"), "a DMA landing before");
        match end {
            End::Gone => {}
            End::Back | End::DmaBack | End::Kept | End::Refused(_) => {
                want(lands(after, "cpu"), "a CPU's access landing afterwards");
                want(!self.peers || lands(after, "dma"), "a DMA landing afterwards");
            }
        }
        match end {
            End::Back => {
                want(cpu_fails(since), "a CPU's access not landing in between");
                want(dma_faults(since), "a DMA's fault in between");
            }
            End::DmaBack => want(dma_fails(since), "a DMA not landing in between"),
            End::Gone => {
                want(cpu_fails(after), "a CPU's access not landing afterwards");
                want(dma_faults(after), "a DMA's fault afterwards");
                want(!lands(after, "cpu") && !lands(after, "dma"), "an end of all landing");
            }
            End::Kept | End::Refused(_) => {
                want(!cpu_fails(since) && !dma_fails(since), "every access landing");
            }
        }
        if end == End::Kept {
            let taken =
                |event: &Event| matches!(event.kind, Kind::P2pUnmap | Kind::Outage) && self.mapped(event);
            want(!since.iter().any(taken), "mappings that are left alone");
        }
    }
}

/// Whether something happens to a device from outside of its keeper.
fn happens(event: &Event) -> bool {
    matches!(event.kind, Kind::Trigger | Kind::Administer | Kind::Hold)
}

pub(crate) fn ends(event: &Event) -> bool {
    event.phase == Phase::End
}

fn landed(event: &Event, way: &str) -> bool {
    event.kind == Kind::Landed && event.text == way
}

fn not_landed(event: &Event, way: &str) -> bool {
    event.kind == Kind::NotLanded && event.text == way
}

#[cfg(test)]
#[path = "judge_test.rs"]
mod tests;
