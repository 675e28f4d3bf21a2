//! One event being handled, from its first line in the journal to the keeper's belief: what a
//! person sees as one thing.

use crate::names;
use crate::style::Tone;
use crate::time::{duration, rough};
use barkeep_journal::{Event, Kind, Phase, Trigger};

/// What was told of one device since its last event was over.
#[derive(Debug)]
pub(crate) struct Happening {
    /// When its first line was written.
    pub begun: u64,
    trigger: Trigger,
    failed: Option<i32>,
    slots: Work,
    maps: Work,
    answered: u64,
}

/// Steps of one sort.
#[derive(Debug, Default)]
struct Work {
    began: u64,
    ns: u64,
    /// Those that put something in.
    made: u32,
    /// The errno of the last one that did not.
    refused: Option<i32>,
}

impl Work {
    fn step(&mut self, event: &Event, makes: bool) {
        match (event.phase, event.result) {
            (Phase::Begin, _) => self.began = event.time_ns,
            (Phase::End, Some(0)) => {
                self.made += u32::from(makes);
                self.ns += event.time_ns.saturating_sub(self.began);
            }
            (Phase::End, result) => {
                self.refused = result.filter(|_| makes);
                self.ns += event.time_ns.saturating_sub(self.began);
            }
            (Phase::Point, _) => {}
        }
    }
}

/// The line of a happening.
pub(crate) struct Said {
    pub tone: Tone,
    /// What it has in common with others of its kind.
    pub shape: String,
    /// What is of this one alone.
    pub detail: String,
    /// How long something was away.
    pub away: Option<u64>,
}

impl Happening {
    pub fn new(event: &Event) -> Self {
        let (slots, maps) = Default::default();
        Self { begun: event.time_ns, trigger: event.trigger, failed: None, slots, maps, answered: 0 }
    }

    /// One of its lines.
    pub fn line(&mut self, event: &Event) {
        match (event.kind, event.phase) {
            (Kind::Trigger, Phase::End) => self.failed = event.result.filter(|result| *result != 0),
            (Kind::SlotAdd, _) => self.slots.step(event, true),
            (Kind::SlotRemove, _) => self.slots.step(event, false),
            (Kind::P2pMap, _) => self.maps.step(event, true),
            (Kind::P2pUnmap, _) => self.maps.step(event, false),
            (Kind::Answered, _) => self.answered = self.answered.saturating_add(event.value.unwrap_or(0)),
            _ => {}
        }
    }

    /// Its line, once the keeper believes it over: whether it was expected live, and how long
    /// access had been away.
    pub fn said(&self, live: bool, away: Option<u64>) -> Said {
        let mut shape = names::trigger(self.trigger).to_owned();
        if let Some(result) = self.failed {
            shape += &format!(" gave {}", names::result(result));
        }
        let refused = [("CPU", self.slots.refused), ("P2P", self.maps.refused)];
        let refused: Vec<_> = refused.into_iter().filter_map(|(way, result)| Some((way, result?))).collect();
        for (way, result) in &refused {
            shape += &format!(" … {way} NOT BACK ({})", names::result(*result));
        }
        let back = match (self.slots.made, self.maps.made) {
            (0, 0) => None,
            (_, 0) => Some("CPU"),
            (0, _) => Some("P2P"),
            _ => Some("CPU and P2P"),
        };
        // What went wrong is worth the room.
        let work = if refused.is_empty() { self.work() } else { String::new() };
        let detail = match (live, back) {
            (true, Some(what)) if self.trigger == Trigger::Start => {
                format!(" … {what} mapped{work}")
            }
            (true, Some(what)) => match away {
                Some(ns) => format!(" … {what} away for {}, back{work}", duration(ns)),
                None => format!(" … {what} made anew{work}"),
            },
            (true, None) => String::new(),
            (false, _) if self.trigger == Trigger::Close => " … closed".to_owned(),
            (false, _) => " … away".to_owned(),
        };
        let tone = if refused.is_empty() { Tone::Quiet } else { Tone::Bad };
        Said { tone, shape, detail: detail + &self.answers(), away: away.filter(|_| live) }
    }

    /// Its line where the journal ended before it did.
    pub fn unsaid(&self) -> Said {
        let shape = format!("{} … NOT OVER", names::trigger(self.trigger));
        Said { tone: Tone::Bad, shape, detail: self.answers(), away: None }
    }

    fn work(&self) -> String {
        let parts = [("slots", &self.slots), ("map", &self.maps)];
        let parts = parts.into_iter().filter(|(_, work)| work.made > 0);
        let parts: Vec<_> = parts.map(|(name, work)| format!("{name} {}", rough(work.ns))).collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    fn answers(&self) -> String {
        if self.answered == 0 { String::new() } else { format!(", {} answered", self.answered) }
    }
}
