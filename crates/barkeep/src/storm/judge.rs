//! An episode's events, judged as they come.

use super::work::Outcome;
use crate::wall_clock;
use barkeep_check::{Checker, Ended};
use barkeep_journal::{Event, Sink};
use barkeep_storm::Interleaving;

/// The checker, and what else is to be known of an episode.
pub struct Judge {
    since: u64,
    checker: Checker,
    interleaving: Interleaving,
    first_ns: Option<u64>,
    last_ns: u64,
}

impl Default for Judge {
    fn default() -> Self {
        let (checker, interleaving) = (Checker::new(), Interleaving::default());
        Self { since: wall_clock::now(), checker, interleaving, first_ns: None, last_ns: 0 }
    }
}

impl Sink for Judge {
    fn event(&mut self, event: &Event) {
        self.first_ns.get_or_insert(event.time_ns);
        self.last_ns = self.last_ns.max(event.time_ns);
        self.interleaving.event(event);
        self.checker.event(event);
    }
}

impl Judge {
    /// No event follows.
    pub fn finish(self, ended: Ended, said: Option<String>) -> Outcome {
        Outcome {
            verdict: self.checker.finish(ended),
            resets: 0,
            took_ns: self.last_ns - self.first_ns.unwrap_or_default().min(self.last_ns),
            wall: self.since..wall_clock::now(),
            interleaving: written(self.interleaving.finish()),
            said,
            journal: None,
        }
    }
}

/// An interleaving as outcomes have it.
pub fn written(interleaving: u128) -> String {
    format!("{interleaving:032x}")
}
