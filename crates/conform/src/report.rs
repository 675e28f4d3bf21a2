//! The text at the end of a run.

use crate::compare::Divergence;
use crate::coverage::Coverage;
use crate::machine::Machine;
use crate::sensitivity::Plant;
use crate::shrink::Shrunk;
use crate::words::describe;
use barkeep_model::rule::Reach;
use barkeep_model::{Abilities, Rule, RuleSet};
use std::fmt;

/// Columns of a line at the most, where it is not one long word.
const WIDTH: usize = 110;

/// What a run came to.
#[derive(Debug)]
pub struct Report<'a, Class> {
    /// The machine.
    pub machine: &'a Machine,
    /// Of the episodes.
    pub seed: u64,
    /// The release of the kernel that answered.
    pub kernel: &'a str,
    /// What was asked.
    pub coverage: &'a Coverage<Class>,
    /// The rows of the semantics table that decided something.
    pub reached: RuleSet,
    /// Where kernel and specification part, one for each episode that does.
    pub divergences: &'a [Divergence],
    /// The first of them, shrunk.
    pub shrunk: Option<&'a Shrunk>,
    /// The planted errors; empty if none were tried.
    pub plants: &'a [Plant<Rule>],
}

impl<Class: Ord> fmt::Display for Report<'_, Class> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, seed, kernel, coverage, reached, divergences, shrunk, plants } = self;
        let (episodes, operations) = (coverage.episodes(), coverage.operations());
        writeln!(f, "kernel {kernel}, seed {seed}: {operations} operations in {episodes} episodes")?;
        writeln!(f, "{} different pairs of an operation and the state it met", coverage.distinct())?;
        rows(f, *reached, machine.abilities())?;
        unable(f, machine.abilities())?;
        planted(f, plants)?;
        for divergence in *divergences {
            writeln!(f, "{divergence}")?;
        }
        if let Some(shrunk) = shrunk {
            listing(f, shrunk, machine)?;
        }
        match divergences.len() {
            0 => writeln!(f, "kernel and specification say the same"),
            1 => writeln!(f, "kernel and specification part in 1 episode"),
            count => writeln!(f, "kernel and specification part in {count} episodes"),
        }
    }
}

/// Rows reached, and why the others were not.
fn rows(f: &mut fmt::Formatter<'_>, reached: RuleSet, able: Abilities) -> fmt::Result {
    writeln!(f, "{} of {} rows of the semantics table reached", reached.len(), Rule::ALL.len())?;
    let missing: Vec<Rule> = Rule::ALL.into_iter().filter(|rule| !reached.contains(*rule)).collect();
    let names = |of: &dyn Fn(Reach) -> bool| -> Vec<&str> {
        missing.iter().filter(|rule| of(rule.reach())).map(|rule| rule.name()).collect()
    };
    list(f, "not reached (no operation came to them)", names(&|reach| reach.is_within(able)).into_iter())?;
    for reach in Reach::ALL.into_iter().filter(|reach| !reach.is_within(able)) {
        let names = names(&|other| other == reach);
        list(f, &format!("not reached ({})", reach.words()), names.into_iter())?;
    }
    Ok(())
}

/// What this kernel cannot do, and so was not seen doing: refused, or not asked.
fn unable(f: &mut fmt::Formatter<'_>, able: Abilities) -> fmt::Result {
    let Abilities { importer, mmap, ranges } = able;
    if !importer {
        writeln!(
            f,
            "  not asked: the test importer (no device of it, or no module: scripts/kernel --importer)"
        )?;
    }
    if !mmap {
        writeln!(f, "  this kernel cannot: mmap of a dma-buf (refused each time)")?;
    }
    if importer && !ranges {
        writeln!(f, "  this kernel cannot: map a dma-buf of several ranges (refused each time)")?;
    }
    if importer {
        writeln!(
            f,
            "  not asked (one thread would stand still): an importer that holds on until it is told"
        )?;
    }
    Ok(())
}

/// Planted errors, and which were not found.
fn planted(f: &mut fmt::Formatter<'_>, plants: &[Plant<Rule>]) -> fmt::Result {
    if plants.is_empty() {
        return Ok(());
    }
    let found = plants.iter().filter(|plant| plant.found.is_some()).count();
    writeln!(f, "{found} of {} planted errors found", plants.len())?;
    let missed = plants.iter().filter(|plant| plant.found.is_none()).map(|plant| plant.name.name());
    list(f, "not found", missed)
}

/// A list of words, broken into lines; nothing if there are none.
fn list<'a>(f: &mut fmt::Formatter<'_>, title: &str, words: impl Iterator<Item = &'a str>) -> fmt::Result {
    let mut line = format!("  {title}:");
    let mut words = words.peekable();
    if words.peek().is_none() {
        return Ok(());
    }
    while let Some(word) = words.next() {
        let comma = if words.peek().is_some() { "," } else { "" };
        if line.len() + 1 + word.len() + comma.len() > WIDTH {
            writeln!(f, "{line}")?;
            line = "   ".to_owned();
        }
        line += &format!(" {word}{comma}");
    }
    writeln!(f, "{line}")
}

/// The operations that are left, with what the kernel said of each.
fn listing(f: &mut fmt::Formatter<'_>, shrunk: &Shrunk, machine: &Machine) -> fmt::Result {
    let Shrunk { episode, divergence, batches: _, candidates: _ } = shrunk;
    writeln!(f, "the fewest operations that show it, of episode {}:", episode.number)?;
    let ops = episode.ops();
    for (index, step) in episode.steps.iter().enumerate() {
        writeln!(f, "  {:>2}. {}: {}", index + 1, describe(&ops, index, machine), step.answer)?;
    }
    writeln!(f, "  {}", divergence.told_alone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::record::carry_out;
    use crate::recording::Episode;
    use crate::testbed::{Small, Wrong, machine};
    use barkeep_model::{Op, Source};

    fn divergence() -> (Episode, Divergence) {
        let ops = [
            Op::Open { device: 0, context: 0, file: 0 },
            Op::Export { file: 0, region: 2, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 },
            Op::ConfigWrite { file: 0, offset: 4, width: 2, value: 0 },
            Op::Map { space: 0, source: Source::Buffer(0), start: 0, length: 0x1000, iova: 0x2000_0000 },
        ];
        let episode = Episode { number: 3, steps: carry_out(&mut Small::default(), &ops).collect() };
        let divergence = compare(&episode, &mut Small::wrong(Wrong::Errno), &machine()).unwrap();
        (episode, divergence)
    }

    fn report(divergences: &[Divergence], shrunk: Option<&Shrunk>, plants: &[Plant<Rule>]) -> String {
        let mut coverage = Coverage::default();
        coverage.episode();
        coverage.operation(&Op::Detach { file: 0 }, 0);
        let mut reached = RuleSet::default();
        Rule::ALL.into_iter().filter(|rule| *rule != Rule::AfFlr).for_each(|rule| reached.insert(rule));
        let machine = &machine();
        let kernel = "7.3.4";
        Report { machine, seed: 7, kernel, coverage: &coverage, reached, divergences, shrunk, plants }
            .to_string()
    }

    #[test]
    fn a_run_that_found_nothing_says_what_it_did() {
        let (all, most) = (Rule::ALL.len(), Rule::ALL.len() - 1);
        assert_eq!(
            report(&[], None, &[Plant { name: Rule::D0, found: None }]),
            format!(
                "kernel 7.3.4, seed 7: 1 operations in 1 episodes\n\
                 1 different pairs of an operation and the state it met\n\
                 {most} of {all} rows of the semantics table reached\n  \
                 not reached (simulated devices only): AfFlr\n  \
                 not asked: the test importer (no device of it, or no module: scripts/kernel --importer)\n  \
                 this kernel cannot: mmap of a dma-buf (refused each time)\n\
                 0 of 1 planted errors found\n  \
                 not found: D0\n\
                 kernel and specification say the same\n"
            )
        );
    }

    #[test]
    fn what_parts_is_listed() {
        let (episode, divergence) = divergence();
        let shrunk = Shrunk { episode, divergence: divergence.clone(), batches: 1, candidates: 1 };
        let text = report(&[divergence], Some(&shrunk), &[]);
        let listing = text.split_once("the fewest").unwrap().1;
        assert_eq!(
            listing,
            " operations that show it, of episode 3:\n   \
             1. open nvme as file 0 and bind it to context 0: ok\n   \
             2. export 0x1000 at 0x0 of BAR 2 of nvme (file 0) as buffer 0: ok\n   \
             3. write 0x0 to COMMAND (2 bytes at 0x4) of nvme (file 0): ok\n   \
             4. MAP_FILE of 0x1000 bytes at 0x0 of buffer 0 into space 0 at 0x20000000: ENODEV\n  \
             the specification says EINVAL, the kernel said ENODEV\n\
             kernel and specification part in 1 episode\n"
        );
    }

    #[test]
    fn long_lists_are_broken() {
        struct Long;
        impl fmt::Display for Long {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                list(f, "not found", Rule::ALL.iter().map(|rule| rule.name()))
            }
        }
        let text = Long.to_string();
        assert!(text.lines().count() > 3 && text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.matches(',').count(), Rule::ALL.len() - 1);
    }
}
