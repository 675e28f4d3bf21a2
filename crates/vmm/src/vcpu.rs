//! One vCPU: runs it, answers its exits, and survives whatever a guest makes of a BAR that
//! is not there.

use crate::gate::{Asked, Gate};
use crate::registers::Registers;
use barkeep_export::Driver;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_planted::{Fault, is_planted};
use barkeep_platform::efault::{self, Efaults};
use barkeep_platform::power::Wish;
use barkeep_platform::{Bus, Flow};
use kvm_ioctls::{VcpuExit, VcpuFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vmm_sys_util::errno;

/// `KVM_EXIT_INTERNAL_ERROR` this often in a row: an instruction KVM cannot emulate and the
/// guest does not get over.
const INTERNAL_ERRORS_BORNE: u64 = 64;

/// How a vCPU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VcpuEnd {
    /// Asked to.
    Stopped,
    /// The guest asked its machine for something.
    Asked(Wish),
    /// The guest did something that ends it.
    GuestEnd(String),
    /// KVM failed in a way nothing can be made of.
    Failed(String),
}

/// A vCPU and what it acts on.
pub struct Vcpu {
    fd: VcpuFd,
    index: u16,
    bus: Arc<Bus>,
    driver: Arc<Driver>,
    journal: Journal,
    stop: Arc<AtomicBool>,
    reset: Reset,
    faults: Efaults,
    internal_errors: u64,
}

/// What a vCPU needs to be reset.
pub(crate) struct Reset {
    /// Where it waits meanwhile.
    pub gate: Arc<Gate>,
    /// What it begins with again.
    pub registers: Registers,
}

/// What an exit means for the loop, with the borrow of the vCPU given back.
enum Next {
    Resume,
    /// The gate is closed.
    Stop,
    Fault,
    InternalError,
    End(VcpuEnd),
}

impl Vcpu {
    /// A vCPU that runs until `stop` is set and it is kicked.
    pub(crate) fn new(
        fd: VcpuFd,
        index: u16,
        bus: Arc<Bus>,
        driver: Arc<Driver>,
        journal: Journal,
        stop: Arc<AtomicBool>,
        reset: Reset,
    ) -> Self {
        let faults = Efaults::default();
        Self { fd, index, bus, driver, journal, stop, reset, faults, internal_errors: 0 }
    }

    /// Runs it to its end.
    pub fn run(mut self) -> VcpuEnd {
        loop {
            if self.stop.load(Ordering::Acquire) {
                return VcpuEnd::Stopped;
            }
            let next = self.run_once();
            if !matches!(next, Next::Fault) {
                self.faults.over();
            }
            if !matches!(next, Next::InternalError) {
                self.internal_errors = 0;
            }
            match next {
                Next::Resume => {}
                Next::Stop => {
                    if let Err(error) = self.at_the_gate() {
                        return VcpuEnd::Failed(format!("KVM cannot reset it: {error}"));
                    }
                }
                Next::Fault => {
                    if self.faults.met(self.index, &self.driver, &self.journal) {
                        efault::suspect_all(self.index, &self.driver);
                    }
                }
                Next::InternalError => {
                    if let Some(end) = self.after_internal_error() {
                        return end;
                    }
                }
                Next::End(end) => return end,
            }
        }
    }

    /// Does what the closed gate asks for.
    fn at_the_gate(&mut self) -> Result<(), errno::Error> {
        match self.reset.gate.asks() {
            Asked::Nothing => Ok(()),
            Asked::Reset => self.begin_again(),
            Asked::Wait => {
                self.reset.gate.wait();
                // So that the guest's watchdogs do not take the time for their own. EINVAL: it has no such clock.
                let _ = self.fd.kvmclock_ctrl();
                Ok(())
            }
        }
    }

    /// Waits until the machine has been reset, and begins with what it began with.
    fn begin_again(&mut self) -> Result<(), errno::Error> {
        self.complete_access();
        // Before the wait: from here on it holds up nobody, and nothing of it is left.
        self.reset.registers.restore(&self.fd)?;
        self.faults = Efaults::default();
        self.internal_errors = 0;
        self.reset.gate.pass();
        Ok(())
    }

    /// KVM finishes an access that came out as an exit only when it is entered again, and would do it
    /// with the registers of then (Documentation/virt/kvm/api.rst, KVM_RUN): entered without
    /// running an instruction. An access of several parts comes out once for each.
    fn complete_access(&mut self) {
        /// More parts than any access has.
        const PARTS: usize = 64;
        self.fd.set_kvm_immediate_exit(1);
        for _ in 0..PARTS {
            if self.fd.run().is_err() {
                break;
            }
        }
        self.fd.set_kvm_immediate_exit(0);
    }

    fn run_once(&mut self) -> Next {
        let (bus, index) = (&self.bus, self.index);
        if !self.reset.gate.enter(index) {
            return Next::Stop;
        }
        let ran = self.fd.run();
        // Before the exit is looked at: what it asks for may take a reset's time, and is outside of the guest.
        self.reset.gate.leave(index);
        let exit = match ran {
            Ok(exit) => exit,
            Err(error) => return Self::run_error(error),
        };
        match exit {
            VcpuExit::MmioRead(address, bytes) => bus.mmio_read(address, bytes),
            VcpuExit::MmioWrite(address, bytes) => bus.mmio_write(address, bytes, index),
            VcpuExit::IoIn(port, bytes) => bus.port_read(port, bytes),
            VcpuExit::IoOut(port, bytes) => match bus.port_write(port, bytes, index) {
                Flow::Resume => {}
                Flow::Stop => return Next::End(VcpuEnd::Stopped),
                Flow::Asks(wish) => return Next::End(VcpuEnd::Asked(wish)),
                Flow::GuestEnd(why) => return Next::End(VcpuEnd::GuestEnd(why.into())),
            },
            // A fault with an address, where KVM says so instead of EFAULT.
            VcpuExit::MemoryFault { .. } => return Next::Fault,
            VcpuExit::InternalError => return Next::InternalError,
            VcpuExit::Intr | VcpuExit::Hlt | VcpuExit::IrqWindowOpen => {}
            VcpuExit::Shutdown => return Next::End(VcpuEnd::GuestEnd("triple fault".into())),
            VcpuExit::SystemEvent(kind, _) => {
                return Next::End(VcpuEnd::GuestEnd(format!("system event {kind}")));
            }
            VcpuExit::FailEntry(reason, _) => {
                return Next::End(VcpuEnd::Failed(format!(
                    "the CPU refused to enter the guest, reason {reason:#x}"
                )));
            }
            other => return Next::End(VcpuEnd::Failed(format!("an exit nobody asked for: {other:?}"))),
        }
        Next::Resume
    }

    fn run_error(error: errno::Error) -> Next {
        const EINTR: i32 = 4;
        const EAGAIN: i32 = 11;
        const EFAULT: i32 = 14;
        match error.errno() {
            EINTR | EAGAIN => Next::Resume,
            EFAULT if !is_planted(Fault::EfaultFatal) => Next::Fault,
            _ => Next::End(VcpuEnd::Failed(format!("KVM_RUN failed: {error}"))),
        }
    }

    /// KVM could not emulate an instruction at an MMIO exit (AVX, some string and LOCK
    /// forms, code or page tables in a revoked BAR) and has queued #UD: the guest's affair.
    fn after_internal_error(&mut self) -> Option<VcpuEnd> {
        self.internal_errors += 1;
        let event =
            Event::new(Kind::VcpuInternalError, Actor::Vcpu).index(self.index).value(self.internal_errors);
        self.journal.emit(event);
        (self.internal_errors > INTERNAL_ERRORS_BORNE)
            .then(|| VcpuEnd::GuestEnd("an instruction that cannot be emulated, over and over".into()))
    }
}
