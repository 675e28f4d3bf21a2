//! `cargo run --release -p barkeep-explore --example explore -- [--depth N] [--scenario S] [--mutants]`

use barkeep_explore::{Exploration, Mutant, Scenario};
use barkeep_model::Rule;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut depth, mut scenarios, mut mutants) = (None, Scenario::ALL.to_vec(), false);
    let mut planted = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--depth" => depth = arguments.next().and_then(|n| n.parse().ok()),
            "--scenario" => {
                let name = arguments.next().unwrap_or_default();
                scenarios = vec![Scenario::named(&name).unwrap_or_else(|| panic!("no scenario {name}"))];
            }
            "--mutants" => mutants = true,
            "--planted" => {
                let name = arguments.next().unwrap_or_default();
                let rule = Rule::ALL.into_iter().find(|rule| rule.name() == name);
                planted = Some(rule.unwrap_or_else(|| panic!("no rule {name}")));
            }
            other => panic!("{other}?"),
        }
    }
    let mut states = 0;
    let mut bad = false;
    if mutants {
        for &mutant in Mutant::ALL {
            let outcome = Exploration::of_mutant(mutant).run();
            bad |= outcome.holds();
            println!("{outcome}");
        }
    } else {
        for scenario in scenarios {
            let exploration = Exploration::of(scenario);
            let outcome =
                Exploration { depth: depth.unwrap_or(exploration.depth), planted, ..exploration }.run();
            bad |= !outcome.holds();
            states += outcome.count.states;
            println!("{outcome}");
        }
        println!("{states} states in all");
    }
    std::process::exit(i32::from(bad));
}
