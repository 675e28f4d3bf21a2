//! Writing events: any thread, no lock, no system call but the clock's.

use crate::event::Event;
use crate::kinds::{Clock, Kind, Lane, Phase};
use crate::layout::{self, HEADER_SIZE, RECORD_SIZE, header};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};
use zerocopy::IntoBytes;

/// Why a journal could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be made.
    #[error("cannot make the journal")]
    Create(#[source] std::io::Error),
    /// The file could not be mapped.
    #[error("cannot map the journal")]
    Map(#[source] vm_memory::mmap::MmapRegionError),
    /// Shorter than its header says, or than a header and one record.
    #[error("a journal of {0} bytes is too small")]
    TooSmall(usize),
    /// Not a journal, or one of another version.
    #[error("not a journal of version {}", layout::VERSION)]
    Foreign,
}

/// The writer's end of a journal; clones write to the same one.
#[derive(Clone)]
pub struct Journal {
    region: Arc<MmapRegion>,
    /// As the header has it; read once, for every event asks.
    capacity: u64,
}

/// A step that has begun; [`Journal::end`] ends it. Dropping it unended leaves the missing
/// end a reader can see, which is what a hang looks like too.
#[derive(Debug)]
#[must_use = "a step without its end reads as a hang"]
pub struct Step(Event);

impl Step {
    /// The number that joins begin and end.
    pub fn number(&self) -> u32 {
        self.0.step
    }
}

impl Journal {
    /// Sets up a journal over all of `file` (whose length gives its capacity) and maps it.
    ///
    /// # Errors
    /// The file cannot be mapped or has no room for a record.
    pub fn create(file: File, size: usize, lane: Lane, clock: Clock) -> Result<Self, JournalError> {
        let region = Arc::new(map(file, size)?);
        let journal = Self { region, capacity: ((size - HEADER_SIZE) / RECORD_SIZE) as u64 };
        journal.atomic_u64(header::CAPACITY).store(journal.capacity, Ordering::Relaxed);
        journal.atomic_u64(header::NEXT).store(0, Ordering::Relaxed);
        journal.atomic_u32(header::VERSION).store(layout::VERSION, Ordering::Relaxed);
        journal.atomic_u32(header::LANE).store(lane as u32, Ordering::Relaxed);
        journal.atomic_u32(header::CLOCK).store(clock as u32, Ordering::Relaxed);
        journal.atomic_u64(header::MAGIC).store(layout::MAGIC, Ordering::Release);
        Ok(journal)
    }

    /// A journal in memory of its own, and the file by which a reader can map it.
    ///
    /// # Errors
    /// No memory for `capacity` records.
    pub fn in_memory(capacity: usize, lane: Lane, clock: Clock) -> Result<(Self, File), JournalError> {
        let size = HEADER_SIZE + capacity * RECORD_SIZE;
        let fd = rustix::fs::memfd_create("journal", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|e| JournalError::Create(e.into()))?;
        let file = File::from(fd);
        file.set_len(size as u64).map_err(JournalError::Create)?;
        let reader = file.try_clone().map_err(JournalError::Create)?;
        Ok((Self::create(file, size, lane, clock)?, reader))
    }

    /// Joins a journal somebody else has set up.
    ///
    /// # Errors
    /// The file cannot be mapped, is no journal, or one of another version.
    pub fn join(file: File, size: usize) -> Result<Self, JournalError> {
        let mut journal = Self { region: Arc::new(map(file, size)?), capacity: 0 };
        journal.capacity = journal.atomic_u64(header::CAPACITY).load(Ordering::Relaxed);
        let room = (size - HEADER_SIZE) as u64 / RECORD_SIZE as u64;
        if journal.atomic_u64(header::MAGIC).load(Ordering::Acquire) != layout::MAGIC
            || journal.atomic_u32(header::VERSION).load(Ordering::Relaxed) != layout::VERSION
            || journal.capacity > room
        {
            return Err(JournalError::Foreign);
        }
        Ok(journal)
    }

    /// The lane the journal was set up for.
    pub fn lane(&self) -> Lane {
        let number = self.atomic_u32(header::LANE).load(Ordering::Relaxed);
        Lane::from_number(number as u8).unwrap_or(Lane::Host)
    }

    /// What the nanoseconds of this journal are.
    pub fn clock(&self) -> Clock {
        let number = self.atomic_u32(header::CLOCK).load(Ordering::Relaxed);
        Clock::from_number(number as u8).unwrap_or(Clock::Hardware)
    }

    /// Nanoseconds of the clock events are stamped with (`CLOCK_MONOTONIC`; in the emulator
    /// that is the emulated machine's).
    pub fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    /// Writes an event.
    pub fn emit(&self, event: Event) {
        let time = if event.time_ns != 0 { event.time_ns } else { self.now() };
        self.write(&event, time);
    }

    /// Writes the start of a step, before the step is done.
    pub fn begin(&self, mut event: Event) -> Step {
        event.phase = Phase::Begin;
        event.step = self.atomic_u32(header::STEP).fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.write(&event, self.now());
        event.time_ns = 0;
        Step(event)
    }

    /// Writes the end of a step with its result: 0 or a negative errno.
    pub fn end(&self, step: Step, result: i32) {
        self.end_with(step, |event| event.result(result));
    }

    /// Writes the end of a step with what is known of it now.
    pub fn end_with(&self, step: Step, fill: impl FnOnce(Event) -> Event) {
        let Step(mut event) = step;
        event.phase = Phase::End;
        event.text.clear();
        self.write(&fill(event), self.now());
    }

    /// Says that the run has ended by itself, and how.
    pub fn finish(&self, status: i32) {
        self.atomic_i32(header::STATUS).store(status, Ordering::Relaxed);
        self.atomic_u32(header::FINISHED).store(1, Ordering::Release);
    }

    fn write(&self, event: &Event, time_ns: u64) {
        debug_assert!(event.kind != Kind::Continuation);
        let count = layout::records_of(event) as u64;
        let first = self.atomic_u64(header::NEXT).fetch_add(count, Ordering::Relaxed);
        for n in 0..count {
            let number = first + n;
            if number >= self.capacity {
                // NEXT has counted it: the reader tells how many were lost.
                return;
            }
            let record = layout::encode(event, n as usize, first, time_ns);
            let at = HEADER_SIZE + number as usize * RECORD_SIZE;
            // The body first, the mark of completeness after it, so that a reader never
            // takes half a record for a whole one.
            let body = &record.as_bytes()[size_of::<u64>()..record.used()];
            let written = self.region.as_volatile_slice().write_slice(body, at + size_of::<u64>());
            debug_assert!(written.is_ok());
            self.atomic_u64(at).store(record.commit, Ordering::Release);
        }
    }

    fn atomic_u64(&self, at: usize) -> &AtomicU64 {
        self.region.get_atomic_ref(at).expect("offsets inside the mapping, aligned")
    }

    fn atomic_u32(&self, at: usize) -> &AtomicU32 {
        self.region.get_atomic_ref(at).expect("offsets inside the mapping, aligned")
    }

    fn atomic_i32(&self, at: usize) -> &AtomicI32 {
        self.region.get_atomic_ref(at).expect("offsets inside the mapping, aligned")
    }
}

pub(crate) fn map(file: File, size: usize) -> Result<MmapRegion, JournalError> {
    if size < HEADER_SIZE + RECORD_SIZE {
        return Err(JournalError::TooSmall(size));
    }
    MmapRegion::from_file(FileOffset::new(file, 0), size).map_err(JournalError::Map)
}
