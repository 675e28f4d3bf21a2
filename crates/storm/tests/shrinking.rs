//! What shrinking comes to, by judges that need no lane.

mod common;

use barkeep_scenario::Scenario;
use barkeep_scenario::language::{Action, Perturb, for_each};
use barkeep_storm::{MOST_CANDIDATES, Shrunk, episode, shrink};
use proptest::prelude::*;

/// Shrinks by a judge of one scenario; all that was asked, in order.
fn shrunk(failing: Scenario, fails: impl Fn(&Scenario) -> bool) -> (Shrunk, Vec<Scenario>) {
    let mut asked = Vec::new();
    let shrunk = shrink(failing, &mut |batch| {
        asked.extend_from_slice(batch);
        batch.iter().position(&fails)
    });
    (shrunk, asked)
}

/// A fault that needs a device's FLR with another's memory decode off.
fn fails(scenario: &Scenario) -> bool {
    let (mut off, mut met) = (false, false);
    for_each(&scenario.actions, &mut |action| match action {
        Action::DecodeOff { device, .. } if device == "device-0" => off = true,
        Action::DecodeOn { device, .. } if device == "device-0" => off = false,
        Action::Flr { device, .. } if device == "device-1" => met |= off,
        _ => {}
    });
    met
}

proptest! {
    // Most storms have no two actors that could fail.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn what_comes_out_fails_and_nothing_is_asked_twice(storm in common::storm(), seed in 0..1_u64 << 62) {
        let episodes = (seed..seed + 30).map(|seed| episode(&storm, seed).unwrap());
        let failing = episodes.into_iter().find(fails);
        prop_assume!(failing.is_some());
        let failing = failing.unwrap();
        let (first, asked) = shrunk(failing.clone(), fails);
        prop_assert!(fails(&first.scenario));
        prop_assert_eq!(first.scenario.actions.len(), 2, "{:?}", first.scenario.actions);
        prop_assert_eq!(first.scenario.guest.vcpus, 1);
        prop_assert_eq!(first.scenario.perturb, Perturb::default());
        prop_assert!(first.scenario.simulated.is_empty());
        prop_assert!(first.proposed <= MOST_CANDIDATES);
        for (number, scenario) in asked.iter().enumerate() {
            prop_assert!(!asked[..number].contains(scenario));
            prop_assert!(scenario.validate().is_ok());
        }
        let (again, _) = shrunk(failing, fails);
        prop_assert_eq!(again, first);
    }
}

proptest! {
    #[test]
    fn a_failure_that_never_comes_again_leaves_the_episode_as_it_was(
        storm in common::storm(),
        seed in 0..1_u64 << 63,
    ) {
        let failing = episode(&storm, seed).unwrap();
        let (shrunk, asked) = shrunk(failing.clone(), |_| false);
        prop_assert_eq!(shrunk.scenario, failing);
        prop_assert_eq!(shrunk.taken, 0);
        prop_assert_eq!(shrunk.proposed, asked.len() as u64);
    }

    #[test]
    fn a_failure_that_needs_nothing_comes_to_nothing(storm in common::storm(), seed in 0..1_u64 << 63) {
        let (shrunk, _) = shrunk(episode(&storm, seed).unwrap(), |_| true);
        prop_assert!(shrunk.scenario.actions.is_empty());
    }
}

#[test]
fn a_repeat_is_shortened_to_what_it_takes() {
    let flr = || Action::Flr { device: "a".to_owned(), vcpu: 0, background: false };
    let inner = vec![flr(), Action::Suspect { device: "a".to_owned() }];
    let failing = Scenario::of("repeat".to_owned(), vec![Action::Repeat { times: 1000, actions: inner }]);
    let enough = |scenario: &Scenario| barkeep_storm::resets(scenario) >= 7;
    let (shrunk, _) = shrunk(failing, enough);
    assert_eq!(shrunk.scenario.actions, [Action::Repeat { times: 7, actions: vec![flr()] }]);
}

#[test]
fn a_judge_that_names_nobody_is_not_followed() {
    let failing = Scenario::of("x".to_owned(), vec![Action::Suspect { device: "a".to_owned() }]);
    let shrunk = shrink(failing.clone(), &mut |batch| Some(batch.len()));
    assert_eq!(shrunk.scenario, failing);
}
