//! `barkeep explore`: all interleavings of the keeper with the specified kernel, for small bounds.

use crate::cli::ExploreOptions;
use crate::exit::{Exit, wrong};
use barkeep_explore::{Exploration, Mutant, Scenario};
use barkeep_scenario::nearest::{nearest, with_suggestion};

/// Explores, and prints what there was.
///
/// # Errors
/// A scenario that is not there.
pub fn explore(options: &ExploreOptions) -> anyhow::Result<Exit> {
    if options.mutants {
        return Ok(mutants());
    }
    let mut states = 0;
    let mut exit = Exit::Pass;
    for scenario in scenarios(options.scenario.as_deref())? {
        let standard = Exploration::of(scenario);
        let outcome = Exploration { depth: options.depth.unwrap_or(standard.depth), ..standard }.run();
        println!("{outcome}");
        states += outcome.count.states;
        if !outcome.holds() {
            exit = Exit::Broken;
        }
    }
    println!("{states} states in all");
    Ok(exit)
}

fn scenarios(named: Option<&str>) -> anyhow::Result<Vec<Scenario>> {
    let Some(name) = named else {
        return Ok(Scenario::ALL.to_vec());
    };
    let names: Vec<&str> = Scenario::ALL.iter().map(|scenario| scenario.name()).collect();
    let found = Scenario::named(name).ok_or_else(|| {
        let what = format!("no scenario `{name}`; there are {}", names.join(", "));
        wrong(Exit::Usage, with_suggestion(what, nearest(name, &names)))
    })?;
    Ok(vec![found])
}

/// Each planted error must be found.
fn mutants() -> Exit {
    let mut missed = 0;
    for &mutant in Mutant::ALL {
        let outcome = Exploration::of_mutant(mutant).run();
        println!("{outcome}");
        missed += usize::from(outcome.holds());
    }
    println!("{} of {} planted errors found", Mutant::ALL.len() - missed, Mutant::ALL.len());
    if missed == 0 { Exit::Pass } else { Exit::Broken }
}
