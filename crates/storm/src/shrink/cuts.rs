//! What can be taken away.

use barkeep_scenario::Scenario;
use barkeep_scenario::language::Action;

/// A scenario without one of its devices: every action that names it goes. The last device first,
/// which the set-up needs least.
pub fn without_a_device(scenario: &Scenario) -> Vec<Scenario> {
    let names = scenario.devices().into_iter().chain(scenario.others()).rev();
    names.map(|name| without(scenario, name)).collect()
}

fn without(scenario: &Scenario, device: &str) -> Scenario {
    let mut less = scenario.clone();
    less.actions.retain(|action| !action.names(device));
    less.simulated.remove(device);
    less
}

/// A scenario without one stretch of so many actions: the one that ends before `end`, then the one
/// before that, and so on.
pub fn without_a_stretch(scenario: &Scenario, size: usize, end: usize) -> Vec<Scenario> {
    let cut = |end: usize| {
        let mut less = scenario.clone();
        less.actions.drain(end.saturating_sub(size)..end);
        less
    };
    let ends = (1..=end).rev().step_by(size.max(1));
    ends.map(cut).collect()
}

/// A scenario with one list of actions opened: a repeat that is done once, half as often, or once
/// less, and what goes on meanwhile done at once.
pub fn opened(scenario: &Scenario) -> Vec<Scenario> {
    rewritten(scenario, &|action, _| match action {
        Action::Repeat { times, actions } => {
            let less = |times| vec![Action::Repeat { times, actions: actions.clone() }];
            let (half, one_less) = (times / 2, times.saturating_sub(1));
            let mut ways = vec![actions.clone()];
            ways.extend([half, one_less].into_iter().filter(|less| *less > 1).map(less));
            ways
        }
        Action::Meanwhile { action, .. } => vec![vec![(**action).clone()]],
        _ => Vec::new(),
    })
}

/// A scenario without one action of a repeat.
pub fn inside(scenario: &Scenario) -> Vec<Scenario> {
    rewritten(scenario, &|_, depth| if depth > 0 { vec![Vec::new()] } else { Vec::new() })
}

/// What may stand instead of an action that is so many repeats deep.
type Instead<'a> = &'a dyn Fn(&Action, usize) -> Vec<Vec<Action>>;

/// A scenario with something else instead of one action, for each and everything that is said to
/// be able to stand there. The last action first: what comes after a failure is needed least.
pub fn rewritten(scenario: &Scenario, instead: Instead<'_>) -> Vec<Scenario> {
    let lists = rewritten_lists(&scenario.actions, 0, instead);
    lists.into_iter().map(|actions| Scenario { actions, ..scenario.clone() }).collect()
}

fn rewritten_lists(actions: &[Action], depth: usize, instead: Instead<'_>) -> Vec<Vec<Action>> {
    let mut lists = Vec::new();
    for (place, action) in actions.iter().enumerate().rev() {
        let mut put = |middle: Vec<Action>| {
            lists.push([&actions[..place], &middle, &actions[place + 1..]].concat());
        };
        instead(action, depth).into_iter().for_each(&mut put);
        if let Action::Repeat { times, actions } = action {
            for actions in rewritten_lists(actions, depth + 1, instead) {
                put(vec![Action::Repeat { times: *times, actions }]);
            }
        }
    }
    lists
}
