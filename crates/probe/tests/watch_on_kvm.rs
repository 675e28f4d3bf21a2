// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A vCPU of the probe that waits for an outage: what it sees, what it does, and when it gives up.

mod common;

use barkeep_probe::mailbox::{PHASE_CLOSING, PHASE_LIVE, PHASE_OUT, outage_word};
use barkeep_probe::{Command, Refusal, Reply, Seen};
use common::script::SCRIPTED_PAGE;
use common::{BAR, Machine, OUTAGE, STOP, kvm_or_skip};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use vm_memory::{Bytes, GuestAddress};

const BELL: u64 = 0x40_0000;
const LONG_NS: u64 = 3_600_000_000_000;

fn watch() -> Command {
    Command::Watch {
        outage_word: OUTAGE,
        address: BAR + 8,
        bell: BELL,
        bell_value: 0x1234_5678,
        stop_word: STOP,
        pause_ns: 1_000_000,
        max_ns: LONG_NS,
    }
}

fn store(machine: &Machine, at: u64, word: u64) {
    machine.ram.store(word, GuestAddress(at), Ordering::SeqCst).expect("RAM");
}

fn bell(machine: &Machine) -> u32 {
    machine.ram.read_obj(GuestAddress(BELL)).expect("RAM")
}

#[test]
fn it_reads_and_rings_once_the_window_is_out_and_not_before() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    machine.ask(0, Command::Fill { address: BAR, length: 64, pattern: 1, step: 1 }).unwrap();
    for phase in [PHASE_LIVE, PHASE_CLOSING] {
        store(&machine, OUTAGE, outage_word(7, phase));
        machine.send(1, watch());
        // The other one is asked a hundred times, each a sleep: time enough for some looks.
        for _ in 0..100 {
            machine.ask(0, Command::Sleep { ns: 100_000 }).unwrap();
        }
        assert_eq!(bell(&machine), 0, "it was rung too early");
        store(&machine, OUTAGE, outage_word(7, PHASE_OUT));
        let (_, words) = machine.wait(1);
        let Ok(Reply::Watched { seen: Some(seen), looks }) = watch().decode_reply(&words) else {
            panic!("{words:?}")
        };
        let word = outage_word(7, PHASE_OUT);
        assert_eq!(seen, Seen { value: 3, before: word, after: word });
        assert!(looks > 0);
        assert_eq!(bell(&machine), 0x1234_5678);
        machine.ask(0, Command::Fill { address: BELL, length: 4, pattern: 0, step: 0 }).unwrap();
    }
}

#[test]
fn both_outage_words_are_told_when_the_outage_ends_meanwhile() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    let (before, after) = (outage_word(3, PHASE_OUT), outage_word(3, PHASE_LIVE));
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    machine.script.lock().unwrap().answer = Box::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        (u32::MAX, after)
    });
    store(&machine, OUTAGE, before);
    let Command::Watch { outage_word, bell_value, stop_word, pause_ns, max_ns, .. } = watch() else {
        unreachable!()
    };
    let (address, bell) = (SCRIPTED_PAGE, 0);
    let watch = Command::Watch { outage_word, address, bell, bell_value, stop_word, pause_ns, max_ns };
    let seen = Some(Seen { value: u32::MAX, before, after });
    assert_eq!(machine.ask(0, watch), Ok(Reply::Watched { seen, looks: 1 }));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it reads once");
}

#[test]
fn it_gives_up_after_its_time_or_when_it_is_told() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    store(&machine, OUTAGE, outage_word(1, PHASE_LIVE));
    let limited = |most| {
        let Command::Watch { outage_word, address, bell, bell_value, stop_word, pause_ns, .. } = watch()
        else {
            unreachable!()
        };
        Command::Watch { outage_word, address, bell, bell_value, stop_word, pause_ns, max_ns: most }
    };
    for (max_ns, looks) in [(0, 1), (1, 2), (2_500_000, 4), (3_000_000, 4)] {
        let nothing = Ok(Reply::Watched { seen: None, looks });
        assert_eq!(machine.ask(0, limited(max_ns)), nothing, "{max_ns} ns");
    }
    machine.send(0, watch());
    store(&machine, STOP, 1);
    let (_, words) = machine.wait(0);
    assert!(matches!(watch().decode_reply(&words), Ok(Reply::Watched { seen: None, .. })));
    assert_eq!(bell(&machine), 0);
}

#[test]
fn what_it_cannot_work_with_is_refused() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    for (word, at, bell, stop, pause) in [
        (0, BAR, 0, 0, 1),
        (OUTAGE + 4, BAR, 0, 0, 1),
        (OUTAGE, BAR + 2, 0, 0, 1),
        (OUTAGE, BAR, BELL + 1, 0, 1),
        (OUTAGE, BAR, 0, STOP + 4, 1),
        (OUTAGE, 1 << 47, 0, 0, 1),
        (OUTAGE, BAR, 0, 0, 0),
    ] {
        let command = Command::Watch {
            outage_word: word,
            address: at,
            bell,
            bell_value: 0,
            stop_word: stop,
            pause_ns: pause,
            max_ns: 0,
        };
        assert_eq!(machine.ask(0, command), Err(Refusal::BadArgument), "{command:?}");
    }
}
