//! The guest's CPUs. An access goes to RAM, to the slot that is there at this moment, or to the
//! bus as an MMIO exit; on EFAULT they do what `barkeep-vmm`'s do.

use super::slots::Slots;
use super::timeline::{Others, Timeline};
use crate::clock::Clock;
use barkeep_export::{Errno, Function};
use barkeep_journal::{Actor, Event, Kind};
use barkeep_planted::{Fault, is_planted};
use barkeep_platform::console::Ends;
use barkeep_platform::efault::{self, Efaults};
use barkeep_platform::{Board, Bus};
use barkeep_probe::simulated::{Again, Job, Memory, Probe, Step};
use barkeep_probe::{Command, Refusal, Reply, Width};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vm_memory::{Bytes, GuestAddress};

/// What a step takes: an access to memory, or the work between two. No measurement; only that
/// time goes on, and that an exit is dear.
const STEP_NS: u64 = 100;
/// What an exit to the VMM takes, besides what is done there.
const EXIT_NS: u64 = 2_000;
/// After that much time a vCPU that met a lock of the kernel's looks again.
const LOOK_AGAIN_NS: u64 = 10_000;

/// What a command came to.
pub type Answer = Result<Reply, Refusal>;

/// What a vCPU is at.
#[derive(Default)]
enum Doing {
    /// It has no command.
    #[default]
    Waiting,
    /// It can go on.
    Busy(Job),
    /// It can from then on, nanoseconds.
    Sleeping(u64, Job),
    /// It can once an event is over.
    Held(Hold, Job),
    /// In the middle of an access, perhaps in the kernel.
    Away,
    /// It has answered.
    Answered(Answer),
    /// It has stopped for good.
    Halted,
}

/// The event a vCPU has to wait for, where one of `barkeep-vmm`'s would wait in the driver.
#[derive(Clone, Copy)]
enum Hold {
    /// The one of a device.
    Of(u16),
    /// That of every device.
    OfAny,
    /// None of the driver's: a call under way has a lock that the access needs.
    Lock,
    /// None that comes: its thread has ended, by a planted fault.
    Ended,
}

#[derive(Default)]
struct Vcpu {
    doing: Doing,
    faults: Faults,
}

/// What a vCPU has met. While it is away its own copy counts: nobody else's step touches it.
#[derive(Clone, Copy, Default)]
struct Faults {
    efaults: Efaults,
    /// Every device is to be looked at anew before its next access.
    suspects: bool,
}

struct State {
    probe: Probe,
    vcpus: Vec<Vcpu>,
}

/// A guest that is the probe.
pub struct Guest {
    board: Arc<Board>,
    bus: Bus,
    slots: Arc<Slots>,
    state: Mutex<State>,
}

impl Guest {
    /// A guest of so many vCPUs, each waiting for its first command. `slots` are the board's.
    pub fn new(board: Arc<Board>, slots: Arc<Slots>, vcpus: u16, console: Box<dyn Write + Send>) -> Self {
        // Commands and answers need no doorbell here.
        let bus = board.bus(None, Ends { output: console, line: None });
        let vcpus: Vec<Vcpu> = std::iter::repeat_with(Vcpu::default).take(vcpus.into()).collect();
        let state = Mutex::new(State { probe: Probe::new(vcpus.len()), vcpus });
        Self { board, bus, slots, state }
    }

    /// The devices.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Gives a vCPU a command; false, and nothing happens, if it is not there, has one, or was
    /// halted.
    pub fn start(&self, vcpu: usize, command: Command) -> bool {
        let State { probe, vcpus } = &mut *self.state();
        match vcpus.get_mut(vcpu) {
            Some(Vcpu { doing: doing @ Doing::Waiting, .. }) => {
                *doing = Doing::Busy(probe.start(vcpu, command));
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes the answer of a vCPU, once it is there.
    pub fn answer(&self, vcpu: usize) -> Option<Answer> {
        let mut state = self.state();
        let doing = &mut state.vcpus.get_mut(vcpu)?.doing;
        match *doing {
            Doing::Answered(answer) => {
                *doing = Doing::Waiting;
                Some(answer)
            }
            Doing::Waiting
            | Doing::Busy(_)
            | Doing::Sleeping(..)
            | Doing::Held(..)
            | Doing::Away
            | Doing::Halted => None,
        }
    }

    /// Whether a vCPU is at a command, or has answered one.
    pub fn has_command(&self, vcpu: usize) -> bool {
        let state = self.state();
        let doing = state.vcpus.get(vcpu).map(|vcpu| &vcpu.doing);
        doing.is_some_and(|doing| !matches!(doing, Doing::Waiting | Doing::Halted))
    }

    /// Resets the CPUs and what is emulated for them, wherever they are: each waits for its first
    /// command again.
    ///
    /// No access may be under way: whoever calls this is not in the middle of one.
    pub fn stop(&self) {
        let mut state = self.state();
        debug_assert!(state.vcpus.iter().all(|vcpu| !matches!(vcpu.doing, Doing::Away)));
        let vcpus = state.vcpus.len();
        state.probe = Probe::new(vcpus);
        state.vcpus.iter_mut().for_each(|vcpu| *vcpu = Vcpu::default());
        drop(state);
        self.bus.reset();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self, hold: Hold) -> bool {
        match hold {
            Hold::Of(device) => !self.board.driver().busy(device),
            Hold::OfAny => !efault::any_busy(self.board.driver()),
            Hold::Lock => true,
            Hold::Ended => false,
        }
    }

    /// One of those who can go on, now away.
    fn pick(&self, timeline: &Timeline) -> Option<(usize, Faults, Job)> {
        let mut state = self.state();
        let can = |vcpu: &Vcpu| match &vcpu.doing {
            Doing::Busy(_) => true,
            Doing::Sleeping(until, _) => *until <= timeline.now(),
            Doing::Held(hold, _) => self.over(*hold),
            Doing::Waiting | Doing::Away | Doing::Answered(_) | Doing::Halted => false,
        };
        let candidates = || state.vcpus.iter().enumerate().filter(|(_, vcpu)| can(vcpu)).map(|(n, _)| n);
        let n = match candidates().count() {
            0 => return None,
            1 => candidates().next()?,
            several => candidates().nth(timeline.draw(several))?,
        };
        let vcpu = &mut state.vcpus[n];
        match std::mem::replace(&mut vcpu.doing, Doing::Away) {
            Doing::Busy(job) | Doing::Sleeping(_, job) | Doing::Held(_, job) => Some((n, vcpu.faults, job)),
            Doing::Waiting | Doing::Away | Doing::Answered(_) | Doing::Halted => None,
        }
    }
}

impl Others for Guest {
    fn turn(&self, timeline: &Timeline) -> Option<u64> {
        let (number, faults, mut job) = self.pick(timeline)?;
        let mut access = Access { guest: self, timeline, vcpu: number, faults, ns: STEP_NS, hold: None };
        // Without the lock: an access may wait, and then the others go on.
        let step = job.step(&mut access);
        let Access { faults, ns, hold, .. } = access;
        let doing = match (step, hold) {
            (Step::Again, Some(Hold::Lock)) => Doing::Sleeping(timeline.now() + LOOK_AGAIN_NS, job),
            (Step::Again, Some(hold)) => Doing::Held(hold, job),
            (Step::Went | Step::Again, _) => Doing::Busy(job),
            (Step::Sleeps(time), _) => Doing::Sleeping(timeline.now() + time, job),
            (Step::Over(answer), _) => Doing::Answered(answer),
            (Step::Halted, _) => Doing::Halted,
        };
        self.state().vcpus[number] = Vcpu { doing, faults };
        Some(ns)
    }

    fn wakes(&self) -> Option<u64> {
        let state = self.state();
        let until = |vcpu: &Vcpu| match vcpu.doing {
            Doing::Sleeping(until, _) => Some(until),
            Doing::Waiting
            | Doing::Busy(_)
            | Doing::Held(..)
            | Doing::Away
            | Doing::Answered(_)
            | Doing::Halted => None,
        };
        state.vcpus.iter().filter_map(until).min()
    }
}

/// One access of one vCPU.
struct Access<'a> {
    guest: &'a Guest,
    timeline: &'a Timeline,
    vcpu: usize,
    faults: Faults,
    /// What it takes.
    ns: u64,
    /// What it has to wait for.
    hold: Option<Hold>,
}

impl Access<'_> {
    fn held(&mut self, hold: Hold) -> Again {
        self.hold = Some(hold);
        Again
    }

    /// What is due before any access.
    fn begin(&mut self) -> Result<(), Again> {
        if !self.faults.suspects {
            return Ok(());
        }
        if !self.guest.over(Hold::OfAny) {
            return Err(self.held(Hold::OfAny));
        }
        self.faults.suspects = false;
        efault::suspect_all(self.vcpu as u16, self.guest.board.driver());
        Ok(())
    }

    /// What becomes of an access to memory, or to what is behind a slot.
    fn outcome(&mut self, memory: Result<(), Errno>) -> Result<(), Again> {
        match memory {
            Ok(()) => {
                self.faults.efaults.over();
                Ok(())
            }
            // A page fault waits for the lock.
            Err(Errno::DEADLK) => Err(self.held(Hold::Lock)),
            Err(_) if is_planted(Fault::EfaultFatal) => {
                let event = Event::new(Kind::Degraded, Actor::Vcpu).index(self.vcpu as u16);
                self.guest.board.journal().emit(event.text("vCPU ended: KVM_RUN failed: EFAULT"));
                Err(self.held(Hold::Ended))
            }
            Err(_) => {
                self.ns = EXIT_NS;
                let board = &self.guest.board;
                let met = self.faults.efaults.met(self.vcpu as u16, board.driver(), board.journal());
                self.faults.suspects = met;
                Err(Again)
            }
        }
    }

    /// An exit of its own, unless what it asks for would have to wait: config writes for an
    /// event of the device, and everything for a call that is no event of the driver's.
    fn exit(&mut self, address: u64, writes: bool) -> Result<(), Again> {
        let bus = &self.guest.bus;
        let config = bus.config_device(address);
        self.exit_to(config, config.or_else(|| bus.bar_device(address)), writes)
    }

    /// The same for a port.
    fn port_exit(&mut self, port: u16, writes: bool) -> Result<(), Again> {
        self.begin()?;
        let config = self.guest.bus.config_device_at_port(port);
        self.exit_to(config, config, writes)
    }

    /// `config` is the device whose config space is accessed, `device` the one that anything of is.
    fn exit_to(&mut self, config: Option<u16>, device: Option<u16>, writes: bool) -> Result<(), Again> {
        self.outcome(Ok(()))?;
        if let Some(device) = config.filter(|_| writes)
            && !self.guest.over(Hold::Of(device))
        {
            return Err(self.held(Hold::Of(device)));
        }
        let board = &self.guest.board;
        if let Some(device) = device
            && !board.driver().busy(device)
            && self.timeline.locked(board.function(device).address())
        {
            return Err(self.held(Hold::Lock));
        }
        self.ns = EXIT_NS;
        Ok(())
    }
}

/// Bytes of an access that are in its first page: KVM makes two of one that goes on in the next
/// (`emulator_read_write`).
fn in_page(address: u64, len: usize) -> usize {
    const PAGE: u64 = 4096;
    len.min((PAGE - address % PAGE) as usize)
}

fn pages(address: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (low, high) = data.split_at(in_page(address, data.len()));
    [(address, low), (address + low.len() as u64, high)].into_iter().filter(|(_, part)| !part.is_empty())
}

impl Memory for Access<'_> {
    fn read(&mut self, address: u64, width: Width) -> Result<u64, Again> {
        self.begin()?;
        let mut bytes = [0; 8];
        let data = &mut bytes[..width.bytes() as usize];
        let guest = self.guest;
        if guest.board.ram().memory().read_slice(data, GuestAddress(address)).is_ok() {
            self.outcome(Ok(()))?;
        } else if let Some((memory, offset)) = guest.slots.find(address) {
            self.outcome(memory.read(offset, data))?;
        } else {
            self.exit(address, false)?;
            let first = in_page(address, data.len());
            let (low, high) = data.split_at_mut(first);
            guest.bus.mmio_read(address, low);
            if !high.is_empty() {
                guest.bus.mmio_read(address + first as u64, high);
            }
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&mut self, address: u64, width: Width, value: u64) -> Result<(), Again> {
        self.begin()?;
        let bytes = value.to_le_bytes();
        let data = &bytes[..width.bytes() as usize];
        let guest = self.guest;
        if guest.board.ram().memory().write_slice(data, GuestAddress(address)).is_ok() {
            return self.outcome(Ok(()));
        }
        if let Some((memory, offset)) = guest.slots.find(address) {
            return self.outcome(memory.write(offset, data));
        }
        self.exit(address, true)?;
        for (at, part) in pages(address, data) {
            guest.bus.mmio_write(at, part, self.vcpu as u16);
        }
        Ok(())
    }

    fn port_read(&mut self, port: u16, width: Width) -> Result<u64, Again> {
        self.port_exit(port, false)?;
        let mut bytes = [0; 8];
        self.guest.bus.port_read(port, &mut bytes[..width.bytes() as usize]);
        Ok(u64::from_le_bytes(bytes))
    }

    fn port_write(&mut self, port: u16, width: Width, value: u64) -> Result<(), Again> {
        self.port_exit(port, true)?;
        let bytes = value.to_le_bytes();
        // Nothing at these ports stops a vCPU while the guest is the probe.
        let _ = self.guest.bus.port_write(port, &bytes[..width.bytes() as usize], self.vcpu as u16);
        Ok(())
    }
}
