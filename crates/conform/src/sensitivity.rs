//! Would an error in the specification have been found? Errors are planted in it on purpose, one
//! at a time, and each is held to the same recording of the real kernel.

use crate::compare::{Divergence, compare};
use crate::machine::Machine;
use crate::recording::Episode;
use barkeep_model::Subject;

/// What became of a planted error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant<Name> {
    /// Which one.
    pub name: Name,
    /// Where it was found first, `None` if it was not.
    pub found: Option<Divergence>,
}

/// Holds each planted error to the recording, until it is found or the recording ends.
pub fn sensitivity<Name, S: Subject>(
    episodes: &[Episode],
    machine: &Machine,
    names: impl IntoIterator<Item = Name>,
    mut planted: impl FnMut(&Name) -> S,
) -> Vec<Plant<Name>> {
    let find = |name| {
        let mut subject = planted(&name);
        let found = episodes.iter().find_map(|episode| compare(episode, &mut subject, machine));
        Plant { name, found }
    };
    names.into_iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::episode;
    use crate::record::carry_out;
    use crate::testbed::{Small, Wrong, machine};
    use barkeep_model::{Process, Profile, Rule};

    fn recorded<S: Subject>(subject: &mut S, machine: &Machine, count: u64) -> Vec<Episode> {
        let steps = |number| carry_out(subject, &episode(1, number, machine)).collect();
        (0..count).zip((0..count).map(steps)).map(|(number, steps)| Episode { number, steps }).collect()
    }

    #[test]
    fn a_planted_error_is_found_where_it_shows_first() {
        let machine = machine();
        let episodes = recorded(&mut Small::default(), &machine, 200);
        let names = [Wrong::DecodeOff, Wrong::Errno];
        let plants = sensitivity(&episodes, &machine, names, |name| Small::wrong(*name));
        for Plant { name, found } in plants {
            let found = found.unwrap();
            let earlier = &episodes[..found.episode as usize];
            assert!(earlier.iter().all(|it| compare(it, &mut Small::wrong(name), &machine).is_none()));
        }
    }

    #[test]
    fn an_error_nothing_asks_for_is_not_found() {
        let machine = machine();
        let episodes = recorded(&mut Small::default(), &machine, 0);
        let plants = sensitivity(&episodes, &machine, [Wrong::Errno], |name| Small::wrong(*name));
        assert_eq!(plants, [Plant { name: Wrong::Errno, found: None }]);
    }

    #[test]
    fn errors_in_the_specification_are_found() {
        let machine = machine();
        let hardware = machine.hardware();
        let mut right = Process::new(hardware, Profile::V7_3).unwrap();
        let episodes = recorded(&mut right, &machine, 200);
        let rules = [Rule::DecodeOff, Rule::Flr, Rule::RevokeKills, Rule::LastClose, Rule::ExportProbe];
        let planted = |rule: &Rule| Process::planted(hardware, Profile::V7_3, *rule).unwrap();
        for plant in sensitivity(&episodes, &machine, rules, planted) {
            assert!(plant.found.is_some(), "{}", plant.name);
        }
    }
}
