//! Reading a journal in shared memory, while it is written and after its writer has died.

use crate::event::Event;
use crate::kinds::{Actor, Clock, Kind, Lane};
use crate::layout::{self, HEADER_SIZE, RECORD_SIZE, Record, header};
use crate::shared_memory::{JournalError, map};
use std::fs::File;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use vm_memory::{Bytes, MmapRegion, VolatileMemory};
use zerocopy::FromBytes;

/// What the header says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it took place.
    pub lane: Lane,
    /// What its nanoseconds are.
    pub clock: Clock,
}

/// The reading end. Holds its place; [`Reader::next_event`] goes on from there.
pub struct Reader {
    region: MmapRegion,
    capacity: u64,
    place: u64,
    header: Header,
}

impl Reader {
    /// Maps a journal.
    ///
    /// # Errors
    /// It cannot be mapped, is no journal, one of another version, or claims more records
    /// than the file has room for.
    pub fn open(file: File, size: usize) -> Result<Self, JournalError> {
        let region = map(file, size)?;
        let u32_at = |at| region.get_atomic_ref::<AtomicU32>(at).map(|a| a.load(Ordering::Relaxed));
        let u64_at = |at| region.get_atomic_ref::<AtomicU64>(at).map(|a| a.load(Ordering::Acquire));
        let foreign = |_| JournalError::Foreign;
        let magic = u64_at(header::MAGIC).map_err(foreign)?;
        let version = u32_at(header::VERSION).map_err(foreign)?;
        let capacity = u64_at(header::CAPACITY).map_err(foreign)?;
        let lane = Lane::from_number(u32_at(header::LANE).map_err(foreign)? as u8);
        let clock = Clock::from_number(u32_at(header::CLOCK).map_err(foreign)? as u8);
        let room = (size - HEADER_SIZE) as u64 / RECORD_SIZE as u64;
        let (Some(lane), Some(clock)) = (lane, clock) else {
            return Err(JournalError::Foreign);
        };
        if magic != layout::MAGIC || version != layout::VERSION || capacity > room {
            return Err(JournalError::Foreign);
        }
        Ok(Self { region, capacity, place: 0, header: Header { lane, clock } })
    }

    /// Lane and clock.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The exit status, once the run has ended by itself.
    pub fn finished(&self) -> Option<i32> {
        let done = self.region.get_atomic_ref::<AtomicU32>(header::FINISHED).ok()?;
        let status = self.region.get_atomic_ref::<AtomicI32>(header::STATUS).ok()?;
        (done.load(Ordering::Acquire) == 1).then(|| status.load(Ordering::Relaxed))
    }

    /// Where [`crate::written::stopped`] is in the process that set the journal up; 0 where that is of a version
    /// that had none.
    pub fn stops_at(&self) -> u64 {
        let at = self.region.get_atomic_ref::<AtomicU64>(header::STOPS_AT);
        at.map_or(0, |at| at.load(Ordering::Relaxed))
    }

    /// The next whole event, `None` where the writer has not got further yet.
    pub fn next_event(&mut self) -> Option<Event> {
        let first = self.record(self.place)?;
        let mut text = first.text().to_vec();
        let mut count = 1;
        let mut last = first;
        while last.more() {
            last = self.record(self.place + count)?;
            if !last.is_continuation() {
                break;
            }
            text.extend_from_slice(last.text());
            count += 1;
        }
        let seq = self.place;
        self.place += count;
        Some(match first.decode() {
            Some(event) if !first.is_continuation() => {
                Event { text: String::from_utf8_lossy(&text).into_owned(), ..event }
            }
            _ => lost(seq, count, "a record this version cannot read"),
        })
    }

    /// The events left once the writer is gone: like [`Self::next_event`], but goes past
    /// records that were handed out and never finished, and tells how many were lost.
    pub fn next_after_death(&mut self) -> Option<Event> {
        if let Some(event) = self.next_event() {
            return Some(event);
        }
        let handed_out = self.region.get_atomic_ref::<AtomicU64>(header::NEXT).ok()?.load(Ordering::Acquire);
        if self.place < handed_out.min(self.capacity) {
            let seq = self.place;
            self.place += 1;
            return Some(lost(seq, 1, "a record its writer did not live to finish"));
        }
        if self.place < handed_out {
            let seq = self.place;
            self.place = handed_out;
            return Some(lost(seq, handed_out - seq, "no room left in the journal"));
        }
        None
    }

    fn record(&self, number: u64) -> Option<Record> {
        if number >= self.capacity {
            return None;
        }
        let at = HEADER_SIZE + number as usize * RECORD_SIZE;
        let commit = self.region.get_atomic_ref::<AtomicU64>(at).ok()?.load(Ordering::Acquire);
        if commit != number + 1 {
            return None;
        }
        let mut bytes = [0; RECORD_SIZE];
        self.region.as_volatile_slice().read_slice(&mut bytes, at).ok()?;
        Record::read_from_bytes(&bytes).ok()
    }
}

fn lost(seq: u64, count: u64, why: &str) -> Event {
    let mut event = Event::new(Kind::Lost, Actor::Lab).value(count).text(why);
    event.seq = seq;
    event
}
