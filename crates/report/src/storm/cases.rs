//! A storm as test cases: what JUnit and KTAP both tell.

use super::{Episode, Judgement, Outcome};

/// Test cases for episodes there are at the most; of more, several stand in one.
const MOST: usize = 1_000;
/// Failed episodes of one case that are told in full.
const TOLD: usize = 3;

/// Cases that belong together.
pub(crate) struct Group {
    pub name: &'static str,
    pub cases: Vec<Case>,
}

/// One test case.
pub(crate) struct Case {
    pub name: String,
    /// Of the storm's clock.
    pub took_ns: u64,
    pub result: Result,
}

/// What became of it.
pub(crate) enum Result {
    Passed,
    /// It fails, and that is known; why.
    Known(String),
    /// It does not say anything, and why.
    Skipped(String),
    Failed {
        how: How,
        /// One sentence.
        message: String,
        details: Vec<String>,
    },
}

/// How it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Something is not as it must be.
    Broken,
    TimedOut,
    /// The testbed itself failed.
    Testbed,
}

impl How {
    fn of(status: i32) -> Self {
        match status {
            1 => Self::Broken,
            124 => Self::TimedOut,
            _ => Self::Testbed,
        }
    }
}

impl Group {
    /// Whether one of its cases failed.
    pub fn failed(&self) -> bool {
        self.cases.iter().any(|case| matches!(case.result, Result::Failed { .. }))
    }
}

/// All cases of a storm. There is always one: what was skipped, or did nothing, says so.
pub(crate) fn groups(judged: &Judgement<'_>) -> Vec<Group> {
    let mut groups = vec![Group { name: "episodes", cases: episodes(judged) }];
    let (marks, known) = (marks(judged), known(judged));
    for (name, cases) in [("marks", marks), ("known", known)] {
        if !cases.is_empty() {
            groups.push(Group { name, cases });
        }
    }
    groups
}

fn episodes(judged: &Judgement<'_>) -> Vec<Case> {
    let one = |name: &str, result| vec![Case { name: name.to_owned(), took_ns: 0, result }];
    if let Some(why) = &judged.storm.skipped {
        return one("all", Result::Skipped(why.clone()));
    }
    let failed = |message: String| Result::Failed { how: How::Testbed, message, details: Vec::new() };
    if judged.storm.episodes.is_empty() {
        return one("all", failed("no episode was carried out".to_owned()));
    }
    let all: Vec<_> = judged.storm.episodes.iter().zip(&judged.outcomes).collect();
    let mut cases: Vec<_> = all.chunks(all.len().div_ceil(MOST)).map(|block| case(judged, block)).collect();
    if judged.lacks_shards() {
        let missing = judged.storm.header.missing_shards();
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        cases.extend(one("shards", failed(format!("no record of shard {}", missing.join(", ")))));
    }
    cases
}

fn case(judged: &Judgement<'_>, block: &[(&Episode, &Outcome)]) -> Case {
    let name = match block {
        [(episode, _)] => format!("seed {}", episode.seed),
        [(first, _), .., (last, _)] => format!("seeds {} to {}", first.seed, last.seed),
        [] => String::new(),
    };
    let took_ns = block.iter().fold(0u64, |sum, (episode, _)| sum.saturating_add(episode.took_ns));
    let mut failed = block.iter().filter_map(|(episode, outcome)| match outcome {
        Outcome::Failed(status) => Some((*episode, *status)),
        Outcome::Passed | Outcome::Known(_) => None,
    });
    let result = match failed.next() {
        Some(first) => failure(judged, block.len(), first, &failed.collect::<Vec<_>>()),
        None => known_or_passed(judged, block),
    };
    Case { name, took_ns, result }
}

fn failure(
    judged: &Judgement<'_>,
    of: usize,
    (first, status): (&Episode, i32),
    others: &[(&Episode, i32)],
) -> Result {
    let mut message = judged.sentence(first);
    if of > 1 {
        message =
            format!("{} of {of} episodes failed, first seed {}: {message}", others.len() + 1, first.seed);
    }
    let mut details = judged.details(first);
    for (episode, _) in others.iter().take(TOLD - 1) {
        details.push(format!("seed {}: {}", episode.seed, judged.sentence(episode)));
        details.extend(judged.details(episode));
    }
    if others.len() >= TOLD {
        let seeds: Vec<_> =
            others.iter().skip(TOLD - 1).map(|(episode, _)| episode.seed.to_string()).collect();
        details.push(format!("seeds that failed, too: {}", seeds.join(", ")));
    }
    Result::Failed { how: How::of(status), message, details }
}

fn known_or_passed(judged: &Judgement<'_>, block: &[(&Episode, &Outcome)]) -> Result {
    let mut entries: Vec<usize> = block
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Known(entries) => Some(entries.clone()),
            Outcome::Passed | Outcome::Failed(_) => None,
        })
        .flatten()
        .collect();
    entries.sort_unstable();
    entries.dedup();
    if entries.is_empty() { Result::Passed } else { Result::Known(judged.reasons(&entries)) }
}

fn marks(judged: &Judgement<'_>) -> Vec<Case> {
    let result = |mark| match (judged.missing.contains(&mark), judged.judges_absence()) {
        (false, _) => Result::Passed,
        (true, true) => Result::Failed {
            how: How::Broken,
            message: format!("never happened: {}", mark.sentence()),
            details: Vec::new(),
        },
        (true, false) => Result::Skipped("not in this shard; the merge of all of them judges it".to_owned()),
    };
    // Nothing was done that could have hit one.
    let require = if judged.storm.episodes.is_empty() { &[][..] } else { &judged.storm.header.require };
    require
        .iter()
        .map(|mark| Case { name: mark.name().to_owned(), took_ns: 0, result: result(*mark) })
        .collect()
}

fn known(judged: &Judgement<'_>) -> Vec<Case> {
    if judged.storm.episodes.is_empty() {
        return Vec::new();
    }
    let of_this = judged.known.findings.iter().filter(|known| known.is_of(&judged.storm.header));
    of_this
        .map(|known| {
            let result = match (judged.gone.contains(&known), judged.judges_absence()) {
                (false, _) => Result::Known(known.reason.clone()),
                (true, true) => Result::Failed {
                    how: How::Broken,
                    message: "a known finding no longer occurs: take it off the list".to_owned(),
                    details: vec![format!("it was expected because: {}", known.reason)],
                },
                (true, false) => {
                    Result::Skipped("not in this shard; the merge of all of them judges it".to_owned())
                }
            };
            Case { name: format!("{}: {}", known.invariant, known.finding), took_ns: 0, result }
        })
        .collect()
}
