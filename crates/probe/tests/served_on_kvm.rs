// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The probe, served by a minimal VMM on this machine's /dev/kvm: every command, on two vCPUs.

mod common;

use std::thread::sleep;
use std::time::{Duration, Instant};

use barkeep_probe::command::{EDU_BUFFER, pattern_word};
use barkeep_probe::mailbox;
use barkeep_probe::reply::Mismatch;
use barkeep_probe::{Command, DmaDirection, Refusal, Reply, Width};
use common::edu::EDU_BAR;
use common::{BAR, Machine, kvm_or_skip};
use vm_memory::{Bytes, GuestAddress};

const SCRATCH: u64 = 0x40_0000;
const NOBODY: u64 = 0xE000_0000;
const HIGH_NOBODY: u64 = 0x12_3456_7000;

fn read(address: u64, width: Width) -> Command {
    Command::Read { address, width }
}

#[test]
fn both_vcpus_are_up_and_answer_for_themselves() {
    let Some(kvm) = kvm_or_skip() else { return };
    let start = Instant::now();
    let machine = Machine::boot(&kvm, 2);
    println!("both vCPUs up after {:?}", start.elapsed());
    for cpu in 0..2 {
        let own = Reply::Cpus { up: 2, own: cpu as u64 };
        assert_eq!(machine.ask(cpu, Command::Cpus), Ok(own));
        let value = 0x0123_4567_89AB_CDEF + cpu as u64;
        assert_eq!(machine.ask(cpu, Command::Echo { value }), Ok(Reply::Value(value)));
    }
}

#[test]
fn single_accesses_of_every_width() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    for (cpu, base) in [(0, SCRATCH), (1, BAR)] {
        for width in [Width::One, Width::Two, Width::Four, Width::Eight] {
            let all = Command::Write { address: base, width: Width::Eight, value: 0 };
            assert_eq!(machine.ask(cpu, all), Ok(Reply::Done));
            let value = u64::MAX - 1;
            let write = Command::Write { address: base, width, value };
            assert_eq!(machine.ask(cpu, write), Ok(Reply::Done));
            let kept = value & width.all_ones();
            assert_eq!(machine.ask(cpu, read(base, width)), Ok(Reply::Value(kept)));
            // No wider than asked for.
            assert_eq!(machine.ask(cpu, read(base, Width::Eight)), Ok(Reply::Value(kept)));
            let ones = Ok(Reply::Value(width.all_ones()));
            assert_eq!(machine.ask(cpu, read(NOBODY, width)), ones);
            assert_eq!(machine.ask(cpu, read(HIGH_NOBODY, width)), ones);
        }
    }
}

#[test]
fn filling_verifying_and_copying() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    let (length, pattern, step) = (1024, 0xFFFF_FFF0, 7);
    let verify = |address| Command::Verify { address, length, pattern, step };
    for cpu in 0..2 {
        let fill = Command::Fill { address: SCRATCH, length, pattern, step };
        assert_eq!(machine.ask(cpu, fill), Ok(Reply::Done));
        let third: u32 = machine.ram.read_obj(GuestAddress(SCRATCH + 12)).expect("RAM");
        assert_eq!(third, pattern_word(pattern, step, 3));
        let copy = Command::Copy { from: SCRATCH, to: BAR, length };
        assert_eq!(machine.ask(cpu, copy), Ok(Reply::Done));
        assert_eq!(machine.ask(cpu, verify(BAR)), Ok(Reply::Verified { mismatch: None }));
        for (offset, value) in [(512, 5), (516, 6)] {
            let spoil = Command::Write { address: BAR + offset, width: Width::Four, value };
            assert_eq!(machine.ask(cpu, spoil), Ok(Reply::Done));
        }
        let mismatch = Some(Mismatch { words: 2, first_offset: 512, first_value: 5 });
        assert_eq!(machine.ask(cpu, verify(BAR)), Ok(Reply::Verified { mismatch }));
    }
}

#[test]
fn dma_goes_through_edus_buffer_to_the_bar() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    let (length, pattern, step) = (256, 0x1234_5678, 3);
    let start = |source, destination, direction| Command::EduStart {
        edu_bar: EDU_BAR,
        source,
        destination,
        length,
        direction,
    };
    let wait = Command::EduWait { edu_bar: EDU_BAR, max_ns: 5_000_000_000 };
    machine.ask(0, Command::Fill { address: SCRATCH, length, pattern, step }).unwrap();
    machine.ask(0, start(SCRATCH, EDU_BUFFER, DmaDirection::FromMemory)).unwrap();
    let Ok(Reply::Waited { looks }) = machine.ask(1, wait) else { panic!("it was not waited for") };
    assert!((1..5000).contains(&looks), "{looks}");
    machine.ask(1, start(EDU_BUFFER, BAR + 0x1000, DmaDirection::ToMemory)).unwrap();
    machine.ask(0, wait).unwrap();
    let verify = Command::Verify { address: BAR + 0x1000, length, pattern, step };
    assert_eq!(machine.ask(1, verify), Ok(Reply::Verified { mismatch: None }));
}

#[test]
fn waiting_for_edu_tells_busy_from_late_from_gone() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    let busy = Command::EduBusy { edu_bar: EDU_BAR };
    assert_eq!(machine.ask(1, busy), Ok(Reply::Busy(false)));
    machine.edu.lock().unwrap().takes = Duration::from_secs(3600);
    let start = Command::EduStart {
        edu_bar: EDU_BAR,
        source: EDU_BUFFER,
        destination: SCRATCH,
        length: 4,
        direction: DmaDirection::ToMemory,
    };
    assert_eq!(machine.ask(0, start), Ok(Reply::Done));
    assert_eq!(machine.ask(1, busy), Ok(Reply::Busy(true)));
    let wait = Command::EduWait { edu_bar: EDU_BAR, max_ns: 8_000_000 };
    // After 1, 3, 7 and, the last, 8 ms.
    assert_eq!(machine.ask(0, wait), Err(Refusal::TimedOut { looks: 4 }));
    let gone = Command::EduWait { edu_bar: NOBODY, max_ns: 1_000_000_000 };
    assert_eq!(machine.ask(1, gone), Err(Refusal::Gone));
    assert_eq!(machine.ask(1, Command::EduBusy { edu_bar: NOBODY }), Err(Refusal::Gone));
}

#[test]
fn sleeping_takes_as_long_as_asked() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    let start = Instant::now();
    machine.send(0, Command::Sleep { ns: 1_200_000_000 });
    machine.send(1, Command::Sleep { ns: 50_000_000 });
    machine.wait(1);
    assert!(start.elapsed() >= Duration::from_millis(49), "{:?}", start.elapsed());
    machine.wait(0);
    assert!(start.elapsed() >= Duration::from_millis(1199), "{:?}", start.elapsed());
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 1);
    let unaligned = read(SCRATCH + 1, Width::Four);
    assert_eq!(machine.ask(0, unaligned), Err(Refusal::BadArgument));
    let beyond = read(1 << 63, Width::Four);
    assert_eq!(machine.ask(0, beyond), Err(Refusal::BadArgument));
    let odd = Command::Fill { address: SCRATCH, length: 6, pattern: 0, step: 0 };
    assert_eq!(machine.ask(0, odd), Err(Refusal::BadArgument));
    // A GiB apart, each needs a page directory of its own.
    let answers: Vec<_> = (4..64).map(|gib| machine.ask(0, read(gib << 30, Width::Four))).collect();
    assert_eq!(answers[0], Ok(Reply::Value(0xFFFF_FFFF)));
    assert_eq!(answers[59], Err(Refusal::NoPageTables));
    // And what was mapped stays so.
    assert_eq!(machine.ask(0, read(4 << 30, Width::Four)), answers[0]);
}

#[test]
fn an_exception_is_a_reply_and_the_next_command_works() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    for cpu in [0, 1, 0] {
        machine.send(cpu, Command::Trap);
        let (bell, early) = machine.wait(cpu);
        assert_eq!(bell, mailbox::DOORBELL_EXCEPTION);
        let (bell, words) = machine.wait(cpu);
        assert_eq!((bell, words), (mailbox::DOORBELL_NEXT, early));
        let refusal = Command::Trap.decode_reply(&words).unwrap_err();
        assert!(matches!(refusal, Refusal::Exception { vector: 6, rip: 0x10_0000.., .. }), "{refusal}");
        let echo = machine.ask(cpu, Command::Echo { value: 9 });
        assert_eq!(echo, Ok(Reply::Value(9)));
    }
    let serial = machine.serial.lock().unwrap();
    assert!(serial.contains("probe: cpu 1: exception 6"), "{serial}");
}

#[test]
fn an_exception_outside_a_command_ends_that_vcpu_loudly() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    machine.send_nmi(1);
    let (bell, words) = machine.wait(1);
    assert_eq!(bell, mailbox::DOORBELL_PANIC);
    let refusal = Command::Cpus.decode_reply(&words).unwrap_err();
    assert!(matches!(refusal, Refusal::Exception { vector: 2, .. }), "{refusal}");
    assert_eq!(machine.ask(0, Command::Cpus), Ok(Reply::Cpus { up: 2, own: 0 }));
}

#[test]
fn alone_where_there_is_no_pci_it_says_so_and_stops() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::enter(&kvm, 1, "cpus=1");
    assert_eq!(machine.wait_for_end(0), "Shutdown");
    let serial = machine.serial.lock().unwrap();
    assert!(serial.contains("probe: apic timer 1000000000 Hz, assumed"), "{serial}");
    assert!(serial.trim_end().ends_with("probe: verdict fail: no target BAR"), "{serial}");
}

#[test]
fn a_halted_vcpu_stays_silent_and_the_other_goes_on() {
    let Some(kvm) = kvm_or_skip() else { return };
    let machine = Machine::boot(&kvm, 2);
    machine.send(1, Command::Halt);
    sleep(Duration::from_millis(50));
    let other = machine.ask(0, Command::Cpus);
    assert_eq!(other, Ok(Reply::Cpus { up: 2, own: 0 }));
}
