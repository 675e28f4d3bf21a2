//! Of an episode that fails, the shortest that still does.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! 2002), the large cuts first: devices, then stretches of actions, then what is inside a single
//! action, until nothing more can go. What comes out still fails, and nothing else is promised of it:
//! a decode-off may have lost its decode-on.

mod cuts;
mod simpler;

use barkeep_scenario::Scenario;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::BTreeSet;
use std::hash::Hasher;

/// Scenarios that are proposed for one failing episode, at the most.
pub const MOST_CANDIDATES: u64 = 5_000;
/// Proposed at once: a lane that boots for each question can answer so many in one boot.
const BATCH: usize = 16;

/// What shrinking came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// Fails, by what `fails` said.
    pub scenario: Scenario,
    /// Scenarios that were proposed.
    pub proposed: u64,
    /// Of those, the ones that failed and were gone on with.
    pub taken: u64,
}

/// Looks for a smaller scenario that fails as `failing` does. `fails` is shown scenarios that are
/// each smaller or simpler than what fails so far, the most promising first, and says which is the
/// first of them that fails in the same way; `None` if none does, or if there is no more time.
///
/// The same answers give the same questions, none is asked twice, and there are
/// [`MOST_CANDIDATES`] of them at the most.
pub fn shrink(failing: Scenario, fails: &mut dyn FnMut(&[Scenario]) -> Option<usize>) -> Shrunk {
    let mut search = Search { best: failing, seen: BTreeSet::new(), proposed: 0, taken: 0, fails };
    search.seen.insert(fingerprint(&search.best));
    // Each round takes away what an earlier cut has made needless; one that finds nothing is the last.
    while search.round() {}
    let Search { best, proposed, taken, .. } = search;
    Shrunk { scenario: best, proposed, taken }
}

/// What fails so far, and what has been asked.
struct Search<'a> {
    best: Scenario,
    seen: BTreeSet<u128>,
    proposed: u64,
    taken: u64,
    fails: &'a mut dyn FnMut(&[Scenario]) -> Option<usize>,
}

impl Search<'_> {
    /// All sorts of cuts once; whether any was taken.
    fn round(&mut self) -> bool {
        let before = self.taken;
        // Times as they were drawn: otherwise each action that goes would change those behind it.
        self.first_of(simpler::times_as_drawn);
        while self.first_of(cuts::without_a_device) {}
        self.stretches();
        while self.first_of(cuts::opened) {}
        while self.first_of(cuts::inside) {}
        while self.first_of(simpler::fewer_vcpus) {}
        while self.first_of(simpler::less_disturbed) {}
        while self.first_of(simpler::simpler_times) {}
        self.taken > before
    }

    /// Stretches of actions, half of them, a quarter, and so on down to each.
    fn stretches(&mut self) {
        let mut size = self.best.actions.len().div_ceil(2);
        while size > 0 {
            // From the end: what comes after a failure is needed least.
            let mut end = self.best.actions.len();
            while end > 0 {
                let found = self.ask(cuts::without_a_stretch(&self.best, size, end));
                // Behind the stretch that went, all have been asked about.
                end = found.map_or(0, |number| end.saturating_sub((number + 1) * size));
            }
            size = if size > 1 { size.min(self.best.actions.len()).div_ceil(2) } else { 0 };
        }
    }

    /// Asks about what `ways` makes of the best one until one fails; whether one did.
    fn first_of(&mut self, ways: impl FnOnce(&Scenario) -> Vec<Scenario>) -> bool {
        self.ask(ways(&self.best)).is_some()
    }

    /// Asks until one fails, and goes on with that.
    fn ask(&mut self, ways: Vec<Scenario>) -> Option<usize> {
        let new = |scenario: &Scenario, seen: &mut BTreeSet<u128>| {
            scenario.validate().is_ok() && seen.insert(fingerprint(scenario))
        };
        let mut ways = ways.into_iter().enumerate().filter(|(_, way)| new(way, &mut self.seen));
        loop {
            let left = usize::try_from(MOST_CANDIDATES - self.proposed).unwrap_or(usize::MAX);
            let (numbers, batch): (Vec<usize>, Vec<Scenario>) = ways.by_ref().take(BATCH.min(left)).unzip();
            if batch.is_empty() {
                return None;
            }
            self.proposed += batch.len() as u64;
            let Some(found) = (self.fails)(&batch).filter(|found| *found < batch.len()) else { continue };
            self.best = batch.into_iter().nth(found)?;
            self.taken += 1;
            return numbers.get(found).copied();
        }
    }
}

/// Of all of a scenario; the same for the same one.
fn fingerprint(scenario: &Scenario) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(format!("{scenario:?}").as_bytes());
    hasher.finish128().as_u128()
}
