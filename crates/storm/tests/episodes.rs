//! Whatever storm parses, each seed makes a scenario of it that can be carried out.

mod common;

use barkeep_scenario::Scenario;
use barkeep_scenario::language::{Action, MOVES_PER_RESET, Move, Purpose, Storm, revokes};
use barkeep_scenario::units::Lapse;
use barkeep_storm::{Shard, episode, resets, seeds};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_storm_is_printed_as_it_is_read(storm in common::storm()) {
        let printed = storm.to_toml().unwrap();
        match Scenario::parse(&printed) {
            Ok(read) => prop_assert_eq!(read, storm, "{}", printed),
            Err(error) => prop_assert!(false, "{}\n---\n{}", error, printed),
        }
    }

    #[test]
    fn an_episode_is_a_plain_scenario_that_reads_back(storm in common::storm(), seed in 0..1_u64 << 63) {
        let made = episode(&storm, seed).unwrap();
        let printed = made.to_toml().unwrap();
        let read = Scenario::parse(&printed);
        prop_assert_eq!(read.unwrap(), made.clone(), "{}", printed);
        prop_assert_eq!(episode(&storm, seed).unwrap(), made.clone());
        prop_assert_eq!(made.seed, Some(seed));
        prop_assert_eq!(made.name, format!("any seed {seed}"));
        prop_assert!(made.storm.is_none());
    }

    #[test]
    fn an_episode_revokes_as_often_as_it_should_and_ends_with_an_ending(
        storm in common::storm(),
        seed in 0..1_u64 << 63,
    ) {
        let table = storm.storm.clone().unwrap();
        let made = episode(&storm, seed).unwrap();
        let most = most_resets(&table);
        prop_assert!((table.resets..=most).contains(&resets(&made)), "{} of {}", resets(&made), most);
        prop_assert_eq!(&made.actions[0], &storm.actions[0]);
        let ends = table.endings.iter().filter(|ending| ending.weight > 0).any(|ending| {
            let within = Action::Sleep { time: ending.within, vcpu: 0, purpose: Purpose::Itself };
            let sleep = (ending.within != Lapse::default()).then_some(within);
            let ending: Vec<Action> = sleep.into_iter().chain(ending.actions.clone()).collect();
            made.actions.ends_with(&ending)
        });
        prop_assert!(ends, "{:?}", made.actions);
        let longest = moves(&table).map(|step| step.actions.len()).max().unwrap_or_default() as u64;
        prop_assert!(made.actions.len() as u64 <= (MOVES_PER_RESET + 1) * table.resets * longest + 3);
    }

    #[test]
    fn every_actor_goes_from_one_whole_move_to_the_next(storm in common::storm(), seed in 0..1_u64 << 63) {
        let table = storm.storm.clone().unwrap();
        let made = episode(&storm, seed).unwrap();
        for actor in &table.actors {
            let own: Vec<Action> =
                made.actions.iter().filter(|action| action.names(&actor.name)).cloned().collect();
            prop_assert!(is_made_of(&own, &actor.moves), "{}: {:?}", actor.name, own);
        }
    }

    #[test]
    fn shards_share_the_seeds_out(
        storm in common::storm(),
        first in 0..1_u64 << 40,
        count in 1..200_u64,
        n in 1..5_u32,
    ) {
        let all = seeds(&storm, first, count, None).unwrap();
        prop_assert_eq!(all[0], first);
        let planned = |seed: &u64| resets(&episode(&storm, *seed).unwrap());
        let sum: u64 = all.iter().map(planned).sum();
        prop_assert!(sum >= count, "{} of {}", sum, count);
        prop_assert!((all.len() as u64 - 1) * storm.storm.as_ref().unwrap().resets < count);
        let shared = (1..=n).map(|k| seeds(&storm, first, count, Some(Shard { k, n })).unwrap());
        let mut together: Vec<u64> = shared.flatten().collect();
        together.sort_unstable();
        prop_assert_eq!(together, all);
    }
}

fn moves(table: &Storm) -> impl Iterator<Item = &Move> {
    table.actors.iter().flat_map(|actor| &actor.moves)
}

/// The last move that is begun may revoke more than is left.
fn most_resets(table: &Storm) -> u64 {
    table.resets - 1 + moves(table).map(|step| revokes(&step.actions)).max().unwrap_or_default()
}

/// Whether a list is moves, one whole one after the other. Several may begin alike: every place
/// that can be reached is kept.
fn is_made_of(list: &[Action], moves: &[Move]) -> bool {
    let mut reached = vec![false; list.len() + 1];
    reached[0] = true;
    for place in 0..list.len() {
        if reached[place] {
            for step in moves.iter().filter(|step| list[place..].starts_with(&step.actions)) {
                reached[place + step.actions.len()] = true;
            }
        }
    }
    reached[list.len()]
}

#[test]
fn a_shard_is_one_of_several() {
    assert_eq!("2/4".parse(), Ok(Shard { k: 2, n: 4 }));
    assert_eq!(Shard { k: 2, n: 4 }.to_string(), "2/4");
    for word in ["", "1", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/2"] {
        assert!(word.parse::<Shard>().is_err(), "{word}");
    }
}

#[test]
fn what_is_no_storm_and_what_no_file_could_carry_is_told() {
    let plain = Scenario::of("plain".to_owned(), Vec::new());
    let told = episode(&plain, 1).unwrap_err().to_string();
    assert!(told.contains("`plain` is no storm") && told.contains("barkeep replay"), "{told}");
    assert!(seeds(&plain, 1, 1, None).is_err());
    let (_, text) = barkeep_storm::SHIPPED[0];
    let mut storm = Scenario::parse(text).unwrap();
    let told = episode(&storm, 1 << 63).unwrap_err().to_string();
    assert!(told.contains("9223372036854775807"), "{told}");
    storm.storm.as_mut().unwrap().require = vec!["dma-in-fligth".to_owned()];
    let told = episode(&storm, 1).unwrap_err().to_string();
    assert!(told.contains("did you mean `dma-in-flight`"), "{told}");
}
