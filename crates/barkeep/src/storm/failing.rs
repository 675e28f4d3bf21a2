//! An episode that failed: what is kept of it.

use super::hands::Hands;
use super::work::{self, Outcome, Terms};
use super::{folder, folder::Folder, load};
use crate::exit::UsageExt;
use crate::kernel_reports;
use anyhow::Context;
use barkeep_check::{Finding, Invariant, Verdict};
use barkeep_lab::shell_quoted;
use barkeep_report::jsonl;
use barkeep_report::storm::{Artefacts, witness};
use barkeep_scenario::Scenario;
use std::collections::BTreeSet;
use std::path::Path;

/// What an episode is written to.
const EPISODE: &str = "episode.toml";

/// What an episode that failed found, told the same way in every run: it fails again if it finds that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    /// What is looked for.
    signature: String,
    /// Whatever was found. What finds anything beside it fails in another way: with something left out, a
    /// scenario may well expect what cannot be.
    all: BTreeSet<String>,
    /// In one sentence.
    pub sentence: String,
    /// It is what the scenario expects that is not so.
    pub of_scenario: bool,
    /// It is no more than how the run ended, which may have had its cause outside.
    pub of_end: bool,
}

impl Symptom {
    /// That of a verdict; `None` if nothing was found. An invariant that is broken is broken whatever else
    /// is done; what a scenario expects may be wrong once something is left out; and how a run ended says
    /// least.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let whole = || verdict.findings.iter().filter(|finding| !finding.unfinished);
        let broken = whole().find(|finding| finding.invariant != Invariant::Expectation);
        let first = broken.or(whole().next()).or(verdict.findings.last())?;
        Some(Self {
            signature: first.signature(),
            all: verdict.findings.iter().map(Finding::signature).collect(),
            sentence: first.what.clone(),
            of_scenario: first.invariant == Invariant::Expectation,
            of_end: first.unfinished,
        })
    }

    /// Whether a verdict has it.
    pub fn is_in(&self, verdict: &Verdict) -> bool {
        let known = verdict.findings.iter().all(|finding| self.all.contains(&finding.signature()));
        known && self.found(verdict).is_some()
    }

    fn found<'a>(&self, verdict: &'a Verdict) -> Option<&'a Finding> {
        verdict.findings.iter().find(|finding| finding.signature() == self.signature)
    }
}

/// Writes what there is of an episode that failed; in lane model it is done again for that.
///
/// # Errors
/// Results cannot be written, or the lane does not do its part.
pub fn keep(
    episode: &Scenario,
    outcome: &mut Outcome,
    hands: &Hands,
    terms: &Terms,
    folder: &Folder,
) -> anyhow::Result<Artefacts> {
    let place = folder.episode(episode.seed.unwrap_or_default());
    let path = place.join(EPISODE);
    folder::write(&path, &work::text(episode)?)?;
    if outcome.journal.is_none() {
        let terms = Terms { until: None, jobs: 1, ..terms.clone() };
        let again = hands.one(episode, &terms, &place)?;
        match again {
            // What a process that died took with it is in this journal.
            Some(again) if !again.verdict.passed() => {
                *outcome = Outcome { wall: outcome.wall.clone(), ..again };
            }
            Some(_) => outcome.said.get_or_insert_default().push_str(" (done once more, it passed)"),
            None => {}
        }
    }
    Ok(Artefacts {
        folder: place.display().to_string(),
        journal: outcome.journal.as_ref().map(|path| path.display().to_string()),
        replay: replay(&path, hands, terms),
        witness: Symptom::of(&outcome.verdict).map_or(Ok(Vec::new()), |symptom| seen(outcome, &symptom))?,
        ..Artefacts::default()
    })
}

/// The command that carries a scenario out again.
pub fn replay(scenario: &Path, hands: &Hands, terms: &Terms) -> String {
    let mut words = vec!["barkeep".to_owned()];
    let kernel = hands.boots.as_ref().and_then(|boots| boots.named_kernel.as_ref());
    let kernel = kernel.map(|kernel| format!("--kernel={}", kernel.display()));
    let scenario = ["replay".to_owned(), scenario.display().to_string()];
    if hands.boots.as_ref().is_some_and(|boots| boots.fast) {
        words.extend(["lab".to_owned(), "--fast".to_owned()]);
        words.extend(kernel);
        words.push("--".to_owned());
        words.extend(scenario);
    } else {
        words.extend(scenario);
        words.extend(["--lane".to_owned(), load::name(hands.lane).to_owned()]);
        words.extend(kernel);
    }
    words.extend(terms.words.iter().cloned());
    let planted = barkeep_planted::name().map(|fault| format!("{}={fault} ", barkeep_planted::VARIABLE));
    planted.unwrap_or_default() + &shell_quoted(&words)
}

/// The events that show what was found.
///
/// # Errors
/// The journal cannot be read.
pub fn seen(outcome: &Outcome, symptom: &Symptom) -> anyhow::Result<Vec<String>> {
    let (Some(journal), Some(finding)) = (&outcome.journal, symptom.found(&outcome.verdict)) else {
        return Ok(said(outcome));
    };
    let what = || format!("cannot read {}", journal.display());
    let (_, events) = jsonl::open(journal).usage(what())?;
    let events = events.collect::<Result<Vec<_>, _>>().with_context(what)?;
    let mut lines = witness::lines(events, finding);
    if let Some(reports) = kernel_reports::beside(journal, &outcome.verdict) {
        lines.push(format!("the kernel's reports, whole: {}", reports.display()));
    }
    lines.extend(said(outcome));
    Ok(lines)
}

fn said(outcome: &Outcome) -> Vec<String> {
    outcome.said.iter().map(|said| format!("it said: {}", said.trim())).collect()
}
