//! The threads: two vCPUs, each handling the events it causes, and one that is no part of the VMM
//! or goes past the keeper.

use crate::print::{Printed, Printer, hash};
use barkeep_export::{Cause, Step};
use barkeep_model::kernel::{Exchange, Task};
use barkeep_pci::write::ConfigWrite;
use std::hash::Hash;

/// The vCPUs' threads come first.
pub(crate) const OUTSIDER: usize = 2;

/// What a thread is at.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Nothing.
    Idle,
    /// Waits for its turn at the device.
    Waiting(Turn),
    /// Drives the device's keeper.
    Event(Cause, Act),
    /// A config write that is no concern of the keeper's.
    Plain(ConfigWrite, Act),
    /// A call of somebody else, or one that closes a dma-buf; whether it may revoke unseen.
    Call(Task, bool),
}

/// What a thread waits to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    /// The guest's write: what it does is asked when its turn has come.
    Write(ConfigWrite),
    /// An event.
    Event(Cause),
}

/// What of a step is under way.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most of the time a call is under way")]
pub(crate) enum Act {
    /// The next step is to be asked for.
    Next,
    /// A call of it is under way.
    Call { step: Step, task: Task },
    /// A config write is done and not yet remembered.
    Remember,
    /// COMMAND was read, PMCSR not yet.
    HalfRead(u16),
}

/// A thread, and the device it is concerned with.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) device: usize,
    pub(crate) work: Work,
}

impl Thread {
    pub(crate) const IDLE: Self = Self { device: 0, work: Work::Idle };

    pub(crate) fn idle(&self) -> bool {
        matches!(self.work, Work::Idle)
    }

    /// The call it is in.
    pub(crate) fn task(&self) -> Option<&Task> {
        match &self.work {
            Work::Event(_, Act::Call { task, .. })
            | Work::Plain(_, Act::Call { task, .. })
            | Work::Call(task, _) => Some(task),
            Work::Idle | Work::Waiting(_) | Work::Event(..) | Work::Plain(..) => None,
        }
    }
}

impl Printed for Thread {
    fn print(&self, by: Option<&Exchange>, printer: &mut Printer) {
        if self.idle() {
            hash(&0u8, printer);
            return;
        }
        let device = by.map_or(self.device, |by| by.device(self.device));
        hash(&device, printer);
        match &self.work {
            Work::Idle => {}
            Work::Waiting(turn) => (1u8, turn).hash(printer),
            // The keeper knows its cause.
            Work::Event(cause, act) => {
                (2u8, cause.passage).hash(printer);
                act.print(by, printer);
            }
            Work::Plain(write, act) => {
                (3u8, write).hash(printer);
                act.print(by, printer);
            }
            Work::Call(task, unseen) => {
                (4u8, unseen).hash(printer);
                print_task(task, by, printer);
            }
        }
    }
}

impl Act {
    fn print(&self, by: Option<&Exchange>, printer: &mut Printer) {
        match self {
            Self::Next => hash(&0u8, printer),
            Self::Call { step, task } => {
                (1u8, step).hash(printer);
                print_task(task, by, printer);
            }
            Self::Remember => hash(&2u8, printer),
            Self::HalfRead(command) => (3u8, command).hash(printer),
        }
    }
}

/// A task is exchanged as such; the printer would exchange its addresses a second time, so it
/// goes into a hash of its own.
fn print_task(task: &Task, by: Option<&Exchange>, printer: &mut Printer) {
    let mut own = Printer::new(None);
    match by {
        Some(by) => by.task(task).hash(&mut own),
        None => task.hash(&mut own),
    }
    hash(&own.print(), printer);
}
