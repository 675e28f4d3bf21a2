//! What a VMM has of one device: the keeper, the registers it remembers, its slots and
//! descriptors. The driver's station, without its locks.

use crate::kept::Kept;
use crate::print::{Printed, Printer, hash};
use barkeep_export::Shadow;
use barkeep_model::kernel::Exchange;
use std::hash::Hash;

/// Whether something happened to the device that its keeper was not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unseen {
    /// Nothing.
    No,
    /// Something did.
    Yes,
    /// Something did, and an event is being handled that makes up for it.
    Answered,
}

/// One device in the VMM.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    pub(crate) kept: Kept,
    pub(crate) shadow: Shadow,
    /// For each window, the guest physical address of its memory slot: what KVM has.
    pub(crate) slots: [Option<u64>; 2],
    /// The VMM has the device file open.
    pub(crate) open: bool,
    /// For each window, whether the VMM has its dma-buf open.
    pub(crate) buffers: [bool; 2],
    /// Somebody else has the device file open too.
    pub(crate) shared: bool,
    /// A thread drives the keeper.
    pub(crate) busy: bool,
    pub(crate) unseen: Unseen,
}

impl Printed for Station {
    fn print(&self, by: Option<&Exchange>, printer: &mut Printer) {
        let Self { kept, shadow, slots, open, buffers, shared, busy, unseen } = self;
        let registers = shadow.registers();
        (registers.command, registers.pmcsr, shadow.seen_on(), shadow.low_power()).hash(printer);
        for register in shadow.bars() {
            hash(&by.map_or(*register, |by| by.register(*register)), printer);
        }
        (kept, slots, open, buffers, shared, busy, unseen).hash(printer);
    }
}
