//! Any storm that makes sense to the language.

use barkeep_scenario::Scenario;
use barkeep_scenario::language::{
    Action, Ending, Fate, Guest, Move, Perturb, Place, Purpose, Storm, StormActor,
};
use barkeep_scenario::units::Lapse;
use proptest::prelude::*;
use std::time::Duration;

fn lapse() -> impl Strategy<Value = Lapse> {
    (0..5_000_u64, 0..5_000_u64).prop_map(|(from, more)| {
        let from = Duration::from_micros(from);
        if more == 0 { from.into() } else { Lapse::Between(from, from + Duration::from_micros(more)) }
    })
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 9 => 1..4_u32]
}

/// What the actor of that name may do: all of it names a device that nobody else has.
fn action(device: String) -> impl Strategy<Value = Action> {
    let place = Place::bar(&device, 2);
    let (a, b, c, d, e) = (device.clone(), device.clone(), device.clone(), device.clone(), device);
    let (at, to) = (place.clone(), place);
    let single = prop_oneof![
        (0..4_usize, any::<bool>())
            .prop_map(move |(vcpu, background)| { Action::Flr { device: a.clone(), vcpu, background } }),
        (0..4_usize, any::<bool>()).prop_map(move |(vcpu, background)| {
            Action::DecodeOff { device: b.clone(), vcpu, background }
        }),
        (0..4_usize, any::<bool>())
            .prop_map(move |(vcpu, background)| { Action::DecodeOn { device: c.clone(), vcpu, background } }),
        Just(Action::Suspect { device: d }),
        (0..4_usize, lapse()).prop_map(move |(vcpu, pause)| Action::Hammer { at: at.clone(), vcpu, pause }),
        any::<u32>().prop_map(move |pattern| Action::Dma {
            engine: e.clone(),
            to: to.clone(),
            size: 64,
            pattern: Some(pattern),
            expect: Fate::Either,
        }),
    ];
    single.prop_recursive(2, 6, 3, |inner| {
        (0..5_u64, prop::collection::vec(inner, 1..3))
            .prop_map(|(times, actions)| Action::Repeat { times, actions })
    })
}

fn step(device: String) -> impl Strategy<Value = Move> {
    (weight(), prop::collection::vec(action(device), 1..4))
        .prop_map(|(weight, actions)| Move { weight, actions })
}

fn actor(number: usize) -> impl Strategy<Value = StormActor> {
    let name = format!("device-{number}");
    (weight(), prop::collection::vec(step(name.clone()), 1..4)).prop_map(move |(weight, moves)| StormActor {
        name: name.clone(),
        weight,
        moves,
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    (weight(), lapse(), lapse()).prop_map(|(weight, within, time)| {
        let actions = vec![Action::Sleep { time, vcpu: 0, purpose: Purpose::FaultLog }];
        Ending { weight, within, actions }
    })
}

/// One that parses.
pub fn storm() -> impl Strategy<Value = Scenario> {
    let actors = (1..5_usize).prop_flat_map(|number| (0..number).map(actor).collect::<Vec<_>>());
    let perturb = (lapse(), 1..5_u32, prop::option::of(lapse()));
    let parts = (1..12_u64, actors, prop::collection::vec(ending(), 1..3), perturb);
    let storm = parts.prop_map(|(resets, actors, endings, (pauses, one_in, noise))| {
        let storm = Storm {
            about: "any \"storm\"".to_owned(),
            resets,
            require: vec!["dma-in-flight".to_owned()],
            actors,
            endings,
        };
        let set_up = vec![Action::Suspect { device: "set-up".to_owned() }];
        Scenario {
            guest: Guest { vcpus: 4, ..Guest::default() },
            simulated: [("set-up".to_owned(), "sim:memory".to_owned())].into(),
            perturb: Perturb { pauses, one_in, noise },
            storm: Some(storm),
            ..Scenario::of("any".to_owned(), set_up)
        }
    });
    storm.prop_filter("says something that cannot be", |storm| storm.validate().is_ok())
}
