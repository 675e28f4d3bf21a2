//! What a run comes to: findings, counts, one exit status.

use crate::summary::Summary;
use barkeep_journal::DeviceAddress;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What a finding says is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// After a revoke nothing reaches the BAR until it may.
    I1,
    /// Every errno is the specification's.
    I2,
    /// What was revoked comes back, or its failure is loud.
    I3,
    /// Nothing leaks.
    I4,
    /// Nothing is lost silently.
    I5,
    /// The kernel stays clean.
    I6,
    /// The guest cannot kill, stall or confuse the VMM.
    I7,
    /// Something the scenario expected.
    Expectation,
}

impl Invariant {
    /// All of them, in the order they are told in.
    pub const ALL: [Self; 8] =
        [Self::I1, Self::I2, Self::I3, Self::I4, Self::I5, Self::I6, Self::I7, Self::Expectation];

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I1 => "I1",
            Self::I2 => "I2",
            Self::I3 => "I3",
            Self::I4 => "I4",
            Self::I5 => "I5",
            Self::I6 => "I6",
            Self::I7 => "I7",
            Self::Expectation => "expectation",
        }
    }

    /// The one of a short name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|invariant| invariant.name() == name)
    }

    /// What it demands.
    pub const fn demand(self) -> &'static str {
        match self {
            Self::I1 => "after a revoke nothing reaches the BAR until it decodes and is mapped again",
            Self::I2 => "every errno is the specification's",
            Self::I3 => "what was revoked comes back, or its failure is loud",
            Self::I4 => "nothing leaks",
            Self::I5 => "nothing is lost silently",
            Self::I6 => "the kernel stays clean",
            Self::I7 => "the guest cannot kill, stall or confuse the VMM",
            Self::Expectation => "what the scenario expects is met",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Invariant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let none = || serde::de::Error::custom(format!("no invariant is called `{name}`"));
        Self::from_name(&name).ok_or_else(none)
    }
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it breaks.
    pub invariant: Invariant,
    /// The event it rests on.
    pub seq: u64,
    /// The time of that event.
    pub time_ns: u64,
    /// The device it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::address")]
    pub device: Option<DeviceAddress>,
    /// One sentence, without the full stop.
    pub what: String,
    /// It says no more than that the run did not get to its end: a step without an end, a
    /// journal without its last event. How the run ended outside decides what that means.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

/// How a run ended, as seen from outside of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    ByItself(i32),
    /// It was ended because its time was up.
    TimedOut,
    /// What it ran in went away.
    Died {
        /// What is known of it.
        why: String,
    },
}

/// What a run comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What is not as it must be, in the order of the journal. Of each invariant the first
    /// [`Verdict::LISTED`] and the first of each further signature;
    /// [`Summary::unlisted`] counts the rest.
    pub findings: Vec<Finding>,
    /// What there was.
    pub counts: Summary,
    /// How the run ended.
    pub ended: Ended,
}

impl Verdict {
    /// Findings of one invariant that are listed, whatever their signatures.
    pub const LISTED: usize = 64;

    /// Findings of one invariant that are listed at the most: where there are fewer, one of each
    /// signature is.
    pub const LISTED_AT_MOST: usize = 2 * Self::LISTED;

    /// Whether all is as it must be.
    pub fn passed(&self) -> bool {
        self.exit_code() == 0
    }

    /// The status of the whole, by the table in `docs/interfaces.md`; see [`Ended::exit_code`].
    pub fn exit_code(&self) -> i32 {
        self.ended.exit_code(&self.findings)
    }
}

impl Ended {
    /// The status of a run that ended so and in which this was found.
    ///
    /// A hang is 124, whatever else was found: the findings say what. A machine that went
    /// away is 125 unless there is a finding that does not just follow from its going (a
    /// kernel panic is one). A run that ended by itself has 1 for findings, else its own
    /// status (2, 4, 125, or that of a program run by `exec`).
    pub fn exit_code(&self, findings: &[Finding]) -> i32 {
        const BROKEN: i32 = 1;
        let broken = findings.iter().any(|finding| !finding.unfinished);
        match *self {
            Self::TimedOut => 124,
            Self::Died { .. } if broken => BROKEN,
            Self::Died { .. } => 125,
            Self::ByItself(0) if findings.is_empty() => 0,
            Self::ByItself(0) => BROKEN,
            Self::ByItself(_) if broken => BROKEN,
            Self::ByItself(status) => status,
        }
    }
}
