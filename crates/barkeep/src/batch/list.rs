//! What is to be done in one boot, as it is carried in.

use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// Its process is ended by SIGKILL that long after its start, nanoseconds of the machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_after: Option<u64>,
}

impl List {
    /// Adds a run. Scenarios of the same text are carried once.
    pub fn add(&mut self, number: usize, scenario: &str, seed: Option<u64>, kill_after: Option<Duration>) {
        let known = self.scenarios.iter().position(|text| text == scenario);
        let scenario = known.unwrap_or_else(|| {
            self.scenarios.push(scenario.to_owned());
            self.scenarios.len() - 1
        });
        let kill_after = kill_after.map(|after| u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        self.runs.push(Item { number, scenario, seed, kill_after });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_carried_once() {
        let mut list = List::default();
        for (number, text) in ["a", "b", "a"].into_iter().enumerate() {
            let after = (number == 1).then_some(Duration::from_millis(5));
            list.add(number, text, Some(7), after);
        }
        assert_eq!(list.scenarios, ["a", "b"]);
        assert_eq!(list.runs.iter().map(|run| run.scenario).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(list.runs[1].kill_after, Some(5_000_000));
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<List>(&text).unwrap(), list);
    }
}
