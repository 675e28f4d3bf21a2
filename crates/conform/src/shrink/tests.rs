use super::*;
use crate::generate::episode;
use crate::record::carry_out;
use crate::testbed::{Small, Wrong, machine};
use barkeep_model::Source;
use barkeep_model::op::PAGE;
use std::convert::Infallible;

/// The kernel is the right one here, and the specification is wrong.
struct Right {
    batches: usize,
}

impl Batch for Right {
    type Error = Infallible;

    fn run(&mut self, candidates: &[Vec<Op>]) -> Result<Vec<Vec<Recorded>>, Infallible> {
        self.batches += 1;
        Ok(candidates.iter().map(|ops| carry_out(&mut Small::default(), ops).collect()).collect())
    }
}

fn recorded(ops: &[Op]) -> Episode {
    Episode { number: 9, steps: carry_out(&mut Small::default(), ops).collect() }
}

fn shrunk(ops: &[Op], wrong: Wrong) -> Option<Shrunk> {
    let mut kernel = Right { batches: 0 };
    let Ok(shrunk) = shrink(&recorded(ops), &mut kernel, &mut Small::wrong(wrong), &machine());
    if let Some(shrunk) = &shrunk {
        assert_eq!(shrunk.batches, kernel.batches);
    }
    shrunk
}

/// The first random episodes that show an error.
fn that_show(wrong: Wrong, count: usize) -> Vec<Vec<Op>> {
    let machine = machine();
    let shows = |ops: &Vec<Op>| compare(&recorded(ops), &mut Small::wrong(wrong), &machine).is_some();
    let found: Vec<_> =
        (0..4000).map(|number| episode(5, number, &machine)).filter(shows).take(count).collect();
    assert_eq!(found.len(), count);
    found
}

#[test]
fn what_does_not_part_is_not_shrunk() {
    assert_eq!(shrunk(&[Op::Detach { file: 0 }], Wrong::Errno), None);
}

#[test]
fn only_what_it_takes_is_left() {
    for ops in that_show(Wrong::DecodeOff, 20) {
        let shrunk = shrunk(&ops, Wrong::DecodeOff).unwrap();
        let kinds: Vec<Kind> = shrunk.episode.steps.iter().map(|step| Kind::of(&step.op)).collect();
        // Decode is off before the export or goes off after it: either way it takes three.
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        assert!(kinds.starts_with(&[Kind::Open]), "{kinds:?}");
        assert_eq!(shrunk.divergence.index, 2);
        assert!(shrunk.divergence.to_string().starts_with("episode 9, operation 3 of 3: "));
    }
}

#[test]
fn arguments_are_as_simple_as_can_be() {
    for ops in that_show(Wrong::Errno, 20) {
        let shrunk = shrunk(&ops, Wrong::Errno).unwrap();
        for op in shrunk.episode.ops() {
            match op {
                Op::Open { context, .. } => assert_eq!(context, 0),
                Op::ConfigWrite { width, value, .. } => assert_eq!((width, value), (2, 0)),
                Op::Export { ranges, flags, .. } => {
                    assert!(ranges.len() <= 1 && flags == 0, "{ranges:?}");
                    assert!(ranges.iter().all(|range| *range == (0, PAGE)), "{ranges:?}");
                }
                Op::Map { space, source, start, length, iova } => {
                    assert!(matches!(source, Source::Buffer(_)));
                    assert_eq!((space, start, length, iova), (0, 0, PAGE, 0x2000_0000));
                }
                other => panic!("{other:?} does not matter"),
            }
        }
        assert_eq!(shrunk.episode.steps.len(), 4);
    }
}

#[test]
fn it_shrinks_the_same_every_time() {
    let ops = &that_show(Wrong::Errno, 1)[0];
    assert_eq!(shrunk(ops, Wrong::Errno), shrunk(ops, Wrong::Errno));
}

#[test]
fn a_few_boots_are_enough() {
    for ops in that_show(Wrong::DecodeOff, 20) {
        let Shrunk { batches, candidates, .. } = shrunk(&ops, Wrong::DecodeOff).unwrap();
        assert!(batches <= 16, "{batches} batches, {candidates} candidates");
    }
}

#[test]
fn what_is_left_still_harms_nothing() {
    for ops in that_show(Wrong::Rescan, 5) {
        let shrunk = shrunk(&ops, Wrong::Rescan).unwrap();
        assert!(harmless(&shrunk.episode.ops(), &machine()));
        assert_eq!(shrunk.episode.steps.len(), 1);
    }
}

/// A kernel that dies of the first operation of every sequence.
struct Dead;

impl Batch for Dead {
    type Error = Infallible;

    fn run(&mut self, candidates: &[Vec<Op>]) -> Result<Vec<Vec<Recorded>>, Infallible> {
        Ok(vec![vec![]; candidates.len()])
    }
}

#[test]
fn a_kernel_that_dies_leaves_what_there_was() {
    let ops = &that_show(Wrong::Errno, 1)[0];
    let Ok(shrunk) = shrink(&recorded(ops), &mut Dead, &mut Small::wrong(Wrong::Errno), &machine());
    let divergence = compare(&recorded(ops), &mut Small::wrong(Wrong::Errno), &machine()).unwrap();
    assert_eq!(shrunk.unwrap().episode.steps.len(), divergence.index + 1);
}
