//! From an episode in which kernel and specification part to the fewest operations with the
//! simplest arguments that still show it.
//!
//! A boot of the emulator costs seconds and then carries out hundreds of episodes, so candidates
//! are tried in batches: first all, each alone, then the ones that did it put together. Nothing
//! here is random and no order comes from a hash, so the same episode shrinks to the same one.

mod arguments;
mod names;
mod remove;
mod simplify;
#[cfg(test)]
mod tests;

use crate::compare::{Divergence, Field, compare};
use crate::kind::Kind;
use crate::machine::Machine;
use crate::possible::harmless;
use crate::recording::{Episode, Recorded};
use barkeep_model::{Op, Subject};
use std::collections::HashSet;

/// Batches at the most: what is left after so many is small enough for a person.
const BATCHES: usize = 64;
/// Candidates of one batch at the most.
const CANDIDATES: usize = 512;

/// A real kernel that carries out many episodes at a time.
pub trait Batch {
    /// Why it could not.
    type Error;

    /// Carries out each sequence from the start of an episode of its own. A sequence that the
    /// kernel did not survive comes back shorter.
    ///
    /// # Errors
    /// The kernel could not be asked.
    fn run(&mut self, candidates: &[Vec<Op>]) -> Result<Vec<Vec<Recorded>>, Self::Error>;
}

/// What is left of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Its operations, with what the kernel said of them.
    pub episode: Episode,
    /// Where it parts from the specification: at its last operation.
    pub divergence: Divergence,
    /// Batches that were run.
    pub batches: usize,
    /// Candidates in them.
    pub candidates: usize,
}

/// Shrinks an episode. What is left parts from the specification in the same field of the same
/// kind of operation. `None` if the episode does not part at all.
///
/// # Errors
/// The kernel could not be asked.
pub fn shrink<B: Batch, S: Subject + ?Sized>(
    episode: &Episode,
    kernel: &mut B,
    specification: &mut S,
    machine: &Machine,
) -> Result<Option<Shrunk>, B::Error> {
    let Some(first) = compare(episode, specification, machine) else { return Ok(None) };
    let wanted = (first.kind, first.field);
    let best = Parted::new(episode.number, episode.steps.clone(), first);
    let asked = HashSet::from([best.episode.ops()]);
    let mut search =
        Search { kernel, specification, machine, wanted, best, asked, batches: 0, candidates: 0 };
    search.remove()?;
    // What is simpler may need less.
    while search.simplify()? && search.remove()? {}
    let Search { best: Parted { episode, divergence }, batches, candidates, .. } = search;
    Ok(Some(Shrunk { episode, divergence, batches, candidates }))
}

/// A sequence that parts from the specification at its last operation.
#[derive(Clone, Debug)]
struct Parted {
    episode: Episode,
    divergence: Divergence,
}

impl Parted {
    /// Without what follows the divergence.
    fn new(number: u64, mut steps: Vec<Recorded>, divergence: Divergence) -> Self {
        steps.truncate(divergence.index + 1);
        let divergence = Divergence { operations: steps.len(), ..divergence };
        Self { episode: Episode { number, steps }, divergence }
    }
}

struct Search<'a, B, S: ?Sized> {
    kernel: &'a mut B,
    specification: &'a mut S,
    machine: &'a Machine,
    wanted: (Kind, Field),
    best: Parted,
    /// What was asked already: only whether, never in what order.
    asked: HashSet<Vec<Op>>,
    batches: usize,
    candidates: usize,
}

impl<B: Batch, S: Subject + ?Sized> Search<'_, B, S> {
    /// The operations of the best so far.
    fn ops(&self) -> Vec<Op> {
        self.best.episode.ops()
    }

    /// Tries candidates; says for each that does it (part in the wanted way) its place among them.
    /// Those that were tried before, or could harm a device, do not do it.
    fn that_do(&mut self, candidates: Vec<Vec<Op>>) -> Result<Vec<(usize, Parted)>, B::Error> {
        let mut places = Vec::new();
        let mut asked = Vec::new();
        for (place, ops) in candidates.into_iter().enumerate() {
            if asked.len() < CANDIDATES && harmless(&ops, self.machine) && self.asked.insert(ops.clone()) {
                places.push(place);
                asked.push(ops);
            }
        }
        if asked.is_empty() || self.batches == BATCHES {
            return Ok(Vec::new());
        }
        self.batches += 1;
        self.candidates += asked.len();
        let answered = self.kernel.run(&asked)?;
        Ok(places
            .into_iter()
            .zip(answered)
            .filter_map(|(place, steps)| Some((place, self.parted(steps)?)))
            .collect())
    }

    /// Goes on from there; says yes.
    fn take(&mut self, parted: Parted) -> bool {
        self.asked.insert(parted.episode.ops());
        self.best = parted;
        true
    }

    fn parted(&mut self, steps: Vec<Recorded>) -> Option<Parted> {
        let episode = Episode { number: self.best.episode.number, steps };
        let divergence = compare(&episode, self.specification, self.machine)?;
        let same = (divergence.kind, divergence.field) == self.wanted;
        same.then(|| Parted::new(episode.number, episode.steps, divergence))
    }
}
