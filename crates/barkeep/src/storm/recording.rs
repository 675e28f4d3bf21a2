//! What came of each episode, as it comes.

use super::failing::{self, Symptom};
use super::folder::Folder;
use super::hands::Hands;
use super::progress::Progress;
use super::shrinking::{self, Failing};
use super::work::{Outcome, Terms, Work};
use barkeep_report::storm::{Episode, Known, Storm};
use barkeep_scenario::Scenario;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

/// Episodes that fail of which everything is kept; of more, each can be had by its seed.
const KEPT: usize = 10;

/// The record being made.
pub struct Recording<'a> {
    record: Storm,
    work: Work<'a>,
    known: &'a Known,
    hands: &'a Hands,
    folder: &'a Folder,
    terms: &'a Terms,
    keep_going: bool,
    failed: usize,
    first: Option<First>,
    /// When each was carried out, nanoseconds of the wall clock.
    spans: Vec<Range<u64>>,
    progress: Progress,
    result: anyhow::Result<()>,
}

/// The first episode that failed.
struct First {
    seed: u64,
    episode: Scenario,
    symptom: Symptom,
}

impl<'a> Recording<'a> {
    /// Nothing yet.
    pub fn new(
        record: Storm,
        work: Work<'a>,
        known: &'a Known,
        hands: &'a Hands,
        folder: &'a Folder,
        terms: &'a Terms,
        keep_going: bool,
    ) -> Self {
        let (progress, result) = (Progress::new(work.len()), Ok(()));
        let (failed, first, spans) = (0, None, Vec::new());
        Self { record, work, known, hands, folder, terms, keep_going, failed, first, spans, progress, result }
    }

    /// Takes what came of an episode; breaks off at the first that failed, or if it cannot be written down.
    pub fn take(&mut self, number: usize, outcome: Outcome) -> ControlFlow<()> {
        let failed = match self.add(number, outcome) {
            Ok(failed) => failed,
            Err(error) => {
                self.result = Err(error);
                return ControlFlow::Break(());
            }
        };
        self.progress.show(self.record.episodes.len(), self.record.resets(), self.failed);
        if failed && !self.keep_going { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether it failed, as far as it is not known.
    fn add(&mut self, number: usize, mut outcome: Outcome) -> anyhow::Result<bool> {
        self.spans.push(outcome.wall.clone());
        let seed = self.work.seed(number);
        let failed = self.fails(seed, &outcome);
        let mut artefacts = None;
        if failed && self.failed < KEPT {
            let episode = self.work.episode(number)?;
            let resets = outcome.resets;
            artefacts = Some(failing::keep(&episode, &mut outcome, self.hands, self.terms, self.folder)?);
            outcome.resets = resets.max(outcome.resets);
            if self.first.is_none() {
                self.first = Symptom::of(&outcome.verdict).map(|symptom| First { seed, episode, symptom });
            }
        }
        self.failed += usize::from(failed);
        let episode = Episode { artefacts, ..entry(seed, &outcome) };
        self.record.add(episode, &outcome.verdict.counts);
        Ok(failed)
    }

    fn fails(&self, seed: u64, outcome: &Outcome) -> bool {
        if outcome.verdict.passed() {
            return false;
        }
        let mut alone = Storm::new(self.record.header.clone());
        alone.add(entry(seed, outcome), &outcome.verdict.counts);
        alone.judge(self.known).failed().next().is_some()
    }

    /// Says how long all of it took on the wall.
    pub fn wall_clock(&mut self, all: Duration) {
        self.record.wall_clock_ns = Some(u64::try_from(all.as_nanos()).unwrap_or(u64::MAX));
        self.progress.over(covered(std::mem::take(&mut self.spans)), self.record.resets());
    }

    /// The record, with the first episode that failed made short.
    ///
    /// # Errors
    /// What came before cannot be written down.
    pub fn finish(self, budget: Duration) -> anyhow::Result<Storm> {
        self.result?;
        let mut record = self.record;
        if let Some(first) = self.first.filter(|_| !budget.is_zero()) {
            let failing = Failing {
                episode: &first.episode,
                symptom: &first.symptom,
                kernel: &record.header.kernel.clone(),
            };
            let entry = record.episodes.iter_mut().find(|episode| episode.seed == first.seed);
            if let Some(artefacts) = entry.and_then(|episode| episode.artefacts.as_mut()) {
                shrinking::shrink(&failing, self.hands, self.terms, budget, self.folder, artefacts)?;
            }
        }
        Ok(record)
    }
}

/// How long at least one of them was under way.
fn covered(mut spans: Vec<Range<u64>>) -> Duration {
    spans.sort_unstable_by_key(|span| span.start);
    let (mut covered, mut to) = (0, 0);
    for span in spans {
        covered += span.end.saturating_sub(span.start.max(to));
        to = to.max(span.end);
    }
    Duration::from_nanos(covered)
}

fn entry(seed: u64, outcome: &Outcome) -> Episode {
    Episode {
        resets: outcome.resets,
        took_ns: outcome.took_ns,
        interleaving: u128::from_str_radix(&outcome.interleaving, 16).ok(),
        ..Episode::new(seed, &outcome.verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::covered;
    use std::time::Duration;

    #[test]
    fn time_that_several_episodes_share_counts_once() {
        assert_eq!(covered(Vec::new()), Duration::ZERO);
        assert_eq!(covered(vec![10..20, 0..5, 15..30, 16..18]), Duration::from_nanos(25));
    }
}
