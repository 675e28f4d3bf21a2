//! One trigger on one machine: a scenario and what it has to show, or why there is none.

use crate::cast::Cast;
use crate::column::Column;
use crate::trigger::Trigger;
use crate::wanted::{Bar, End, Wanted};
use barkeep_scenario::{Action, Scenario};

/// A pair of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// To be carried out.
    Run(Box<Job>),
    /// It cannot exist.
    Never(String),
}

/// What is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The scenario.
    pub scenario: Scenario,
    /// What its journal has to show.
    pub wanted: Wanted,
}

impl Cell {
    /// The cell of a trigger on a machine.
    pub fn of(trigger: Trigger, column: &Column) -> Self {
        match Cast::of(column).and_then(|cast| cast.tell(trigger).map(|told| (cast, told))) {
            Err(why) => Self::Never(why),
            Ok((cast, (story, end))) => {
                let victim = Bar::of(&cast.target.place);
                let scenario = story.end(format!("{trigger} on {}", column.name));
                let writes = |action: &&Action| matches!(action, Action::Flr { .. });
                let action = scenario.actions.iter().find(writes).map(ToString::to_string);
                let action = action.filter(|_| matches!(end, End::Refused(_)));
                let wanted = Wanted { victim, others: cast.others(trigger), end, action };
                Self::Run(Box::new(Job { scenario, wanted }))
            }
        }
    }
}

#[cfg(test)]
#[path = "cell_test.rs"]
mod tests;
