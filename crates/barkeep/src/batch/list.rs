//! What is to be done in one boot, as it is carried in.

use serde::{Deserialize, Serialize};

/// The text of the event that begins and ends a run's part of the journal: an action of the lab's,
/// whose `value` is the run's number.
pub const MARK: &str = "one run of several";

/// Runs, in their order, and the scenarios they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Words for each run's command line, the same for all.
    pub arguments: Vec<String>,
    /// Scenarios, as they are written down.
    pub scenarios: Vec<String>,
    /// What is run.
    pub runs: Vec<Item>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its number outside; any.
    pub number: usize,
    /// Which of the scenarios, from 0.
    pub scenario: usize,
    /// Its seed, where it has one.
    pub seed: Option<u64>,
}

impl List {
    /// Adds a run. Scenarios of the same text are carried once.
    pub fn add(&mut self, number: usize, scenario: &str, seed: Option<u64>) {
        let known = self.scenarios.iter().position(|text| text == scenario);
        let scenario = known.unwrap_or_else(|| {
            self.scenarios.push(scenario.to_owned());
            self.scenarios.len() - 1
        });
        self.runs.push(Item { number, scenario, seed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_carried_once() {
        let mut list = List::default();
        for (number, text) in ["a", "b", "a"].into_iter().enumerate() {
            list.add(number, text, Some(7));
        }
        assert_eq!(list.scenarios, ["a", "b"]);
        assert_eq!(list.runs.iter().map(|run| run.scenario).collect::<Vec<_>>(), [0, 1, 0]);
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<List>(&text).unwrap(), list);
    }
}
