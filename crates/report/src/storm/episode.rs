//! One episode of a storm.

use super::Choice;
use barkeep_check::{Ended, Finding, Verdict};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What became of one episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// What decided everything in it.
    pub seed: u64,
    /// How it ended: by itself, or it hung, or was killed, or what it ran in went away.
    pub ended: Ended,
    /// What was found; see [`Verdict::findings`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u64,
    /// Revoking actions planned in it.
    pub resets: u64,
    /// Events of its journal.
    pub events: u64,
    /// From its first event to its last, nanoseconds of the storm's clock.
    pub took_ns: u64,
    /// The order of actor and step in it, time removed, as a number.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal")]
    pub interleaving: Option<u128>,
    /// What was drawn for this one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Where its results lie, if they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artefacts: Option<Artefacts>,
}

/// What was kept of an episode: of those that do not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artefacts {
    /// The folder of it all.
    pub folder: String,
    /// The journal that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// The scenario that fails the same way, shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repro: Option<String>,
    /// Actions of that scenario, and of the whole episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<(u64, u64)>,
    /// The command that does it again.
    pub replay: String,
    /// The events that show it, each a line ([`super::witness`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witness: Vec<String>,
}

impl Episode {
    /// The one of this seed that came to this. What the verdict does not know is left at zero.
    pub fn new(seed: u64, verdict: &Verdict) -> Self {
        Self {
            seed,
            ended: verdict.ended.clone(),
            findings: verdict.findings.clone(),
            unlisted: verdict.counts.unlisted,
            resets: 0,
            events: verdict.counts.events,
            took_ns: 0,
            interleaving: None,
            options: Vec::new(),
            artefacts: None,
        }
    }

    /// Its status, by the table in `docs/interfaces.md`.
    pub fn exit_code(&self) -> i32 {
        self.ended.exit_code(&self.findings)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// 128 bits are no number in JSON.
mod hexadecimal {
    use super::{Deserialize, Deserializer, Error, Serializer};

    pub fn serialize<S: Serializer>(number: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => serializer.collect_str(&format_args!("{number:032x}")),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u128>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| u128::from_str_radix(&text, 16).map_err(D::Error::custom)).transpose()
    }
}
