//! What was asked and what was answered, as lines of JSON.
//!
//! | line | says |
//! |---|---|
//! | `{"barkeep_conform":2,"seed":…,"kernel":…,"abilities":…,"hardware":…}` | the first: what all the others are about |
//! | `{"episode":N,"operations":M}` | the next M lines are those of episode N |
//! | `{"op":{…},"answer":…,"seen":{…}}` | one operation; `seen` is left out where it is as it was after the line before (in an episode's first: nothing) |
//! | `{"end":N}` | the last: N episodes, all there |
//!
//! The operations stand there in full, so a recording means the same to a Barkeep whose seeds mean
//! other operations. A recording without its last line ends where whoever wrote it died.

mod lines;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use crate::machine::{HardwareError, Machine};
use barkeep_model::{Abilities, Answer, Hardware, Op, Seen};
use serde::{Deserialize, Serialize};

pub use reader::{Damage, Episodes, Why, read};
pub use writer::Writer;

/// The version of the recordings this crate writes and reads.
pub const VERSION: u64 = 2;

/// What a recording is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Of the episodes; what was not made from a seed has 0.
    pub seed: u64,
    /// The release of the kernel that answered, as `uname -r` has it.
    pub kernel: String,
    /// What that kernel can do beside what its release says.
    pub abilities: Abilities,
    /// The hardware it ran on.
    pub hardware: Hardware,
}

impl Header {
    /// The machine it is of.
    ///
    /// # Errors
    /// No machine can be made of the hardware.
    pub fn machine(&self) -> Result<Machine, HardwareError> {
        Ok(Machine::new(self.hardware.clone())?.able(self.abilities))
    }
}

/// One operation and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What was asked.
    pub op: Op,
    /// What was answered.
    pub answer: Answer,
    /// What was true afterwards.
    pub seen: Seen,
}

/// A sequence that began with every register empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Its number.
    pub number: u64,
    /// Its operations, in their order.
    pub steps: Vec<Recorded>,
}

impl Episode {
    /// Its operations without their answers.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.steps.iter().map(|step| step.op.clone()).collect()
    }
}
