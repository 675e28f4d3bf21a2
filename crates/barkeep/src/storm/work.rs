//! What is to be carried out, and what came of it: the same for every lane.

use crate::exit::UsageExt;
use anyhow::Context;
use barkeep_check::Verdict;
use barkeep_scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Episodes, each with a number from 0.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// Drawn from a storm, one for each seed.
    Drawn {
        /// The storm.
        storm: &'a Scenario,
        /// The seeds, in the order in which they are shown.
        seeds: &'a [u64],
    },
    /// As they are written down; each has its seed in itself.
    Written(&'a [Scenario]),
}

/// One episode, as a worker is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub number: usize,
    /// What it is drawn from, and its random times are.
    pub seed: u64,
    /// Its text, unless it is drawn from the storm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What came of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What its journal comes to.
    pub verdict: Verdict,
    /// Revoking actions that were planned in it.
    pub resets: u64,
    /// From its first event to its last, nanoseconds of the run's clock.
    pub took_ns: u64,
    /// When it was carried out, nanoseconds of this machine's `CLOCK_MONOTONIC`.
    pub wall: Range<u64>,
    /// The order of actor and step, time removed: 32 hexadecimal digits.
    pub interleaving: String,
    /// Why it did not come to its end, in its own words.
    pub said: Option<String>,
    /// Its journal, where it was written.
    pub journal: Option<PathBuf>,
}

/// What all lanes have to keep to.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Words for the command line of whoever carries episodes out: `--device` and the like.
    pub words: Vec<String>,
    /// Processes at the same time.
    pub jobs: usize,
    /// Wall-clock time after which an episode has hung: in lane `model` since it began, elsewhere since
    /// its scenario last went on.
    pub patience: Duration,
    /// When no new episode is begun any more.
    pub until: Option<Instant>,
}

/// Takes what came of an episode; breaking off leaves out what has not been shown.
pub type Show<'a> = dyn FnMut(usize, Outcome) -> ControlFlow<()> + 'a;

/// The seed of a scenario that names none.
const SEED: u64 = crate::model::SEED;

impl Work<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Drawn { seeds, .. } => seeds.len(),
            Self::Written(scenarios) => scenarios.len(),
        }
    }

    /// The seed of an episode.
    pub fn seed(&self, number: usize) -> u64 {
        match self {
            Self::Drawn { seeds, .. } => seeds[number],
            Self::Written(scenarios) => scenarios[number].seed.unwrap_or(SEED),
        }
    }

    /// An episode as a plain scenario.
    ///
    /// # Errors
    /// The storm makes none.
    pub fn episode(&self, number: usize) -> anyhow::Result<Scenario> {
        match self {
            Self::Drawn { storm, seeds } => drawn(storm, seeds[number]),
            Self::Written(scenarios) => Ok(scenarios[number].clone()),
        }
    }

    /// The storm's text, for whoever draws by itself.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn storm(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Drawn { storm, .. } => text(storm).map(Some),
            Self::Written(_) => Ok(None),
        }
    }

    /// An episode for whoever draws by itself.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn order(&self, number: usize) -> anyhow::Result<Order> {
        let text = match self {
            Self::Drawn { .. } => None,
            Self::Written(scenarios) => Some(text(&scenarios[number])?),
        };
        Ok(Order { number, seed: self.seed(number), text })
    }
}

/// The episode of a seed.
///
/// # Errors
/// The storm makes none.
pub fn drawn(storm: &Scenario, seed: u64) -> anyhow::Result<Scenario> {
    barkeep_storm::episode(storm, seed).usage(format!("the storm `{}` makes no episode", storm.name))
}

/// A scenario as it is written down.
///
/// # Errors
/// A number in it is over 2^63.
pub fn text(scenario: &Scenario) -> anyhow::Result<String> {
    scenario.to_toml().with_context(|| format!("`{}` cannot be written down", scenario.name))
}

impl Terms {
    /// Whether a new episode may still be begun.
    pub fn time_is_up(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}
