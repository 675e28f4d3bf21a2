//! What a transition did, for invariants that are about transitions, and for the words of a trace.

use crate::action::Action;
use barkeep_export::{Cause, Found, Step};
use barkeep_model::kernel::Section;
use barkeep_model::{Errno, RuleSet};

/// One transition.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) thread: usize,
    pub(crate) device: usize,
    /// The action that began with it.
    pub(crate) action: Option<Action>,
    /// The event that the keeper took on with it.
    pub(crate) cause: Option<Cause>,
    pub(crate) what: What,
    /// What a step of the keeper's came to with it.
    pub(crate) answer: Option<(Step, Result<u64, Errno>)>,
    /// The rules of the specification that decided something with it, or before.
    pub(crate) reached: RuleSet,
}

/// The part that others can see.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Nothing yet: the thread waits for another event of the device.
    Waits,
    /// A memory slot was taken away or put in.
    Slot { window: usize, address: u64, put: bool },
    /// A step's call, or somebody else's, entered the kernel.
    Entered(Option<Step>),
    /// A section of a call was done.
    Section(Section),
    /// COMMAND was read.
    ReadCommand,
    /// The registers were found out.
    Found(Option<Found>),
    /// What was written is remembered.
    Remembered,
}
