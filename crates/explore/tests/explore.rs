//! Small bounds for every day; the standard set is run by `--ignored`.

use barkeep_explore::{Count, Exploration, Mutant, Outcome, Scenario, Verdict};
use barkeep_model::Rule;

fn explore(scenario: Scenario, depth: usize) -> Outcome {
    Exploration { depth, ..Exploration::of(scenario) }.run()
}

#[test]
fn every_invariant_holds_after_one_action() {
    for &scenario in Scenario::ALL {
        let outcome = explore(scenario, 1);
        assert!(outcome.holds(), "{outcome}");
        assert!(outcome.count.states > 20, "{outcome}");
    }
}

#[test]
fn small_scenarios_hold_without_a_bound() {
    for scenario in [Scenario::TwoWindows, Scenario::TwoCpus, Scenario::Holder] {
        let outcome = explore(scenario, 40);
        assert_eq!(outcome.verdict, Verdict::Holds { exhausted: true }, "{outcome}");
        assert!(outcome.count.states > 10_000, "{outcome}");
    }
}

/// Nothing of a run depends on the machine, the number of cores, or chance.
#[test]
fn the_same_numbers_every_time() {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let many = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
    let count = || explore(Scenario::Unseen, 2).count;
    let Count { states, transitions, .. } = alone.install(count);
    assert_eq!(alone.install(count), many.install(count));
    assert!(states > 5_000 && transitions > states);
    let trace = || Exploration::of_mutant(Mutant::SlotBeforeMap).run().verdict;
    assert_eq!(alone.install(trace), many.install(trace));
}

/// Each planted error of a keeper, by a trace that ends in what is wrong. Its length is the
/// shortest there is: a longer one would mean that the search does not go breadth first.
#[test]
fn every_mutant_is_found() {
    let lengths = Mutant::ALL.iter().map(|&mutant| {
        let outcome = Exploration::of_mutant(mutant).run();
        match &outcome.verdict {
            Verdict::Broken { trace, .. } => {
                assert!(!trace.is_empty() && trace.len() < 60, "{outcome}");
                (mutant.name(), trace.len())
            }
            Verdict::Holds { .. } => panic!("not found: {outcome}"),
        }
    });
    let lengths: Vec<(&str, usize)> = lengths.collect();
    assert!(lengths.len() >= 10);
    let of = |name| lengths.iter().find(|(known, _)| *known == name).map(|(_, length)| *length);
    assert_eq!(of("slots-after-event"), Some(1), "the first thing the event does");
    assert_eq!(of("close-keeps-slot"), Some(1));
}

/// The invariants look at the kernel, not at what the keeper believes: an error there is found
/// too.
#[test]
fn errors_of_the_kernel_are_found() {
    for (rule, scenario, invariant) in PLANTED {
        let planted = Some(*rule);
        let outcome = Exploration { depth: 2, planted, ..Exploration::of(*scenario) }.run();
        match &outcome.verdict {
            Verdict::Broken { broken, .. } => assert_eq!(broken.invariant, *invariant, "{outcome}"),
            Verdict::Holds { .. } => panic!("not found: {outcome}"),
        }
    }
}

const PLANTED: &[(Rule, Scenario, &str)] =
    &[(Rule::RevokeKills, Scenario::Pair, "I1"), (Rule::Zap, Scenario::Pair, "I1")];

/// The rules of the table that only two threads can reach are reached.
#[test]
fn what_two_threads_do_is_reached() {
    let mut reached = explore(Scenario::HotReset, 2).count.reached;
    reached.extend(explore(Scenario::Importers, 2).count.reached);
    for rule in [Rule::HotResetBusy, Rule::RevokedBetweenAttachAndFill] {
        assert!(reached.contains(rule), "{}", rule.name());
    }
}

#[test]
#[ignore = "the standard set: half a minute in release"]
fn the_standard_set_holds() {
    let outcomes: Vec<Outcome> =
        Scenario::ALL.iter().map(|&scenario| Exploration::of(scenario).run()).collect();
    for outcome in &outcomes {
        println!("{outcome}");
        assert!(outcome.holds(), "{outcome}");
    }
    let states: u64 = outcomes.iter().map(|outcome| outcome.count.states).sum();
    assert!(states > 1_000_000, "{states}");
}
