// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The served probe without a CPU: every command, carried out access by access on whatever
//! memory it is given, with the replies the C probe gives.
//!
//! Whoever runs it decides what comes between any two accesses: [`Job::step`] takes one vCPU's
//! command to its next one. So all the interleavings of two vCPUs, and of a vCPU with a device,
//! can be had on one thread, and had again.
//!
//! `guest-kernel/probe` is what this follows, and `tests/simulated_is_the_probe.rs` holds the
//! two against each other. They differ where there is no CPU: [`Command::Trap`] tells no
//! instruction's address, and the local APIC's page is memory like any other.

mod hammer;
mod paging;
mod scribble;
mod watch;
mod work;

use crate::{Command, Refusal, Reply, Width};
use paging::Paging;
use work::{Progress, Work};

/// What a vCPU's accesses meet. Addresses are guest physical.
pub trait Memory {
    /// Reads; bytes above the width are 0.
    ///
    /// # Errors
    /// The access did not take place.
    fn read(&mut self, address: u64, width: Width) -> Result<u64, Again>;

    /// Writes the low bytes of `value`.
    ///
    /// # Errors
    /// The access did not take place.
    fn write(&mut self, address: u64, width: Width, value: u64) -> Result<(), Again>;

    /// Reads an I/O port, in 1, 2 or 4 bytes. Where there are none nobody answers.
    ///
    /// # Errors
    /// The access did not take place.
    fn port_read(&mut self, _port: u16, width: Width) -> Result<u64, Again> {
        Ok(width.all_ones())
    }

    /// Writes the low bytes of `value` to one.
    ///
    /// # Errors
    /// The access did not take place.
    fn port_write(&mut self, _port: u16, _width: Width, _value: u64) -> Result<(), Again> {
        Ok(())
    }
}

/// An access did not take place, and is to be tried again: the next step of that vCPU does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again;

/// How far a step took a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// On, by one access at the most.
    Went,
    /// Its access did not take place.
    Again,
    /// Its vCPU sleeps for so many nanoseconds: the next step must not come before.
    Sleeps(u64),
    /// It is over.
    Over(Result<Reply, Refusal>),
    /// Its vCPU has stopped for good, without a reply.
    Halted,
}

/// What the vCPUs of a probe share.
#[derive(Debug, Clone)]
pub struct Probe {
    vcpus: usize,
    paging: Paging,
}

/// A command on a vCPU.
#[derive(Debug, Clone)]
pub struct Job {
    halts: bool,
    work: Work,
}

impl Probe {
    /// A probe just booted, all of its vCPUs up.
    pub fn new(vcpus: usize) -> Self {
        Self { vcpus, paging: Paging::default() }
    }

    /// Begins a command on a vCPU. One at a time: the probe takes the next one when it has
    /// answered the last.
    pub fn start(&mut self, vcpu: usize, command: Command) -> Job {
        let halts = command == Command::Halt;
        Job { halts, work: Work::new(command, &mut self.paging, self.vcpus as u64, vcpu as u64) }
    }
}

impl Job {
    /// Takes it on, by one access at the most.
    pub fn step(&mut self, memory: &mut dyn Memory) -> Step {
        if self.halts {
            return Step::Halted;
        }
        match self.work.step(memory) {
            Ok(Progress::Went) => Step::Went,
            Ok(Progress::Sleeps(ns)) => Step::Sleeps(ns),
            Ok(Progress::Over(reply)) => Step::Over(reply),
            Err(Again) => Step::Again,
        }
    }
}
