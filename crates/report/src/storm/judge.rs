//! What a storm's record means: which episodes failed, which marks are missing, what was known.

use super::known::{Known, KnownFinding};
use super::{Episode, Header, Storm};
use barkeep_check::{Finding, Invariant, Mark, Verdict};

const PASS: i32 = 0;
const BROKEN: i32 = 1;
const SKIPPED: i32 = 4;
const TESTBED: i32 = 125;

/// What became of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was found.
    Passed,
    /// Nothing was found that is not known; the entries of [`Known::findings`] that say so.
    Known(Vec<usize>),
    /// With this status.
    Failed(i32),
}

/// A storm, judged.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// Its record.
    pub storm: &'a Storm,
    /// What was expected to be found.
    pub known: &'a Known,
    /// What became of each of [`Storm::episodes`].
    pub outcomes: Vec<Outcome>,
    /// Required marks that were never hit.
    pub missing: Vec<Mark>,
    /// Known findings of this scenario and lane that did not occur.
    pub gone: Vec<&'a KnownFinding>,
}

impl Storm {
    /// Judges it.
    pub fn judge<'a>(&'a self, known: &'a Known) -> Judgement<'a> {
        let outcomes = self.episodes.iter().map(|episode| outcome(&self.header, episode, known)).collect();
        let hit = |mark: &Mark| self.totals.marks.count(*mark) > 0;
        let missing = self.header.require.iter().copied().filter(|mark| !hit(mark)).collect();
        let of_this = known.findings.iter().filter(|known| known.is_of(&self.header));
        let gone = of_this.filter(|known| !known.occurs_in(self)).collect();
        Judgement { storm: self, known, outcomes, missing, gone }
    }
}

impl Judgement<'_> {
    /// The status of the whole, by the table in `docs/interfaces.md`: that of the gravest episode (an
    /// invariant that is broken, a hang, a testbed that failed, in this order); 1 for a required mark
    /// that was not hit and for a known finding that is gone; 125 for shards that are missing and
    /// for a storm without episodes.
    pub fn exit_code(&self) -> i32 {
        if self.storm.skipped.is_some() {
            return SKIPPED;
        }
        let failed = self.failed().map(|(_, status)| status);
        let of_episodes = failed.min_by_key(|status| (*status != BROKEN, *status != 124, *status));
        match of_episodes {
            Some(status) => status,
            None if self.storm.episodes.is_empty() || self.lacks_shards() => TESTBED,
            None if self.judges_absence() && !(self.missing.is_empty() && self.gone.is_empty()) => BROKEN,
            None => PASS,
        }
    }

    /// Whether it is a pass.
    pub fn passed(&self) -> bool {
        self.exit_code() == PASS
    }

    /// Episodes that failed, with their status.
    pub fn failed(&self) -> impl Iterator<Item = (&Episode, i32)> {
        self.storm.episodes.iter().zip(&self.outcomes).filter_map(|(episode, outcome)| match outcome {
            Outcome::Failed(status) => Some((episode, *status)),
            Outcome::Passed | Outcome::Known(_) => None,
        })
    }

    /// How many episodes have only findings that this entry, by its number, and others expect.
    pub fn known_episodes(&self, entry: usize) -> usize {
        let has = |outcome: &&Outcome| matches!(outcome, Outcome::Known(entries) if entries.contains(&entry));
        self.outcomes.iter().filter(has).count()
    }

    /// The finding of an episode to tell first: one that is not known and does not only follow from
    /// how the episode ended.
    pub fn first_finding<'e>(&self, episode: &'e Episode) -> Option<&'e Finding> {
        let unknown = |finding: &&Finding| self.known.expecting(&self.storm.header, finding).is_none();
        let of_its_own = |finding: &&Finding| !finding.unfinished && unknown(finding);
        let findings = &episode.findings;
        findings.iter().find(of_its_own).or_else(|| findings.iter().find(unknown))
    }

    /// Whether what never happened says something: not of a part of a storm.
    pub fn judges_absence(&self) -> bool {
        self.storm.header.is_whole()
    }

    /// Whether this is the record of several shards and not of all: one was lost on the way.
    pub fn lacks_shards(&self) -> bool {
        let header = &self.storm.header;
        header.shards.len() > 1 && !header.is_whole()
    }
}

/// Whether findings that are not listed may be of another sort than those that are.
fn may_hide_others(episode: &Episode) -> bool {
    let many = |invariant: &Invariant| {
        let of_it = episode.findings.iter().filter(|finding| finding.invariant == *invariant);
        of_it.count() >= Verdict::LISTED_AT_MOST
    };
    episode.unlisted > 0 && Invariant::ALL.iter().any(many)
}

fn outcome(header: &Header, episode: &Episode, known: &Known) -> Outcome {
    let status = episode.exit_code();
    if status == PASS {
        return Outcome::Passed;
    }
    let entries: Option<Vec<usize>> =
        episode.findings.iter().map(|finding| known.expecting(header, finding)).collect();
    match entries.filter(|_| !may_hide_others(episode)) {
        // One that failed with nothing found, or was killed, is not what was expected.
        Some(mut entries) if !entries.is_empty() => {
            entries.sort_unstable();
            entries.dedup();
            Outcome::Known(entries)
        }
        Some(_) | None => Outcome::Failed(status),
    }
}
