//! The storms that are shipped.

use barkeep_scenario::Scenario;
use barkeep_scenario::language::{Action, Fate, for_each};
use barkeep_storm::{SHIPPED, episode, resets};
use std::collections::BTreeSet;

fn storms() -> impl Iterator<Item = Scenario> {
    SHIPPED.into_iter().map(|(name, text)| {
        let storm = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(storm.name, name);
        storm
    })
}

#[test]
fn each_says_what_it_is_and_which_marks_it_must_hit() {
    for storm in storms() {
        let table = storm.storm.as_ref().unwrap();
        assert!(table.about.ends_with('.'), "{}", storm.name);
        for mark in ["dma-in-flight", "both-ways-live"] {
            assert!(table.require.iter().any(|name| name == mark), "{}: {mark}", storm.name);
        }
    }
}

#[test]
fn each_is_cast_for_the_simulated_lanes() {
    for storm in storms() {
        for name in storm.devices().into_iter().chain(storm.others()) {
            assert!(storm.simulated.contains_key(name), "{}: {name}", storm.name);
        }
    }
}

/// Otherwise nobody would notice what never comes back.
#[test]
fn each_ending_sees_a_dma_land() {
    for storm in storms() {
        for ending in &storm.storm.as_ref().unwrap().endings {
            let mut lands = false;
            for_each(&ending.actions, &mut |action| match action {
                Action::Dma { expect: Fate::Lands, .. } => lands = true,
                Action::Second { expect, .. } => lands |= expect == "lands",
                _ => {}
            });
            assert!(lands, "{}: {:?}", storm.name, ending.actions);
        }
    }
}

#[test]
fn their_episodes_differ_and_can_all_be_carried_out() {
    for storm in storms() {
        let mut different = BTreeSet::new();
        for seed in 0..100 {
            let made = episode(&storm, seed).unwrap_or_else(|error| panic!("{} {seed}: {error}", storm.name));
            assert!(resets(&made) >= storm.storm.as_ref().unwrap().resets);
            let printed = made.to_toml().unwrap();
            assert_eq!(Scenario::parse(&printed).unwrap(), made, "{printed}");
            different.insert(format!("{:?}", made.actions));
        }
        assert!(different.len() >= 80, "{}: {} of 100 differ", storm.name, different.len());
    }
}

#[test]
fn an_engine_is_told_what_to_do_by_one_actor() {
    for storm in storms() {
        for engine in storm.engines() {
            let uses =
                |action: &Action| matches!(action, Action::DmaStart { engine: own, .. } if own == engine);
            let table = storm.storm.as_ref().unwrap();
            let actors = table.actors.iter().filter(|actor| {
                let mut used = false;
                actor
                    .moves
                    .iter()
                    .for_each(|step| for_each(&step.actions, &mut |action| used |= uses(action)));
                used
            });
            assert!(actors.count() <= 1 || storm.name == "reboot", "{}: {engine}", storm.name);
        }
    }
}
