//! What makes a scenario a storm: who does what how often, and how it is to end.

use super::{Action, MOST_ACTIONS, Moves, Scenario, count, is_default};
use crate::units::Lapse;
use serde::{Deserialize, Serialize};

/// Moves an episode begins for each of its resets, at the most: once it has begun so many, only
/// those that revoke.
pub const MOVES_PER_RESET: u64 = 20;
/// The most resets of one episode.
pub const MOST_RESETS: u64 = 100_000;

/// The table `[storm]`: each seed makes an episode of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// The situation, in one sentence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub about: String,
    /// Revoking actions of one episode.
    pub resets: u64,
    /// Names of *sometimes* marks that must be hit; which there are, the checker knows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub require: Vec<String>,
    /// Who acts.
    #[serde(default, rename = "actor")]
    pub actors: Vec<StormActor>,
    /// The liveness phases, one of which is drawn.
    #[serde(default, rename = "ending")]
    pub endings: Vec<Ending>,
}

/// One who acts beside others: their actions are interleaved one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormActor {
    /// What it is called.
    pub name: String,
    /// How often it is its turn, compared with the others.
    #[serde(default = "one")]
    pub weight: u32,
    /// What it does.
    #[serde(default, rename = "move")]
    pub moves: Vec<Move>,
}

/// Actions that an actor takes in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// How often it is drawn, compared with the actor's others.
    #[serde(default = "one")]
    pub weight: u32,
    /// The actions.
    #[serde(default, rename = "action")]
    pub actions: Vec<Action>,
}

/// A liveness phase: everything that is to come back must be back in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// How often it is drawn, compared with the others.
    #[serde(default = "one")]
    pub weight: u32,
    /// How long after the last action of the storm everything is to be back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub within: Lapse,
    /// What is looked at then.
    #[serde(default, rename = "action")]
    pub actions: Vec<Action>,
}

fn one() -> u32 {
    1
}

impl Storm {
    /// One that nobody takes part in.
    pub(super) fn without_actors() -> Self {
        let (about, require) = (String::new(), Vec::new());
        Self { about, resets: 0, require, actors: Vec::new(), endings: Vec::new() }
    }

    /// Every list of actions of it: the moves, then the endings.
    pub fn lists(&self) -> impl Iterator<Item = &[Action]> {
        let moves = self.actors.iter().flat_map(|actor| &actor.moves).map(|step| step.actions.as_slice());
        moves.chain(self.endings.iter().map(|ending| ending.actions.as_slice()))
    }

    /// What is wrong with it in this scenario.
    pub(super) fn problem(&self, scenario: &Scenario) -> Option<String> {
        self.bad_actors().or_else(|| self.bad_endings()).or_else(|| self.bad_size(scenario)).or_else(|| {
            self.lists().find_map(|actions| {
                // What another actor does comes before or after: only the set-up is sure to be over.
                let mut moves = Moves::default();
                problem_of(&scenario.actions, scenario, &mut moves);
                problem_of(actions, scenario, &mut moves)
            })
        })
    }

    fn bad_actors(&self) -> Option<String> {
        let Self { about: _, resets, require: _, actors, endings: _ } = self;
        if !(1..=MOST_RESETS).contains(resets) {
            return Some(format!("`resets = {resets}`; 1 to {MOST_RESETS} are possible"));
        }
        if actors.is_empty() {
            return Some("a storm without a `[[storm.actor]]`".to_owned());
        }
        if no_weight(actors.iter().map(|actor| actor.weight)) {
            return Some("the weights of the storm's actors sum to zero".to_owned());
        }
        for (n, StormActor { name, weight: _, moves }) in actors.iter().enumerate() {
            if actors[..n].iter().any(|other| other.name == *name) {
                return Some(format!("two actors are called `{name}`"));
            }
            if moves.is_empty() {
                return Some(format!("the actor `{name}` has no `[[storm.actor.move]]`"));
            }
            if no_weight(moves.iter().map(|step| step.weight)) {
                return Some(format!("the weights of the moves of `{name}` sum to zero"));
            }
            if moves.iter().any(|step| step.actions.is_empty()) {
                return Some(format!("a move of `{name}` is without actions"));
            }
        }
        let mut drawn = actors.iter().filter(|actor| actor.weight > 0).flat_map(|actor| &actor.moves);
        let revokes = drawn.any(|step| step.weight > 0 && revokes(&step.actions) > 0);
        (!revokes).then(|| "no move of the storm revokes anything: its resets would never be over".to_owned())
    }

    fn bad_endings(&self) -> Option<String> {
        if self.endings.is_empty() {
            return Some("a storm without a `[[storm.ending]]`: nobody would see what came back".to_owned());
        }
        if no_weight(self.endings.iter().map(|ending| ending.weight)) {
            return Some("the weights of the storm's endings sum to zero".to_owned());
        }
        let empty = self.endings.iter().any(|ending| ending.actions.is_empty());
        empty.then(|| "an ending of the storm is without actions".to_owned())
    }

    /// Whether any episode could be more than a scenario can be.
    fn bad_size(&self, scenario: &Scenario) -> Option<String> {
        let moves = self.actors.iter().flat_map(|actor| &actor.moves);
        let step = longest(moves.map(|step| step.actions.as_slice()));
        let ending = longest(self.endings.iter().map(|ending| ending.actions.as_slice()));
        let most = |step: u64, ending: u64, set_up: u64| {
            let steps = self.resets.checked_mul(MOVES_PER_RESET + 1)?.checked_mul(step)?;
            steps.checked_add(ending)?.checked_add(set_up)?.checked_add(1)
        };
        let counted = step.zip(ending).zip(count(&scenario.actions));
        let most = counted.and_then(|((step, ending), set_up)| most(step, ending, set_up));
        let fits = most.is_some_and(|most| most <= MOST_ACTIONS);
        (!fits).then(|| format!("an episode of the storm could come to more than {MOST_ACTIONS} actions"))
    }
}

/// What is wrong with a list of actions.
pub(super) fn problem_of<'a>(
    actions: &'a [Action],
    scenario: &Scenario,
    moves: &mut Moves<'a>,
) -> Option<String> {
    let mut problem = None;
    super::for_each(actions, &mut |action| {
        if problem.is_none() {
            problem = action.problem(scenario.guest.vcpus).or_else(|| moves.next(action));
        }
    });
    problem
}

/// How many actions the longest of the lists comes to, repeats counted out.
fn longest<'a>(mut lists: impl Iterator<Item = &'a [Action]>) -> Option<u64> {
    lists.try_fold(0, |most: u64, actions| Some(most.max(count(actions)?)))
}

fn no_weight(weights: impl Iterator<Item = u32>) -> bool {
    weights.map(u64::from).sum::<u64>() == 0
}

/// How often a list of actions revokes something, repeats counted out.
pub fn revokes(actions: &[Action]) -> u64 {
    let of = |action: &Action| match action {
        Action::Repeat { times, actions } => times.saturating_mul(revokes(actions)),
        _ => u64::from(action.revokes()).saturating_add(revokes(action.inner())),
    };
    actions.iter().map(of).fold(0, u64::saturating_add)
}
