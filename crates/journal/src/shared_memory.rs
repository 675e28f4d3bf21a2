//! Events as records in shared memory: any thread, no lock, no system call.

use crate::event::Event;
use crate::kinds::{Clock, Lane};
use crate::layout::{self, HEADER_SIZE, RECORD_SIZE, header};
use crate::written;
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

/// The mapping that records are written to; clones are the same one.
#[derive(Clone)]
pub(crate) struct SharedMemory {
    region: Arc<MmapRegion>,
    /// As the header has it; read once, for every event asks.
    capacity: u64,
}

impl SharedMemory {
    /// Maps all of a file and writes a header to it.
    pub fn create(file: File, size: usize, lane: Lane, clock: Clock) -> Result<Self, JournalError> {
        let region = Arc::new(map(file, size)?);
        let memory = Self { region, capacity: ((size - HEADER_SIZE) / RECORD_SIZE) as u64 };
        memory.atomic_u64(header::CAPACITY).store(memory.capacity, Ordering::Relaxed);
        memory.atomic_u64(header::NEXT).store(0, Ordering::Relaxed);
        memory.atomic_u32(header::VERSION).store(layout::VERSION, Ordering::Relaxed);
        memory.atomic_u32(header::LANE).store(lane as u32, Ordering::Relaxed);
        memory.atomic_u32(header::CLOCK).store(clock as u32, Ordering::Relaxed);
        memory.atomic_u64(header::STOPS_AT).store(written::address(), Ordering::Relaxed);
        memory.atomic_u64(header::MAGIC).store(layout::MAGIC, Ordering::Release);
        Ok(memory)
    }

    /// Maps a file somebody else has written a header to.
    pub fn join(file: File, size: usize) -> Result<Self, JournalError> {
        let mut memory = Self { region: Arc::new(map(file, size)?), capacity: 0 };
        memory.capacity = memory.atomic_u64(header::CAPACITY).load(Ordering::Relaxed);
        let room = (size - HEADER_SIZE) as u64 / RECORD_SIZE as u64;
        if memory.atomic_u64(header::MAGIC).load(Ordering::Acquire) != layout::MAGIC
            || memory.atomic_u32(header::VERSION).load(Ordering::Relaxed) != layout::VERSION
            || memory.capacity > room
        {
            return Err(JournalError::Foreign);
        }
        Ok(memory)
    }

    pub fn lane(&self) -> Lane {
        let number = self.atomic_u32(header::LANE).load(Ordering::Relaxed);
        Lane::from_number(number as u8).unwrap_or(Lane::Host)
    }

    pub fn clock(&self) -> Clock {
        let number = self.atomic_u32(header::CLOCK).load(Ordering::Relaxed);
        Clock::from_number(number as u8).unwrap_or(Clock::Hardware)
    }

    /// A number no step has had yet; 0 is none's.
    pub fn next_step(&self) -> u32 {
        self.atomic_u32(header::STEP).fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Records there is room for.
    pub fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.atomic_u64(header::NEXT).load(Ordering::Relaxed))
    }

    pub fn finish(&self, status: i32) {
        self.atomic_i32(header::STATUS).store(status, Ordering::Relaxed);
        self.atomic_u32(header::FINISHED).store(1, Ordering::Release);
    }

    pub fn write(&self, event: &Event, time_ns: u64) {
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
        let stop = self.atomic_u64(header::STOP_AFTER).load(Ordering::Relaxed);
        if stop != 0 && first + count >= stop {
            written::stopped(first);
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
