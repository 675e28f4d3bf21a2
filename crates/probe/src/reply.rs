// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a served probe answers.

use thiserror::Error;

use crate::Command;
use crate::mailbox as mb;

/// The answer to a [`Command`] that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The command says nothing back.
    Done,
    /// To [`Command::Echo`] and [`Command::Read`].
    Value(u64),
    /// To [`Command::Cpus`].
    Cpus {
        /// vCPUs up, the first one included.
        up: u64,
        /// The number of the one that answers.
        own: u64,
    },
    /// To [`Command::Verify`].
    Verified {
        /// The first word that differs; nothing if all are as they should be.
        mismatch: Option<Mismatch>,
    },
    /// To [`Command::EduBusy`].
    Busy(bool),
    /// To [`Command::EduWait`]: idle.
    Waited {
        /// Looks it took, a millisecond apart.
        looks: u64,
    },
    /// To [`Command::Hammer`].
    Hammered(HammerCounts),
    /// To [`Command::Watch`].
    Watched {
        /// What it saw; nothing if it gave up, or was stopped, before the window was out.
        seen: Option<Seen>,
        /// Looks it took.
        looks: u64,
    },
    /// To [`Command::Scribble`].
    Scribbled(ScribbleCounts),
}

/// What a [`Command::Scribble`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScribbleCounts {
    /// Accesses; one that is read, changed and written back is one.
    pub accesses: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Those of the accesses that went by ports.
    pub ports: u64,
    /// Those of the reads that gave all ones.
    pub ones: u64,
    /// Whether the stop word ended it, rather than the number of accesses.
    pub stopped: bool,
}

/// What a [`Command::Watch`] saw of an outage. The bell was rung between the two outage words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What was read.
    pub value: u32,
    /// The outage word just before.
    pub before: u64,
    /// The outage word just after.
    pub after: u64,
}

/// Where memory differs from a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// How many `u32` words differ.
    pub words: u64,
    /// Offset of the first one, in bytes.
    pub first_offset: u64,
    /// What was found there.
    pub first_value: u32,
}

/// What a [`Command::Hammer`] saw. The counts but `iterations` add up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HammerCounts {
    /// Iterations done.
    pub iterations: u64,
    /// Certainly live, and the value came back.
    pub live_ok: u64,
    /// Certainly out, and all ones came back.
    pub out_ones: u64,
    /// In between, and all ones came back.
    pub ambiguous_ones: u64,
    /// In between, and a value came back that the cell can have held.
    pub ambiguous_value: u64,
    /// In between, and the cell is not known to have been written: nothing to judge it by.
    pub ambiguous_initial: u64,
    /// Answers that cannot be.
    pub violations: u64,
    /// Whether the stop word ended it, rather than the number of iterations.
    pub stopped: bool,
    /// The first of the violations.
    pub first_violation: Option<HammerViolation>,
}

/// One answer that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "iteration {written} at offset {offset:#x}: read {read:#x}, with the outage word \
     {before} (phase {phase}) before and {after} after", phase = before % 4
)]
pub struct HammerViolation {
    /// The outage word just before.
    pub before: u64,
    /// The outage word just after.
    pub after: u64,
    /// What was written, which is the iteration's number.
    pub written: u32,
    /// What came back.
    pub read: u32,
    /// Where in the page, in bytes.
    pub offset: u64,
}

/// Why a command was not carried out, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The probe does not know it.
    #[error("the probe does not know this command")]
    BadOpcode,
    /// A width, alignment, length or address it cannot work with.
    #[error("the probe cannot work with this width, alignment, length or address")]
    BadArgument,
    /// A CPU exception hit the vCPU.
    #[error("exception {vector} (error code {error:#x}) at rip {rip:#x}, cr2 {cr2:#x}")]
    Exception {
        /// The exception's vector.
        vector: u64,
        /// Its error code, 0 where there is none.
        error: u64,
        /// The instruction it hit.
        rip: u64,
        /// The last address a page fault was about.
        cr2: u64,
    },
    /// The device answers all ones.
    #[error("the device answers all ones")]
    Gone,
    /// Not idle in time.
    #[error("the device was still busy after {looks} looks")]
    TimedOut {
        /// Looks taken, a millisecond apart.
        looks: u64,
    },
    /// More memory above 4 GiB was touched than the probe has page directories for.
    #[error("the probe has no page tables left for so much memory above 4 GiB")]
    NoPageTables,
    /// No command has run yet; see [`is_booted`].
    #[error("the probe has just booted: this answers no command")]
    Booted,
    /// A status this version does not know.
    #[error("the probe answered with the unknown status {0}")]
    Unknown(u64),
}

/// Do these words, at a vCPU's first doorbell, say that it is up?
pub fn is_booted(words: &[u64; mb::REPLY_WORDS]) -> bool {
    words[0] == mb::STATUS_BOOTED
}

fn refusal(status: u64, results: &[u64]) -> Refusal {
    match status {
        mb::STATUS_BAD_OPCODE => Refusal::BadOpcode,
        mb::STATUS_BAD_ARGUMENT => Refusal::BadArgument,
        mb::STATUS_EXCEPTION => {
            Refusal::Exception { vector: results[0], error: results[1], rip: results[2], cr2: results[3] }
        }
        mb::STATUS_GONE => Refusal::Gone,
        mb::STATUS_TIMED_OUT => Refusal::TimedOut { looks: results[0] },
        mb::STATUS_NO_PAGE_TABLES => Refusal::NoPageTables,
        mb::STATUS_BOOTED => Refusal::Booted,
        _ => Refusal::Unknown(status),
    }
}

fn verified(results: &[u64]) -> Reply {
    Reply::Verified {
        mismatch: (results[0] != 0).then(|| Mismatch {
            words: results[0],
            first_offset: results[1],
            first_value: results[2] as u32,
        }),
    }
}

fn hammered(results: &[u64]) -> HammerCounts {
    let violations = results[mb::HAMMER_VIOLATIONS];
    HammerCounts {
        iterations: results[mb::HAMMER_ITERATIONS],
        live_ok: results[mb::HAMMER_LIVE_OK],
        out_ones: results[mb::HAMMER_OUT_ONES],
        ambiguous_ones: results[mb::HAMMER_AMBIGUOUS_ONES],
        ambiguous_value: results[mb::HAMMER_AMBIGUOUS_VALUE],
        ambiguous_initial: results[mb::HAMMER_AMBIGUOUS_INITIAL],
        violations,
        stopped: results[mb::HAMMER_STOPPED] != 0,
        first_violation: (violations != 0).then(|| HammerViolation {
            before: results[mb::HAMMER_FIRST_BEFORE],
            after: results[mb::HAMMER_FIRST_AFTER],
            written: results[mb::HAMMER_FIRST_WRITTEN] as u32,
            read: results[mb::HAMMER_FIRST_READ] as u32,
            offset: results[mb::HAMMER_FIRST_OFFSET],
        }),
    }
}

fn watched(results: &[u64]) -> Reply {
    let seen = (results[mb::WATCH_SEEN] != 0).then(|| Seen {
        value: results[mb::WATCH_VALUE] as u32,
        before: results[mb::WATCH_BEFORE],
        after: results[mb::WATCH_AFTER],
    });
    Reply::Watched { seen, looks: results[mb::WATCH_LOOKS] }
}

fn scribbled(results: &[u64]) -> ScribbleCounts {
    ScribbleCounts {
        accesses: results[mb::SCRIBBLE_ACCESSES],
        reads: results[mb::SCRIBBLE_READS],
        writes: results[mb::SCRIBBLE_WRITES],
        ports: results[mb::SCRIBBLE_PORTS],
        ones: results[mb::SCRIBBLE_ONES],
        stopped: results[mb::SCRIBBLE_STOPPED] != 0,
    }
}

impl Command {
    /// Makes sense of the words at [`mb::reply_address`]: status, then results.
    pub fn decode_reply(&self, words: &[u64; mb::REPLY_WORDS]) -> Result<Reply, Refusal> {
        let (status, results) = (words[0], &words[1..]);
        if status != mb::STATUS_OK {
            return Err(refusal(status, results));
        }
        Ok(match self {
            Self::Echo { .. } | Self::Read { .. } => Reply::Value(results[0]),
            Self::Cpus => Reply::Cpus { up: results[0], own: results[1] },
            Self::Verify { .. } => verified(results),
            Self::EduBusy { .. } => Reply::Busy(results[0] != 0),
            Self::EduWait { .. } => Reply::Waited { looks: results[0] },
            Self::Hammer { .. } => Reply::Hammered(hammered(results)),
            Self::Watch { .. } => watched(results),
            Self::Scribble { .. } => Reply::Scribbled(scribbled(results)),
            Self::Write { .. }
            | Self::Fill { .. }
            | Self::Copy { .. }
            | Self::EduStart { .. }
            | Self::Sleep { .. }
            | Self::Halt
            | Self::Trap => Reply::Done,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(status: u64, results: &[u64]) -> [u64; mb::REPLY_WORDS] {
        let mut words = [0; mb::REPLY_WORDS];
        words[0] = status;
        words[1..=results.len()].copy_from_slice(results);
        words
    }

    #[test]
    fn the_command_decides_what_the_words_mean() {
        let reply = words(mb::STATUS_OK, &[2, 1, 7]);
        assert_eq!(Command::Cpus.decode_reply(&reply), Ok(Reply::Cpus { up: 2, own: 1 }));
        assert_eq!(Command::Echo { value: 2 }.decode_reply(&reply), Ok(Reply::Value(2)));
        let verify = Command::Verify { address: 0, length: 8, pattern: 0, step: 0 };
        let mismatch = Some(Mismatch { words: 2, first_offset: 1, first_value: 7 });
        assert_eq!(verify.decode_reply(&reply), Ok(Reply::Verified { mismatch }));
    }

    #[test]
    fn every_refusal_has_a_name() {
        for status in 1..=mb::STATUS_BOOTED {
            let refusal = Command::Cpus.decode_reply(&words(status, &[])).unwrap_err();
            assert!(!matches!(refusal, Refusal::Unknown(_)), "{status}");
        }
        let unknown = Command::Cpus.decode_reply(&words(99, &[]));
        assert_eq!(unknown, Err(Refusal::Unknown(99)));
    }

    #[test]
    fn a_watch_that_saw_nothing_has_nothing_to_show() {
        let nothing = watched(&words(0, &[0, 7, 2, 2, 9])[1..]);
        assert_eq!(nothing, Reply::Watched { seen: None, looks: 9 });
        let seen = Some(Seen { value: u32::MAX, before: 6, after: 7 });
        let something = watched(&words(0, &[1, u32::MAX.into(), 6, 7, 1])[1..]);
        assert_eq!(something, Reply::Watched { seen, looks: 1 });
    }

    #[test]
    fn a_hammer_without_violations_has_no_first_one() {
        let clean = hammered(&words(0, &[9, 4, 5])[1..]);
        assert_eq!((clean.iterations, clean.live_ok, clean.out_ones), (9, 4, 5));
        assert_eq!(clean.first_violation, None);
        let dirty = hammered(&words(0, &[9, 8, 0, 0, 0, 0, 1, 1, 4, 4, 3, 9, 64])[1..]);
        let first = dirty.first_violation.expect("there is one");
        assert_eq!((first.written, first.read, first.offset), (3, 9, 64));
    }
}
