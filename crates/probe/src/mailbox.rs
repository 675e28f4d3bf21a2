// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The contract between probe and VMM, number by number.
//!
//! `guest-kernel/probe/mailbox.h` says the same in C and explains each opcode; a test here holds
//! the two against each other.

/// The port a vCPU writes a `u32` to when it has something to say.
pub const DOORBELL_PORT: u16 = 0xBA;
/// "The last reply is in my mailbox; put the next request there."
pub const DOORBELL_NEXT: u32 = 1;
/// "The command hit a CPU exception"; [`DOORBELL_NEXT`] follows with the same reply.
pub const DOORBELL_EXCEPTION: u32 = 2;
/// "An exception outside a command": this vCPU has stopped for good.
pub const DOORBELL_PANIC: u32 = 3;

/// Guest physical address of the first vCPU's mailbox page.
pub const MAILBOX_BASE: u64 = 0x10000;
/// Bytes from one vCPU's mailbox page to the next one's.
pub const MAILBOX_STRIDE: u64 = 0x1000;
/// The word in the page at which a request begins.
pub const MAILBOX_REQUEST: usize = 0;
/// Words of a request: the opcode and its arguments.
pub const MAILBOX_REQUEST_WORDS: usize = 8;
/// The word in the page that holds a reply's status.
pub const MAILBOX_STATUS: usize = 64;
/// The word in the page at which a reply's results begin.
pub const MAILBOX_RESULTS: usize = 65;
/// Words of results.
pub const MAILBOX_RESULT_WORDS: usize = 15;
/// The most vCPUs a probe starts.
pub const MAX_CPUS: usize = 64;

/// Words of a reply: the status and the results, which follow it.
pub const REPLY_WORDS: usize = 1 + MAILBOX_RESULT_WORDS;

/// Opcode of [`crate::Command::Echo`].
pub const OP_ECHO: u64 = 1;
/// Opcode of [`crate::Command::Cpus`].
pub const OP_CPUS: u64 = 2;
/// Opcode of [`crate::Command::Read`].
pub const OP_READ: u64 = 3;
/// Opcode of [`crate::Command::Write`].
pub const OP_WRITE: u64 = 4;
/// Opcode of [`crate::Command::Fill`].
pub const OP_FILL: u64 = 5;
/// Opcode of [`crate::Command::Verify`].
pub const OP_VERIFY: u64 = 6;
/// Opcode of [`crate::Command::Copy`].
pub const OP_COPY: u64 = 7;
/// Opcode of [`crate::Command::EduStart`].
pub const OP_EDU_START: u64 = 8;
/// Opcode of [`crate::Command::EduBusy`].
pub const OP_EDU_BUSY: u64 = 9;
/// Opcode of [`crate::Command::EduWait`].
pub const OP_EDU_WAIT: u64 = 10;
/// Opcode of [`crate::Command::Sleep`].
pub const OP_SLEEP: u64 = 11;
/// Opcode of [`crate::Command::Hammer`].
pub const OP_HAMMER: u64 = 12;
/// Opcode of [`crate::Command::Halt`].
pub const OP_HALT: u64 = 13;
/// Opcode of [`crate::Command::Trap`].
pub const OP_TRAP: u64 = 14;
/// Opcode of [`crate::Command::Watch`].
pub const OP_WATCH: u64 = 15;
/// Opcode of [`crate::Command::Scribble`].
pub const OP_SCRIBBLE: u64 = 16;

/// [`crate::DmaDirection::FromMemory`] as a word.
pub const EDU_FROM_MEMORY: u64 = 0;
/// [`crate::DmaDirection::ToMemory`] as a word.
pub const EDU_TO_MEMORY: u64 = 1;

/// Phase of an outage word: CPU accesses reach the BAR.
pub const PHASE_LIVE: u64 = 0;
/// Phase of an outage word: they are being withdrawn; anything PCI allows may happen.
pub const PHASE_CLOSING: u64 = 1;
/// Phase of an outage word: they reach nobody.
pub const PHASE_OUT: u64 = 2;
/// Phase of an outage word: they are coming back; anything PCI allows may happen.
pub const PHASE_OPENING: u64 = 3;

/// Hammer's result: iterations done.
pub const HAMMER_ITERATIONS: usize = 0;
/// Hammer's result: live, and the value came back.
pub const HAMMER_LIVE_OK: usize = 1;
/// Hammer's result: out, and all ones came back.
pub const HAMMER_OUT_ONES: usize = 2;
/// Hammer's result: in between, all ones.
pub const HAMMER_AMBIGUOUS_ONES: usize = 3;
/// Hammer's result: in between, a value the cell can have held.
pub const HAMMER_AMBIGUOUS_VALUE: usize = 4;
/// Hammer's result: in between, a cell not known to have been written yet.
pub const HAMMER_AMBIGUOUS_INITIAL: usize = 5;
/// Hammer's result: answers that cannot be.
pub const HAMMER_VIOLATIONS: usize = 6;
/// Hammer's result: 1 if the stop word ended it.
pub const HAMMER_STOPPED: usize = 7;
/// Hammer's first violation: the outage word before it.
pub const HAMMER_FIRST_BEFORE: usize = 8;
/// Hammer's first violation: the outage word after it.
pub const HAMMER_FIRST_AFTER: usize = 9;
/// Hammer's first violation: what was written, which is the iteration's number.
pub const HAMMER_FIRST_WRITTEN: usize = 10;
/// Hammer's first violation: what came back.
pub const HAMMER_FIRST_READ: usize = 11;
/// Hammer's first violation: where in the page, in bytes.
pub const HAMMER_FIRST_OFFSET: usize = 12;

/// Watch's result: 1 if it saw the window out.
pub const WATCH_SEEN: usize = 0;
/// Watch's result: what it read.
pub const WATCH_VALUE: usize = 1;
/// Watch's result: the outage word before that.
pub const WATCH_BEFORE: usize = 2;
/// Watch's result: the outage word after it.
pub const WATCH_AFTER: usize = 3;
/// Watch's result: looks taken.
pub const WATCH_LOOKS: usize = 4;

/// Scribble's result: accesses done; one that is read, changed and written back is one.
pub const SCRIBBLE_ACCESSES: usize = 0;
/// Scribble's result: reads.
pub const SCRIBBLE_READS: usize = 1;
/// Scribble's result: writes.
pub const SCRIBBLE_WRITES: usize = 2;
/// Scribble's result: accesses by ports.
pub const SCRIBBLE_PORTS: usize = 3;
/// Scribble's result: reads that gave all ones.
pub const SCRIBBLE_ONES: usize = 4;
/// Scribble's result: 1 if the stop word ended it.
pub const SCRIBBLE_STOPPED: usize = 5;
/// The most places a Scribble has to choose from.
pub const SCRIBBLE_MOST_PLACES: u64 = 4096;

/// How many cells of the page Hammer walks through.
pub const HAMMER_CELLS: u64 = 64;
/// Bytes from one cell to the next.
pub const HAMMER_CELL_STRIDE: u64 = 64;
/// The most iterations of one Hammer: all ones is no value to write.
pub const HAMMER_MOST_ITERATIONS: u64 = 0xFFFF_FFFE;

/// Done.
pub const STATUS_OK: u64 = 0;
/// No such opcode.
pub const STATUS_BAD_OPCODE: u64 = 1;
/// A width, alignment, length or address the command cannot work with.
pub const STATUS_BAD_ARGUMENT: u64 = 2;
/// A CPU exception; the results are vector, error code, rip and cr2.
pub const STATUS_EXCEPTION: u64 = 3;
/// The device answers all ones.
pub const STATUS_GONE: u64 = 4;
/// Not idle in time.
pub const STATUS_TIMED_OUT: u64 = 5;
/// More memory above 4 GiB was touched than there are page directories for.
pub const STATUS_NO_PAGE_TABLES: u64 = 6;
/// In place of the first reply: no command has run yet.
pub const STATUS_BOOTED: u64 = 7;

/// Guest physical address of a vCPU's mailbox page.
pub const fn page_address(cpu: usize) -> u64 {
    MAILBOX_BASE + MAILBOX_STRIDE * cpu as u64
}

/// Guest physical address at which a vCPU's requests begin: [`MAILBOX_REQUEST_WORDS`] `u64`s.
pub const fn request_address(cpu: usize) -> u64 {
    page_address(cpu) + 8 * MAILBOX_REQUEST as u64
}

/// Guest physical address at which a vCPU's replies begin: [`REPLY_WORDS`] `u64`s.
pub const fn reply_address(cpu: usize) -> u64 {
    page_address(cpu) + 8 * MAILBOX_STATUS as u64
}

/// The outage word for a phase (`PHASE_…`) of a generation.
pub const fn outage_word(generation: u64, phase: u64) -> u64 {
    4 * generation + phase
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// Every `#define NAME number` of the C header.
    fn defined_in_c() -> BTreeMap<String, u64> {
        let header = include_str!("../../../guest-kernel/probe/mailbox.h");
        header.lines().filter_map(define).collect()
    }

    fn define(line: &str) -> Option<(String, u64)> {
        let mut words = line.strip_prefix("#define ")?.split_whitespace();
        let name = words.next()?.to_owned();
        Some((name, number(words.next()?)))
    }

    /// Every `pub const NAME: type = number;` of this file.
    fn defined_in_rust() -> BTreeMap<String, u64> {
        include_str!("mailbox.rs").lines().filter_map(constant).collect()
    }

    fn constant(line: &str) -> Option<(String, u64)> {
        let (name, rest) = line.strip_prefix("pub const ")?.split_once(": ")?;
        let value = rest.split_once(" = ")?.1.trim_end_matches(';');
        // Sums are Rust's own convenience, not part of the contract.
        (!value.contains('+')).then(|| (name.to_owned(), number(value)))
    }

    fn number(text: &str) -> u64 {
        let text = text.replace('_', "");
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        }
        .unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn the_c_header_and_the_rust_constants_agree() {
        let c = defined_in_c();
        assert!(c.len() > 40, "the header was not understood: {c:?}");
        assert_eq!(c, defined_in_rust());
    }

    // A mailbox fits its page, and requests do not overlap replies.
    const _: () = {
        use super::*;
        assert!(MAILBOX_REQUEST + MAILBOX_REQUEST_WORDS <= MAILBOX_STATUS);
        assert!(MAILBOX_RESULTS == MAILBOX_STATUS + 1);
        assert!(8 * (MAILBOX_RESULTS + MAILBOX_RESULT_WORDS) as u64 <= MAILBOX_STRIDE);
    };
}
