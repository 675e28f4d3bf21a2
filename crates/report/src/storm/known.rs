//! Findings that are expected, each with the reason for it.

use super::{Header, Storm};
use barkeep_check::{Finding, Invariant, normalised};
use barkeep_journal::Lane;
use toml::{Table, Value};

/// The version of the file.
const VERSION: i64 = 1;

/// What is expected to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// In the order of the file.
    pub findings: Vec<KnownFinding>,
}

/// One such finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFinding {
    /// Only of the storm of this name.
    pub scenario: Option<String>,
    /// Only in this lane.
    pub lane: Option<Lane>,
    /// What it breaks.
    pub invariant: Invariant,
    /// Its sentence, with `#` for numbers, addresses and times, and `*` for any text.
    pub finding: String,
    /// Why it is expected.
    pub reason: String,
}

/// A file of known findings that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// It is not TOML.
    #[error("{0}")]
    NotToml(String),
    /// There is no such key.
    #[error("{place} has no `{key}`{nearest}")]
    Key {
        /// Where.
        place: String,
        /// The key.
        key: String,
        /// What may have been meant.
        nearest: String,
    },
    /// Something that must be there is not, or is of another kind.
    #[error("{place} needs `{key}`, {what}")]
    Needs {
        /// Where.
        place: String,
        /// The key.
        key: &'static str,
        /// What its value must be.
        what: &'static str,
    },
}

const ENTRY_KEYS: [&str; 5] = ["scenario", "lane", "invariant", "finding", "reason"];

impl Known {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no such file; what is wrong with it first.
    pub fn read(text: &str) -> Result<Self, NotKnown> {
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| NotKnown::NotToml(error.to_string().trim_end().to_owned()))?;
        only(&table, "the file", &["version", "known"])?;
        if table.get("version").and_then(Value::as_integer) != Some(VERSION) {
            return Err(needs("the file", "version", "which is 1"));
        }
        let findings = match table.get("known") {
            None => Vec::new(),
            Some(Value::Array(entries)) => {
                entries.iter().enumerate().map(|(n, entry)| known(n + 1, entry)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(needs("the file", "known", "a list of tables: `[[known]]`")),
        };
        Ok(Self { findings })
    }

    /// The entry that expects a finding of a storm.
    pub(crate) fn expecting(&self, header: &Header, finding: &Finding) -> Option<usize> {
        self.findings.iter().position(|known| known.is_of(header) && known.is(finding))
    }
}

impl KnownFinding {
    /// Whether it is about such a storm.
    pub fn is_of(&self, header: &Header) -> bool {
        self.scenario.as_ref().is_none_or(|name| *name == header.scenario)
            && self.lane.is_none_or(|lane| lane == header.lane)
    }

    /// Whether it is this one.
    pub fn is(&self, finding: &Finding) -> bool {
        self.invariant == finding.invariant && matches(&normalised(&self.finding), &normalised(&finding.what))
    }

    /// Whether any episode of a storm has it.
    pub(crate) fn occurs_in(&self, storm: &Storm) -> bool {
        storm.episodes.iter().flat_map(|episode| &episode.findings).any(|finding| self.is(finding))
    }
}

/// Whether a text is as a pattern says, in which `*` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in between.split('*') {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(last)
}

fn known(number: usize, entry: &Value) -> Result<KnownFinding, NotKnown> {
    let place = format!("known finding {number}");
    let Value::Table(entry) = entry else {
        return Err(needs(&place, "invariant", "as a table: `[[known]]`"));
    };
    only(entry, &place, &ENTRY_KEYS)?;
    let text = |key: &'static str, what| match entry.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        None => Ok(None),
        Some(_) => Err(needs(&place, key, what)),
    };
    let must = |key: &'static str, what| text(key, what)?.ok_or_else(|| needs(&place, key, what));
    let of_lane = "`model`, `kvm`, `lab` or `host`";
    let lane = text("lane", of_lane)?
        .map(|name| Lane::from_name(&name).ok_or_else(|| needs(&place, "lane", of_lane)))
        .transpose()?;
    let of_invariant = "`I1` to `I7` or `expectation`";
    let invariant = Invariant::from_name(&must("invariant", of_invariant)?)
        .ok_or_else(|| needs(&place, "invariant", of_invariant))?;
    Ok(KnownFinding {
        scenario: text("scenario", "the name of a storm")?,
        lane,
        invariant,
        finding: must("finding", "the sentence of the finding")?,
        reason: must("reason", "why it is expected: without one nothing is")?,
    })
}

fn needs(place: &str, key: &'static str, what: &'static str) -> NotKnown {
    NotKnown::Needs { place: place.to_owned(), key, what }
}

fn only(table: &Table, place: &str, keys: &[&str]) -> Result<(), NotKnown> {
    let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, key);
    let nearest = keys.iter().min_by_key(distance).filter(|known| distance(known) <= key.len().max(3) / 2);
    let nearest = nearest.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
    Err(NotKnown::Key { place: place.to_owned(), key: key.clone(), nearest })
}

#[cfg(test)]
#[path = "known_test.rs"]
mod tests;
