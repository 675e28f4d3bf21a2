// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The probe's Hammer on this machine's /dev/kvm: quiet about a correct VMM, loud about others.

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use barkeep_probe::mailbox::{self, HAMMER_CELLS, PHASE_CLOSING, PHASE_LIVE, PHASE_OPENING, PHASE_OUT};
use barkeep_probe::{Command, HammerCounts, Refusal, Reply, Width};
use common::script::SCRIPTED_PAGE;
use common::{BAR, Machine, OUTAGE, STOP, kvm_or_skip, wait_until};
use vm_memory::{Bytes, GuestAddress};

fn set(machine: &Machine, address: u64, word: u64) {
    machine.ram.store(word, GuestAddress(address), Ordering::SeqCst).expect("RAM");
}

fn hammer(page: u64, max_iterations: u64) -> Command {
    Command::Hammer {
        page,
        outage_word: OUTAGE,
        stop_word: STOP,
        pause_ns: 0,
        max_iterations,
        reset_value: 0,
        seed: 5,
    }
}

fn counts(reply: Result<Reply, Refusal>) -> HammerCounts {
    let Ok(Reply::Hammered(counts)) = reply else { panic!("{reply:?}") };
    let sum = counts.live_ok
        + counts.out_ones
        + counts.ambiguous_ones
        + counts.ambiguous_value
        + counts.ambiguous_initial
        + counts.violations;
    assert_eq!(sum, counts.iterations, "{counts:?}");
    counts
}

/// Until both vCPUs, each on its page, have done two whole iterations, by a count of theirs.
fn both_get_on(count: impl Fn(usize) -> u64) {
    let start = [count(0), count(1)];
    wait_until(|| (0..2).all(|cpu| count(cpu) >= start[cpu] + 3));
}

/// What a correct VMM says and does around one outage of the BAR.
fn one_outage(machine: &Machine, generation: u64) {
    let say = |generation, phase| set(machine, OUTAGE, mailbox::outage_word(generation, phase));
    let land = || both_get_on(|cpu| machine.highest_word(0x1000 * cpu as u64));
    let miss = || both_get_on(|cpu| machine.reads_of_nobody(cpu));
    say(generation, PHASE_CLOSING);
    land();
    machine.remove_bar();
    miss();
    say(generation, PHASE_OUT);
    miss();
    say(generation, PHASE_OPENING);
    miss();
    machine.put_bar();
    land();
    say(generation + 1, PHASE_LIVE);
    land();
}

#[test]
fn hammering_through_outages_finds_nothing_wrong_with_a_correct_vmm() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    machine.send(0, hammer(BAR, 0));
    machine.send(1, hammer(BAR + 0x1000, 0));
    for generation in 0..10 {
        one_outage(&machine, generation);
    }
    set(&machine, STOP, 1);
    for cpu in 0..2 {
        let (_, words) = machine.wait(cpu);
        let counts = counts(hammer(BAR, 0).decode_reply(&words));
        println!("cpu {cpu}: {counts:?}");
        assert_eq!(counts.first_violation, None);
        assert!(counts.stopped);
        for seen in [counts.live_ok, counts.out_ones, counts.ambiguous_ones, counts.ambiguous_value] {
            assert!(seen > 0, "an empty run proves nothing: {counts:?}");
        }
    }
}

#[test]
fn hammering_with_pauses_counts_its_iterations() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    let Command::Hammer { page, outage_word, reset_value, seed, .. } = hammer(BAR, 0) else { unreachable!() };
    let (pause_ns, max_iterations) = (1_000_000, 20);
    let paused =
        Command::Hammer { page, outage_word, stop_word: 0, pause_ns, max_iterations, reset_value, seed };
    let start = Instant::now();
    let counts = counts(machine.ask(0, paused));
    assert!(start.elapsed() >= Duration::from_millis(19), "{:?}", start.elapsed());
    assert_eq!((counts.iterations, counts.live_ok, counts.stopped), (20, 20, false));
    // Every 64th byte, in an order of its own: the last iteration's cell holds its number.
    let cell = BAR + (20 * 37 + 5) % 64 * 64;
    assert_eq!(machine.ask(0, Command::Read { address: cell, width: Width::Four }), Ok(Reply::Value(20)));
}

#[test]
fn a_bar_that_is_gone_while_called_live_is_a_violation() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    machine.remove_bar();
    let counts = counts(machine.ask(0, hammer(BAR, 100)));
    let first = counts.first_violation.expect("the BAR was gone");
    assert_eq!((counts.violations, first.written, first.read), (100, 1, 0xFFFF_FFFF));
    assert_eq!((first.before, first.after), (0, 0));
    assert_eq!(first.offset, 42 * 64, "the first cell is 37 + seed");
}

#[test]
fn a_bar_that_answers_while_called_out_is_a_violation() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    set(&machine, OUTAGE, mailbox::outage_word(3, PHASE_OUT));
    let counts = counts(machine.ask(0, hammer(BAR, 100)));
    assert_eq!(counts.violations, 100);
    let first = counts.first_violation.expect("the BAR answered");
    assert_eq!((first.before % 4, first.read), (PHASE_OUT, 1));
}

/// Live for a while, then closing, the BAR gone and `answer` in its place.
fn hammer_into(answer: u64) -> HammerCounts {
    let Some(kvm) = kvm_or_skip() else { return HammerCounts::default() };
    let machine = Machine::boot(&kvm, 1);
    machine.send(0, hammer(BAR, 0));
    // Every cell twice, however loaded this machine is: the last of them is long overwritten.
    wait_until(|| machine.bar_word(0) >= 192);
    set(&machine, OUTAGE, mailbox::outage_word(0, PHASE_CLOSING));
    machine.nobody.store(answer, Ordering::SeqCst);
    machine.remove_bar();
    wait_until(|| machine.reads_of_nobody(0) >= 2);
    set(&machine, STOP, 1);
    let (_, words) = machine.wait(0);
    let counts = counts(hammer(BAR, 0).decode_reply(&words));
    assert!(counts.live_ok > 128, "each cell twice: {counts:?}");
    counts
}

#[test]
fn a_value_the_cell_never_held_is_a_violation_even_in_between() {
    // No iteration; one whose value another cell got; one long overwritten, in its own cell too.
    for answer in [0x7777_7777, 70, 1] {
        let counts = hammer_into(answer);
        let Some(first) = counts.first_violation else {
            assert_eq!(counts.iterations, 0, "only a skipped test sees none: {counts:?}");
            return;
        };
        assert_eq!((u64::from(first.read), first.after), (answer, PHASE_CLOSING));
    }
}

#[test]
fn a_reset_value_is_no_violation_in_between() {
    let counts = hammer_into(0);
    assert_eq!(counts.first_violation, None);
    assert!(counts.ambiguous_value > 0 || counts.iterations == 0);
}

const WALK: u32 = HAMMER_CELLS as u32;

/// Walks through all cells, each in its phase; in the last one `last` answers, in live ones the
/// value written does, in others nobody. How many of the last walk's values were taken as
/// possible, and how many were violations: a walk's last iteration, in which the phase changes,
/// is left out.
fn hammer_by_script(phases: &'static [u64], last: fn(u32) -> u32) -> Option<(u64, u64)> {
    let kvm = kvm_or_skip()?;
    let machine = Machine::boot(&kvm, 1);
    let phase_of = |v: u32| phases[(v as usize - 1) / WALK as usize];
    let all = WALK * phases.len() as u32 - 1;
    machine.script.lock().unwrap().answer = Box::new(move |v| {
        let answer = match phase_of(v) {
            _ if v > all - (WALK - 1) => last(v),
            PHASE_LIVE => v,
            _ => u32::MAX,
        };
        (answer, mailbox::outage_word(0, phase_of((v + 1).min(all))))
    });
    let counts = counts(machine.ask(0, hammer(SCRIPTED_PAGE, all.into())));
    let walks = |phase| phases.iter().filter(|p| **p == phase).count() as u64;
    assert_eq!(counts.out_ones, 63 * walks(PHASE_OUT), "{counts:?}");
    // Live walks come first: the last iteration of the last one is in between.
    assert_eq!(counts.live_ok, 64 * walks(PHASE_LIVE) - 1, "{counts:?}");
    Some((counts.ambiguous_value - 1, counts.violations))
}

#[test]
fn what_a_cell_can_hold_after_an_outage() {
    type Case = (fn(u32) -> u32, bool);
    // What comes back in the 63 iterations of the opening, and whether it can.
    let cases: [Case; 7] = [
        (|v| v, true),
        // Written while closing: it may have landed.
        (|v| v - 2 * WALK, true),
        // Written while live: nothing need have landed since.
        (|v| v - 3 * WALK, true),
        // The device was reset.
        (|_| 0, true),
        // Written while out: it cannot have landed.
        (|v| v - WALK, false),
        // Written while live, and overwritten while live.
        (|v| v - 4 * WALK, false),
        // Another cell's.
        (|v| v - 2 * WALK - 1, false),
    ];
    let phases = &[PHASE_LIVE, PHASE_LIVE, PHASE_CLOSING, PHASE_OUT, PHASE_OPENING];
    for (number, (opening, possible)) in cases.into_iter().enumerate() {
        let Some(seen) = hammer_by_script(phases, opening) else { return };
        assert_eq!(seen, if possible { (63, 0) } else { (0, 63) }, "case {number}");
    }
}

#[test]
fn what_was_written_between_two_outages_may_have_landed() {
    let phases = &[PHASE_LIVE, PHASE_OUT, PHASE_OPENING, PHASE_OUT, PHASE_OPENING];
    let Some(seen) = hammer_by_script(phases, |v| v - 2 * WALK) else { return };
    assert_eq!(seen, (63, 0));
}
