// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The probe without a CPU against the real one on this machine's /dev/kvm: the same commands,
//! in the same memory, get the same replies and leave the same bytes.

mod common;

use std::time::Duration;

use barkeep_probe::command::{EDU_BUFFER, EDU_BUFFER_BYTES};
use barkeep_probe::mailbox::{
    DOORBELL_NEXT, HAMMER_CELLS, PHASE_CLOSING, PHASE_LIVE, PHASE_OPENING, PHASE_OUT,
};
use barkeep_probe::simulated::{Again, Job, Memory, Probe, Step};
use barkeep_probe::{Command, DmaDirection, Refusal, Reply, Width};
use common::edu::{EDU_BAR, Edu};
use common::script::{SCRIPTED_PAGE, Script};
use common::{BAR, BAR_BYTES, Machine, OUTAGE, STOP, kvm_or_skip};
use kvm_ioctls::Kvm;
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const RAM_BYTES: usize = 8 << 20;
const SCRATCH: u64 = 0x40_0000;
const SCRATCH_BYTES: u64 = 0x2000;
const NOBODY: u64 = 0xE000_0000;
const VCPUS: usize = 2;

type Answer = Result<Reply, Refusal>;

/// What the real probe's accesses meet in `common`, for the other.
struct Bench {
    ram: GuestMemoryMmap,
    bar: GuestMemoryMmap,
    edu: Edu,
    script: Script,
}

impl Bench {
    fn new() -> Self {
        let ram = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), RAM_BYTES)]).expect("RAM");
        let bar = GuestMemoryMmap::from_ranges(&[(GuestAddress(BAR), BAR_BYTES)]).expect("BAR");
        let mut edu = Edu::new(ram.clone(), bar.clone());
        edu.takes = Duration::ZERO;
        let script = Script::new(ram.clone(), OUTAGE);
        Self { ram, bar, edu, script }
    }

    fn memory(&self, address: u64) -> Option<&GuestMemoryMmap> {
        match address {
            _ if address < RAM_BYTES as u64 => Some(&self.ram),
            BAR.. if address < BAR + BAR_BYTES as u64 => Some(&self.bar),
            _ => None,
        }
    }
}

impl Memory for Bench {
    fn read(&mut self, address: u64, width: Width) -> Result<u64, Again> {
        let mut bytes = [0; 8];
        let data = &mut bytes[..width.bytes() as usize];
        if let Some(memory) = self.memory(address) {
            memory.read_slice(data, GuestAddress(address)).expect("it is there");
        } else if !self.edu.read(address, data) && !self.script.read(address, data) {
            data.fill(0xFF);
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&mut self, address: u64, width: Width, value: u64) -> Result<(), Again> {
        let bytes = value.to_le_bytes();
        let data = &bytes[..width.bytes() as usize];
        if let Some(memory) = self.memory(address) {
            memory.write_slice(data, GuestAddress(address)).expect("it is there");
        } else {
            self.edu.write(address, data);
            self.script.write(address, data);
        }
        Ok(())
    }
}

/// Both, asked the same.
struct Pair {
    real: Machine,
    simulated: Probe,
    bench: Bench,
}

impl Pair {
    fn boot(kvm: &Kvm) -> Self {
        let real = Machine::boot(kvm, VCPUS);
        real.edu.lock().unwrap().takes = Duration::ZERO;
        Self { real, simulated: Probe::new(VCPUS), bench: Bench::new() }
    }

    fn ask_both(&mut self, cpu: usize, command: Command) -> (Answer, Answer) {
        self.real.send(cpu, command);
        // An exception rings twice.
        let words = loop {
            if let (DOORBELL_NEXT, words) = self.real.wait(cpu) {
                break words;
            }
        };
        let real = command.decode_reply(&words).map_err(without_place);
        (real, to_its_end(self.simulated.start(cpu, command), &mut self.bench))
    }
}

fn to_its_end(mut job: Job, memory: &mut dyn Memory) -> Answer {
    loop {
        match job.step(memory) {
            Step::Went | Step::Sleeps(_) | Step::Again => {}
            Step::Over(answer) => return answer,
            Step::Halted => panic!("it was not asked to"),
        }
    }
}

/// Only a real CPU has an instruction pointer.
fn without_place(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Exception { vector, error, rip: _, cr2: _ } => {
            Refusal::Exception { vector, error, rip: 0, cr2: 0 }
        }
        other => other,
    }
}

fn address() -> impl Strategy<Value = u64> {
    let place = prop_oneof![
        4 => (0..SCRATCH_BYTES).prop_map(|offset| SCRATCH + offset),
        // Across its end, too.
        4 => (0..BAR_BYTES as u64 + 64).prop_map(|offset| BAR + offset),
        1 => (0..4096_u64).prop_map(|offset| NOBODY + offset),
        1 => (4..64_u64, 0..4096_u64).prop_map(|(gib, offset)| (gib << 30) + offset),
        1 => prop::sample::select(vec![OUTAGE, STOP, (4 << 30) - 8, 1 << 47, u64::MAX - 7]),
    ];
    // Most of them aligned: those that are not are only refused.
    (place, 0..8_u64).prop_map(|(address, odd)| if odd == 0 { address } else { address & !7 })
}

fn length() -> impl Strategy<Value = u64> {
    (0..512_u64, 0..8_u64).prop_map(|(length, odd)| if odd == 0 { length } else { length & !3 })
}

fn accesses() -> impl Strategy<Value = Command> {
    let width = prop::sample::select(vec![Width::One, Width::Two, Width::Four, Width::Eight]);
    // Few values, so that Verify finds some of what it looks for.
    let (pattern, step) = (0..3_u32, 0..2_u32);
    let walk = (address(), length(), pattern, step).boxed();
    prop_oneof![
        (address(), width.clone()).prop_map(|(address, width)| Command::Read { address, width }),
        (address(), width, any::<u64>()).prop_map(|(address, width, value)| Command::Write {
            address,
            width,
            value
        }),
        walk.clone().prop_map(|(address, length, pattern, step)| Command::Fill {
            address,
            length,
            pattern,
            step
        }),
        walk.prop_map(|(address, length, pattern, step)| Command::Verify { address, length, pattern, step }),
        (address(), address(), length()).prop_map(|(from, to, length)| Command::Copy { from, to, length }),
    ]
}

fn edu() -> impl Strategy<Value = Command> {
    let transfer = (any::<bool>(), any::<bool>(), 0..=EDU_BUFFER_BYTES, 0..2_u64);
    prop_oneof![
        3 => transfer.prop_map(|(to_memory, in_bar, length, page)| {
            let outside = if in_bar { BAR } else { SCRATCH } + page * 4096;
            let (source, destination, direction) = match to_memory {
                true => (EDU_BUFFER, outside, DmaDirection::ToMemory),
                false => (outside, EDU_BUFFER, DmaDirection::FromMemory),
            };
            Command::EduStart { edu_bar: EDU_BAR, source, destination, length, direction }
        }),
        2 => Just(Command::EduWait { edu_bar: EDU_BAR, max_ns: 4_000_000 }),
        1 => Just(Command::EduBusy { edu_bar: EDU_BAR }),
        1 => Just(Command::EduWait { edu_bar: NOBODY, max_ns: 2_000_000 }),
        1 => Just(Command::EduBusy { edu_bar: 1 << 47 }),
    ]
}

fn hammer(page: impl Strategy<Value = u64>) -> impl Strategy<Value = Command> {
    let stop_word = prop::sample::select(vec![0, 0, STOP, 4]);
    let pause_ns = prop::sample::select(vec![0, 0, 0, 0, 1000]);
    (page, stop_word, pause_ns, 1..600_u64, 0..2_u32, any::<u64>()).prop_map(
        |(page, stop_word, pause_ns, max_iterations, reset_value, seed)| Command::Hammer {
            page,
            outage_word: OUTAGE,
            stop_word,
            pause_ns,
            max_iterations,
            reset_value,
            seed,
        },
    )
}

/// Of words in the scratch memory, where fills leave outage words of any phase, and of the one that
/// a scripted page moves when it is read.
fn watch() -> impl Strategy<Value = Command> {
    let outage_word = prop_oneof![
        4 => (0..SCRATCH_BYTES / 8).prop_map(|word| SCRATCH + 8 * word),
        2 => Just(OUTAGE),
        1 => prop::sample::select(vec![0, SCRATCH + 4, 1 << 47]),
    ];
    let address = prop_oneof![3 => address(), 1 => Just(SCRIPTED_PAGE)];
    let bell = prop_oneof![1 => Just(0), 3 => address.clone()];
    let stop_word = prop::sample::select(vec![0, 0, STOP, SCRATCH, 4]);
    let pause_ns = prop::sample::select(vec![1000, 700, 1_000_000, 0]);
    (outage_word, address, bell, any::<u32>(), stop_word, pause_ns, 0..4_000_u64).prop_map(
        |(outage_word, address, bell, bell_value, stop_word, pause_ns, max_ns)| Command::Watch {
            outage_word,
            address,
            bell,
            bell_value,
            stop_word,
            pause_ns,
            max_ns,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => accesses(),
        3 => edu(),
        1 => hammer(prop::sample::select(vec![BAR, BAR + 0x1000, NOBODY, BAR + 8])),
        3 => watch(),
        1 => any::<u64>().prop_map(|value| Command::Echo { value }),
        1 => Just(Command::Cpus),
        1 => (0..100_000_u64).prop_map(|ns| Command::Sleep { ns }),
        1 => Just(Command::Trap),
    ]
}

/// How a scripted page answers an iteration, and what the outage word becomes.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// 0: the value written; 1: all ones; 2: the reset value; else what was written in the
    /// same cell so many walks before, or in another one.
    answer: u32,
    /// The outage word from then on, of a generation that hardly changes.
    word: u64,
}

/// Runs of the same phase, so that the same words stand before and after; any answers.
fn runs() -> impl Strategy<Value = Vec<Turn>> {
    let run = (0..9_u32, 0..6_u64, 1..100_usize);
    prop::collection::vec(run, 1..12).prop_map(|runs| {
        runs.into_iter().flat_map(|(answer, word, n)| vec![Turn { answer, word }; n]).collect()
    })
}

/// Walks through all cells, each in a phase, with the answers of that phase: what a cell can
/// hold depends on several of them.
fn walks() -> impl Strategy<Value = Vec<Turn>> {
    let phase = prop::sample::select(vec![PHASE_LIVE, PHASE_CLOSING, PHASE_OUT, PHASE_OUT, PHASE_OPENING]);
    prop::collection::vec((phase, 0..7_u32), 3..9).prop_map(|walks| {
        let turns = |(phase, drawn)| {
            let answer = match phase {
                PHASE_LIVE => 0,
                PHASE_OUT => 1,
                _ => drawn,
            };
            vec![Turn { answer, word: phase }; HAMMER_CELLS as usize]
        };
        walks.into_iter().flat_map(turns).collect()
    })
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop_oneof![1 => runs(), 3 => walks()]
}

fn script(turns: Vec<Turn>) -> common::script::Answer {
    Box::new(move |written| {
        let Turn { answer, word } = turns[written as usize % turns.len()];
        let answer = match answer {
            0 => written,
            1 => u32::MAX,
            2 => 0,
            3..=7 => written.wrapping_sub(64 * (answer - 2)),
            _ => written.wrapping_sub(65),
        };
        (answer, word)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn the_same_commands_get_the_same_replies_and_leave_the_same_bytes(
        commands in prop::collection::vec((0..VCPUS, command()), 100..200)
    ) {
        let Some(kvm) = kvm_or_skip() else { return Ok(()) };
        let mut pair = Pair::boot(&kvm);
        for (cpu, command) in commands {
            let (real, simulated) = pair.ask_both(cpu, command);
            prop_assert_eq!(real, simulated, "to {:?} on vCPU {}", command, cpu);
        }
        let mut bytes = [vec![0; SCRATCH_BYTES as usize], vec![0; SCRATCH_BYTES as usize]];
        for (memory, bytes) in [&pair.real.ram, &pair.bench.ram].into_iter().zip(&mut bytes) {
            memory.read_slice(bytes, GuestAddress(SCRATCH)).expect("RAM");
        }
        prop_assert!(bytes[0] == bytes[1], "the RAM differs");
        for offset in (0..BAR_BYTES as u64).step_by(4) {
            let word: u32 = pair.bench.bar.read_obj(GuestAddress(BAR + offset)).expect("the BAR's memory");
            prop_assert_eq!(pair.real.bar_word(offset), word, "the BAR differs at {:#x}", offset);
        }
    }

    #[test]
    fn hammering_is_judged_the_same(
        scripts in prop::collection::vec((turns(), hammer(Just(SCRIPTED_PAGE))), 60..100)
    ) {
        let Some(kvm) = kvm_or_skip() else { return Ok(()) };
        let mut pair = Pair::boot(&kvm);
        for (turns, command) in scripts {
            pair.real.script.lock().unwrap().answer = script(turns.clone());
            pair.bench.script.answer = script(turns);
            let (real, simulated) = pair.ask_both(0, command);
            prop_assert_eq!(real, simulated, "to {:?}", command);
        }
    }
}

/// The table is in RAM like any other, and so are some of the places in it.
#[test]
fn scribbling_meets_the_same_places_and_leaves_the_same_bytes() {
    const TABLE: u64 = 0x60_0000;
    let Some(kvm) = kvm_or_skip() else { return };
    let mut pair = Pair::boot(&kvm);
    let places: Vec<u64> = (0..32)
        .flat_map(|n| [SCRATCH + 8 * n, BAR + 4 * n + 0xffc, NOBODY + 12 * n, NOBODY + 0xfff0 + n])
        .collect();
    for ram in [&pair.real.ram, &pair.bench.ram] {
        for (at, place) in (0..).zip(&places) {
            ram.write_obj([*place, place ^ 0x5555], GuestAddress(TABLE + 16 * at)).expect("RAM");
        }
    }
    let command = |entries, accesses, seed, ecam, stop_word| Command::Scribble {
        table: TABLE,
        entries,
        accesses,
        seed,
        ecam,
        stop_word,
    };
    let most = places.len() as u64;
    for seed in 0..8 {
        let ecam = if seed % 2 == 0 { NOBODY } else { 0 };
        let (real, simulated) = pair.ask_both(0, command(most, 2000, seed, ecam, STOP));
        assert_eq!(real, simulated, "seed {seed}");
        let Ok(Reply::Scribbled(counts)) = real else { panic!("{real:?}") };
        assert_eq!((counts.accesses, counts.stopped, counts.ports > 0), (2000, false, ecam != 0));
        assert!(counts.ones > 0 && counts.reads > counts.ones && counts.writes > 0, "{counts:?}");
    }
    let mut bytes = [vec![0; 512], vec![0; 512]];
    for (memory, bytes) in [&pair.real.ram, &pair.bench.ram].into_iter().zip(&mut bytes) {
        memory.read_slice(bytes, GuestAddress(SCRATCH)).expect("RAM");
    }
    assert!(bytes[0] == bytes[1], "the RAM differs");
    assert!(bytes[0].iter().any(|byte| *byte != 0), "nothing was written");
    for offset in (0..BAR_BYTES as u64).step_by(4) {
        let word: u32 = pair.bench.bar.read_obj(GuestAddress(BAR + offset)).expect("the BAR's memory");
        assert_eq!(pair.real.bar_word(offset), word, "the BAR differs at {offset:#x}");
    }
    for ram in [&pair.real.ram, &pair.bench.ram] {
        ram.write_obj(1_u64, GuestAddress(STOP)).expect("RAM");
        ram.write_obj(4_u64 << 30, GuestAddress(TABLE + 16 * 4)).expect("RAM");
    }
    for command in
        [command(4, 9, 1, 0, STOP), command(5, 9, 1, 0, 0), command(0, 9, 1, 0, 0), command(4097, 9, 1, 0, 0)]
    {
        let (real, simulated) = pair.ask_both(1, command);
        assert_eq!(real, simulated, "to {command:?}");
    }
}

#[test]
fn page_tables_run_out_at_the_same_address() {
    let Some(kvm) = kvm_or_skip() else { return };
    let mut pair = Pair::boot(&kvm);
    let mut refused = 0;
    // As far as the narrowest real CPU's physical addresses go.
    for gib in (4..20).chain((20..512).step_by(20)).chain([4, 19, 511]) {
        let (real, simulated) = pair.ask_both(1, Command::Read { address: gib << 30, width: Width::Four });
        assert_eq!(real, simulated, "at {gib} GiB");
        refused += u32::from(real == Err(Refusal::NoPageTables));
    }
    assert!(refused > 0, "they did not run out");
}

#[test]
fn a_halted_vcpu_gives_no_reply() {
    let mut halt = Probe::new(1).start(0, Command::Halt);
    let mut bench = Bench::new();
    assert_eq!([halt.step(&mut bench), halt.step(&mut bench)], [Step::Halted; 2]);
}

#[test]
fn an_access_that_did_not_take_place_is_tried_again() {
    /// Each access takes place only when tried for the fourth time.
    struct Late(u32, Bench);
    impl Late {
        fn tried(&mut self) -> Result<(), Again> {
            self.0 = (self.0 + 1) % 4;
            if self.0 == 0 { Ok(()) } else { Err(Again) }
        }
    }
    impl Memory for Late {
        fn read(&mut self, address: u64, width: Width) -> Result<u64, Again> {
            self.tried()?;
            self.1.read(address, width)
        }

        fn write(&mut self, address: u64, width: Width, value: u64) -> Result<(), Again> {
            self.tried()?;
            self.1.write(address, width, value)
        }
    }
    let mut memory = Late(0, Bench::new());
    let mut probe = Probe::new(1);
    let mut again = 0;
    let mut ask = |command| {
        let mut job = probe.start(0, command);
        loop {
            match job.step(&mut memory) {
                Step::Over(reply) => return reply,
                Step::Again => again += 1,
                Step::Went => {}
                step @ (Step::Halted | Step::Sleeps(_)) => panic!("{step:?}"),
            }
        }
    };
    let (length, pattern, step) = (64, 7, 3);
    ask(Command::Fill { address: SCRATCH, length, pattern, step }).unwrap();
    ask(Command::Copy { from: SCRATCH, to: BAR, length }).unwrap();
    let verified = ask(Command::Verify { address: BAR, length, pattern, step });
    assert_eq!(verified, Ok(Reply::Verified { mismatch: None }));
    let hammer = Command::Hammer {
        page: BAR,
        outage_word: OUTAGE,
        stop_word: 0,
        pause_ns: 0,
        max_iterations: 100,
        reset_value: 0,
        seed: 1,
    };
    let Ok(Reply::Hammered(counts)) = ask(hammer) else { panic!("it was refused") };
    assert_eq!((counts.iterations, counts.live_ok), (100, 100));
    assert_eq!(again, 3 * (16 + 32 + 16 + 400));
}
