//! Where findings gather: the first ones of each invariant in full, the rest as a number, so
//! that a storm that goes wrong a million times does not fill memory.

use crate::verdict::{Finding, Invariant, Verdict};
use barkeep_journal::Event;

/// Findings of one invariant that are listed at the most. Beyond [`Verdict::LISTED`] they are of
/// signatures not listed yet: a new sort of finding does not go under among many of a known one.
const MOST: usize = Verdict::LISTED_AT_MOST;

#[derive(Default)]
pub(crate) struct Findings {
    listed: Vec<Finding>,
    of_each: [usize; Invariant::ALL.len()],
    unlisted: u64,
    undecided: u64,
}

impl Findings {
    /// Something that is broken, and the event that shows it.
    pub fn add(&mut self, invariant: Invariant, event: &Event, what: String) {
        let Event { seq, time_ns, device, .. } = *event;
        self.push(Finding { invariant, seq, time_ns, device, what, unfinished: false });
    }

    /// Something that only shows that the run did not get to its end.
    pub fn add_unfinished(&mut self, invariant: Invariant, (seq, time_ns): (u64, u64), what: String) {
        self.push(Finding { invariant, seq, time_ns, device: None, what, unfinished: true });
    }

    pub fn push(&mut self, finding: Finding) {
        let count = self.of_each[finding.invariant as usize];
        if count >= Verdict::LISTED && (count == MOST || self.has_one_like(&finding)) {
            self.unlisted += 1;
            return;
        }
        self.of_each[finding.invariant as usize] += 1;
        self.listed.push(finding);
    }

    /// Whether one of the same signature is listed. Only asked where much is wrong.
    fn has_one_like(&self, finding: &Finding) -> bool {
        let signature = finding.signature();
        let same = |listed: &&Finding| listed.invariant == finding.invariant;
        self.listed.iter().filter(same).any(|listed| listed.signature() == signature)
    }

    /// An observation that would break an invariant had it been made when it was written,
    /// and that may have been made before.
    pub fn cannot_decide(&mut self) {
        self.undecided += 1;
    }

    /// The listed ones so far, in the order in which they were found.
    pub fn listed(&self) -> &[Finding] {
        &self.listed
    }

    /// Entries of memory it holds.
    pub fn footprint(&self) -> usize {
        self.listed.len()
    }

    /// The listed ones in the order of the journal, how many more, and how many observations
    /// could not be decided.
    pub fn into_parts(mut self) -> (Vec<Finding>, u64, u64) {
        self.listed.sort_by_key(|finding| finding.seq);
        (self.listed, self.unlisted, self.undecided)
    }
}
