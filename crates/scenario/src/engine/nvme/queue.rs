//! The admin queue pair, in guest RAM.

use super::status::Status;
use crate::engine::Doorbell;
use crate::guest_cpu::GuestCpu;
use crate::runner::RunError;
use std::fmt;

/// Entries of each queue.
const ENTRIES: u32 = 16;
const SUBMISSION_BYTES: u64 = 64;
const COMPLETION_BYTES: u64 = 16;
const PAGE: u64 = 4096;

const OPCODE_IDENTIFY: u32 = 0x06;
/// CNS: the controller's own data structure.
const CONTROLLER: u32 = 0x01;
// Places in a submission entry ("Common Command Format").
const DATA_POINTER_1: u64 = 24;
const DATA_POINTER_2: u64 = 32;
const DWORD_10: u64 = 40;
/// The last word of a completion entry: command identifier, phase tag, status.
const LAST_DWORD: u64 = 12;
const PHASE_TAG: u32 = 1 << 16;

/// Doorbells of the admin queue, with the stride of 4 bytes that every emulated controller has.
const SUBMISSION_DOORBELL: u64 = 0x1000;
const COMPLETION_DOORBELL: u64 = 0x1004;

/// Where the guest is in both rings. One command at a time.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    submissions: u64,
    completions: u64,
    tail: u32,
    head: u32,
    /// The phase tag of the completion that comes next.
    phase: bool,
    last_command: u16,
}

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Completion(Status);

impl Queue {
    /// Of a controller that has just been enabled; both rings are zero.
    pub fn new(submissions: u64, completions: u64) -> Self {
        Self { submissions, completions, tail: 0, head: 0, phase: true, last_command: 0 }
    }

    /// For the register AQA: both sizes, counted from 0.
    pub fn sizes(&self) -> u32 {
        (ENTRIES - 1) << 16 | (ENTRIES - 1)
    }

    /// Puts an Identify Controller with this data pointer into the ring; the controller is told
    /// by its doorbell.
    pub fn put_identify(
        &mut self,
        cpu: GuestCpu<'_>,
        registers: u64,
        data: u64,
    ) -> Result<Doorbell, RunError> {
        let entry = self.submissions + u64::from(self.tail) * SUBMISSION_BYTES;
        // All ones is no identifier.
        self.last_command = self.last_command % 0xfffe + 1;
        cpu.fill(entry, SUBMISSION_BYTES, 0)?;
        cpu.write32(entry, OPCODE_IDENTIFY | u32::from(self.last_command) << 16)?;
        cpu.write64(entry + DATA_POINTER_1, data)?;
        // Data that begins in the middle of a page ends in the next one.
        let next_page = if data.is_multiple_of(PAGE) { 0 } else { (data & !(PAGE - 1)) + PAGE };
        cpu.write64(entry + DATA_POINTER_2, next_page)?;
        cpu.write32(entry + DWORD_10, CONTROLLER)?;
        self.tail = (self.tail + 1) % ENTRIES;
        Ok(Doorbell { address: registers + SUBMISSION_DOORBELL, value: self.tail })
    }

    /// Takes the completion of the last command, if it is there.
    pub fn take(&mut self, cpu: GuestCpu<'_>, registers: u64) -> Result<Option<Completion>, RunError> {
        let entry = self.completions + u64::from(self.head) * COMPLETION_BYTES;
        let word = cpu.read32(entry + LAST_DWORD)?;
        if (word & PHASE_TAG != 0) != self.phase || word as u16 != self.last_command {
            return Ok(None);
        }
        self.head = (self.head + 1) % ENTRIES;
        if self.head == 0 {
            self.phase = !self.phase;
        }
        cpu.write32(registers + COMPLETION_DOORBELL, self.head)?;
        Ok(Some(Completion(Status::of(word))))
    }
}

impl Completion {
    pub fn is_success(&self) -> bool {
        self.0 == Status::SUCCESS
    }
}

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
