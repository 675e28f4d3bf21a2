use super::*;
use crate::fits::fits;
use crate::possible::harmless;
use crate::record::carry_out;
use crate::testbed::machine;
use barkeep_model::op::{PAGE, RAM_IOVA};
use barkeep_model::{Abilities, Process, Profile, Rule};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A kernel with all there is.
const ABLE: Abilities = Abilities { importer: true, mmap: true, ranges: true };
/// As released, with the importer's module.
const STOCK: Abilities = Abilities { importer: true, mmap: false, ranges: false };

/// Episodes that are enough for everything to come up.
const MANY: u64 = 2000;

#[test]
fn an_episode_is_a_function_of_seed_number_and_hardware() {
    let machine = machine();
    assert_eq!(episode(7, 3, &machine), episode(7, 3, &machine));
    assert_ne!(episode(7, 3, &machine), episode(8, 3, &machine));
    assert_ne!(episode(7, 3, &machine), episode(7, 4, &machine));
}

#[test]
fn nobody_is_asked_to_import_where_there_is_no_importer() {
    let machine = machine();
    assert!((0..MANY).flat_map(|number| episode(1, number, &machine)).all(|op| !Kind::of(&op).is_import()));
}

#[test]
fn every_kind_comes_up_and_none_is_everything() {
    let machine = machine().able(ABLE);
    let mut counts = BTreeMap::new();
    for op in (0..MANY).flat_map(|number| episode(1, number, &machine)) {
        *counts.entry(Kind::of(&op)).or_insert(0_u64) += 1;
    }
    let all: u64 = counts.values().sum();
    for kind in Kind::ALL {
        let count = counts.get(kind).copied().unwrap_or(0);
        assert!((20..all / 4).contains(&count), "{kind}: {count} of {all}");
    }
}

#[test]
fn most_episodes_begin_with_an_export_that_is_used() {
    let machine = machine();
    let used = |ops: &[Op]| {
        let has = |kind| ops.iter().take(14).any(|op| Kind::of(op) == kind);
        has(Kind::Open) && has(Kind::Export) && has(Kind::Map)
    };
    let count = (0..MANY).filter(|number| used(&episode(1, *number, &machine))).count();
    assert!((MANY as usize / 2..MANY as usize).contains(&count), "{count}");
}

#[test]
fn corners_come_up() {
    let machine = machine();
    let ops: Vec<Op> = (0..MANY).flat_map(|number| episode(1, number, &machine)).collect();
    let comes_up = |what: &str, is: &dyn Fn(&Op) -> bool| {
        assert!(ops.iter().any(is), "{what}");
    };
    comes_up("FLR by the high byte", &|op| {
        matches!(op, Op::ConfigWrite { offset: 0x89, width: 1, value: 0x80.., .. })
    });
    comes_up("AF FLR", &|op| matches!(op, Op::ConfigWrite { offset: 0xa4, width: 1, value: 1, .. }));
    comes_up("D3hot", &|op| matches!(op, Op::ConfigWrite { offset: 0x64, value: 3, .. }));
    comes_up("COMMAND's low byte", &|op| matches!(op, Op::ConfigWrite { offset: 4, width: 1, .. }));
    comes_up("flags", &|op| matches!(op, Op::Export { flags: 1.., .. }));
    comes_up("no ranges", &|op| matches!(op, Op::Export { ranges, .. } if ranges.is_empty()));
    comes_up("several ranges", &|op| matches!(op, Op::Export { ranges, .. } if ranges.len() > 2));
    comes_up("no such region", &|op| matches!(op, Op::Export { region: 6.., .. }));
    comes_up("beyond", &|op| matches!(op, Op::Map { start: 0x100_0000, .. }));
    comes_up("zero length", &|op| matches!(op, Op::Unmap { length: 0, .. }));
    comes_up("unaligned", &|op| matches!(op, Op::Map { iova, .. } if iova % PAGE != 0));
    comes_up("reserved", &|op| matches!(op, Op::Map { iova: 0xfee0_0000, .. }));
    comes_up("the other context", &|op| matches!(op, Op::Open { context: 1, .. }));
}

#[test]
fn values_written_differ() {
    let machine = machine();
    for number in 0..MANY {
        let ops = episode(1, number, &machine);
        let values: Vec<u32> = ops
            .iter()
            .filter_map(|op| match op {
                Op::RegionWrite { value, .. } | Op::CpuWrite { value, .. } | Op::Dma { value, .. } => {
                    Some(*value)
                }
                _ => None,
            })
            .collect();
        assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), values.len(), "{number}");
        assert!(values.iter().all(|value| ![0, u32::MAX].contains(value)));
    }
}

proptest! {
    #[test]
    fn episodes_fit_and_harm_nothing(seed: u64, number: u64) {
        let machine = machine().able(ABLE);
        let ops = episode(seed, number, &machine);
        prop_assert!((SHORTEST as usize..=LONGEST as usize).contains(&ops.len()));
        prop_assert!(harmless(&ops, &machine));
        for op in &ops {
            prop_assert_eq!(fits(op, &machine), Ok(()));
        }
    }

    #[test]
    fn the_page_of_ram_is_left_alone(seed: u64) {
        let inside = |iova: u64, length: u64| iova < RAM_IOVA + PAGE && RAM_IOVA < iova.saturating_add(length);
        for op in episode(seed, 0, &machine()) {
            match op {
                Op::Map { iova, length, .. } | Op::Unmap { iova, length, .. } => prop_assert!(!inside(iova, length)),
                Op::Dma { iova, .. } => {
                    prop_assert!(!inside(iova, 4));
                    prop_assert!(!(0xfee0_0000..0xfef0_0000).contains(&iova), "an interrupt");
                }
                _ => {}
            }
        }
    }
}

/// The specification carries them out here: enough to see that the episodes come to what they
/// are made for.
#[test]
fn every_row_of_the_table_that_a_lab_can_show_is_reached() {
    for able in [Abilities::default(), STOCK, ABLE] {
        let machine = machine().able(able);
        let specification = Process::new(machine.hardware(), Profile::V7_3).unwrap();
        let mut specification = specification.able(able);
        for number in 0..600 {
            let ops = episode(1, number, &machine);
            assert_eq!(carry_out(&mut specification, &ops).count(), ops.len());
        }
        let reached = specification.reached();
        let shown = Rule::ALL.into_iter().filter(|rule| rule.reach().is_within(able));
        let missing: Vec<&str> = shown.filter(|rule| !reached.contains(*rule)).map(Rule::name).collect();
        assert!(missing.is_empty(), "{able:?}: {missing:?}");
    }
}
