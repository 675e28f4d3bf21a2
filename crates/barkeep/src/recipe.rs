//! How a run is carried out again: what the first line of its journal says.

use crate::cli::{RunOptions, shipped};
use crate::exit::{Exit, UsageExt, wrong};
use crate::times_in_lab;
use anyhow::Context;
use barkeep_journal::{Event, Header, Kind};
use barkeep_report::jsonl;
use barkeep_scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A scenario, the seed that it had, and the words about the VM that were said beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// TOML.
    pub scenario: String,
    /// What its random times are drawn from; its own where nobody knows another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Options of `replay`.
    pub words: Vec<String>,
}

/// What every journal of lines begins with.
const FIRST: &[u8] = b"{\"barkeep_journal";
/// Bytes of a first line at the most: a scenario is in it.
const LINE: u64 = 1 << 20;

impl Recipe {
    /// That of this process's own command line.
    ///
    /// # Errors
    /// The scenario cannot be written down.
    pub fn of(options: &RunOptions, scenario: &Scenario, seed: u64) -> anyhow::Result<Self> {
        let words = options.said.clone().unwrap_or_else(times_in_lab::arguments);
        Self::of_words(words, scenario, seed)
    }

    /// That of a run of these words.
    ///
    /// # Errors
    /// The scenario cannot be written down.
    pub fn of_words(words: Vec<String>, scenario: &Scenario, seed: u64) -> anyhow::Result<Self> {
        let scenario = scenario.to_toml().context("a scenario that was read can be written")?;
        Ok(Self { scenario, seed: Some(seed), words })
    }

    /// As it stands in a journal.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// That of a journal: its own, or where it has none a scenario that lies beside it, or a shipped one of the name
    /// it says.
    ///
    /// # Errors
    /// It is no journal, or nobody knows what it is of.
    pub fn of_journal(path: &Path) -> anyhow::Result<(Header, Self)> {
        let what = || format!("cannot read the journal {}", path.display());
        let (header, mut events) = jsonl::open(path).usage(what())?;
        if let Some(recipe) = own(path) {
            return Ok((header, recipe));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        for beside in ["episode.toml", "scenario.toml", "../repro.toml"] {
            if let Ok(scenario) = fs::read_to_string(folder.join(beside)) {
                return Ok((header, Self { scenario, seed: None, words: Vec::new() }));
            }
        }
        let name = events.find_map(|event| scenario_of(&event.ok()?));
        match name.as_deref().and_then(|name| shipped(Path::new(name))) {
            Some(scenario) => {
                Ok((header, Self { scenario: scenario.to_owned(), seed: None, words: Vec::new() }))
            }
            None => Err(wrong(
                Exit::Usage,
                format!(
                    "the journal {} does not say what it is of, and no scenario lies beside it: name the scenario instead",
                    path.display()
                ),
            )),
        }
    }
}

/// Whether a file is a journal of lines.
pub fn is_journal(path: &Path) -> bool {
    let mut first = [0; FIRST.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == FIRST
}

fn own(path: &Path) -> Option<Recipe> {
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?).take(LINE).read_line(&mut line).ok()?;
    let first: serde_json::Value = serde_json::from_str(&line).ok()?;
    serde_json::from_value(first.get("replay")?.clone()).ok()
}

/// `barkeep 0.1.0: main-job`.
fn scenario_of(event: &Event) -> Option<String> {
    let name = event.text.split_once(": ").filter(|_| event.kind == Kind::RunStart)?.1;
    Some(name.to_owned())
}
