//! What is said of an episode that did not pass, the same in every format.

use super::{Episode, Judgement, Outcome};
use barkeep_check::{Ended, Finding};

impl Judgement<'_> {
    /// What is broken, in one sentence.
    pub(crate) fn sentence(&self, episode: &Episode) -> String {
        match (self.first_finding(episode), &episode.ended) {
            (Some(finding), _) => finding_told(finding),
            (None, Ended::TimedOut) => "it did not end in its time".to_owned(),
            (None, Ended::Died { why }) => format!("it was cut off: {why}"),
            (None, Ended::ByItself(status)) => {
                format!("it ended with status {status}, and nothing was found")
            }
        }
    }

    /// All that helps: the other findings, the events that show it, how to do it again, where it lies.
    pub(crate) fn details(&self, episode: &Episode) -> Vec<String> {
        let first = self.first_finding(episode);
        let others = episode.findings.iter().filter(|finding| Some(*finding) != first);
        let mut lines: Vec<_> =
            others.clone().take(OTHERS).map(|other| format!("also {}", finding_told(other))).collect();
        let beyond = episode.unlisted.saturating_add(others.count().saturating_sub(OTHERS) as u64);
        if beyond > 0 {
            lines.push(format!("and {beyond} findings more"));
        }
        if let Some(kept) = &episode.artefacts {
            if !kept.witness.is_empty() {
                lines.push("the events that show it:".to_owned());
                lines.extend(kept.witness.iter().map(|line| format!("  {line}")));
            }
            if let Some((left, of)) = kept.actions {
                lines.push(format!("shrunk from {of} actions to {left}"));
            }
            lines.push(format!("again: {}", kept.replay));
            for (what, path) in
                [("repro", &kept.repro), ("journal", &kept.journal), ("all", &Some(kept.folder.clone()))]
            {
                if let Some(path) = path.as_ref().filter(|path| !path.is_empty()) {
                    lines.push(format!("{what}: {path}"));
                }
            }
        }
        lines
    }

    /// Why an episode of known findings counts as one.
    pub(crate) fn reasons(&self, entries: &[usize]) -> String {
        let reasons = entries.iter().filter_map(|entry| self.known.findings.get(*entry));
        reasons.map(|known| known.reason.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Of all outcomes how many passed, were known, failed.
    pub(crate) fn parted(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Outcome) -> bool| self.outcomes.iter().filter(|outcome| is(outcome)).count();
        (
            count(|outcome| matches!(outcome, Outcome::Passed)),
            count(|outcome| matches!(outcome, Outcome::Known(_))),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
        )
    }
}

/// Findings of an episode that are told beside the first.
const OTHERS: usize = 4;

fn finding_told(finding: &Finding) -> String {
    let Finding { invariant, seq, what, .. } = finding;
    format!("{invariant} is broken ({}): {what} (seq {seq})", invariant.demand())
}
