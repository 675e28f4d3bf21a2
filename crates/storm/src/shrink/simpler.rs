//! What can be made simpler without taking an action away.

use super::cuts::rewritten;
use barkeep_scenario::Scenario;
use barkeep_scenario::language::Perturb;
use barkeep_scenario::units::Lapse;
use std::time::Duration;

/// Actions that drawing the times of repeats may come to.
const MOST_DRAWN_OUT: usize = 5_000;

/// The scenario with the times its seed draws.
pub fn times_as_drawn(scenario: &Scenario) -> Vec<Scenario> {
    let drawn = scenario.seed.and_then(|seed| scenario.drawn_out(seed, MOST_DRAWN_OUT));
    drawn.into_iter().collect()
}

/// A guest without the vCPUs nobody needs; with one of them doing another's work.
pub fn fewer_vcpus(scenario: &Scenario) -> Vec<Scenario> {
    let used = scenario.vcpus();
    let needed = used.last().map_or(1, |last| *last as u16 + 1);
    let mut ways = Vec::new();
    if needed < scenario.guest.vcpus {
        let mut less = scenario.clone();
        less.guest.vcpus = needed;
        ways.push(less);
    }
    for &vcpu in used.iter().rev().filter(|vcpu| **vcpu > 0) {
        let free = (0..vcpu).find(|free| !used.contains(free));
        for other in [Some(0), free].into_iter().flatten() {
            let mut less = scenario.clone();
            less.actions.iter_mut().for_each(|action| action.change_vcpu(vcpu, other));
            ways.push(less);
        }
    }
    ways
}

/// Less of what disturbs it.
pub fn less_disturbed(scenario: &Scenario) -> Vec<Scenario> {
    let Perturb { pauses, one_in, noise } = scenario.perturb;
    let ways = [
        Perturb::default(),
        Perturb { pauses, one_in, noise: None },
        Perturb { pauses: Lapse::default(), one_in: 1, noise },
    ];
    let way = |perturb| Scenario { perturb, ..scenario.clone() };
    ways.into_iter().filter(|less| *less != scenario.perturb).map(way).collect()
}

/// One time that is still a range made the longest it can be, or the shortest.
pub fn simpler_times(scenario: &Scenario) -> Vec<Scenario> {
    rewritten(scenario, &|action, _| {
        let Some(Lapse::Between(shortest, longest)) = action.time() else { return Vec::new() };
        let exactly = |time: Duration| vec![action.with_time(time.into())];
        vec![exactly(longest), exactly(shortest)]
    })
}
