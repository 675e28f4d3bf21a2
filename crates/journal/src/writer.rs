//! Writing events, from any thread: to shared memory, without a lock or a system call but the
//! clock's, or to a typed sink in this process.

use crate::event::Event;
use crate::kinds::{Clock, Kind, Lane, Phase};
use crate::layout::{HEADER_SIZE, RECORD_SIZE};
use crate::shared_memory::SharedMemory;
use crate::typed::{Sink, Tap, Typed};
use crate::virtual_clock::VirtualClock;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::sync::Arc;

pub use crate::shared_memory::JournalError;

/// The writer's end of a journal; clones write to the same one.
#[derive(Clone)]
pub struct Journal {
    place: Place,
    time: Time,
    before: Option<Arc<dyn Precede>>,
}

/// Who has something to say of what was before an event.
pub trait Precede: Send + Sync {
    /// That event is about to be written, with this time. Whatever is to stand before it is written now, to a
    /// journal without this before it.
    fn precede(&self, event: &Event, time_ns: u64);
}

/// Two who have something to say.
struct InTurn {
    first: Arc<dyn Precede>,
    then: Arc<dyn Precede>,
}

impl Precede for InTurn {
    fn precede(&self, event: &Event, time_ns: u64) {
        self.first.precede(event, time_ns);
        self.then.precede(event, time_ns);
    }
}

/// Where events go.
#[derive(Clone)]
enum Place {
    Shared(SharedMemory),
    Typed(Arc<Typed<dyn Sink>>),
}

/// What they are stamped with.
#[derive(Clone)]
enum Time {
    Monotonic,
    Virtual(VirtualClock),
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
        Ok(Self::at(Place::Shared(SharedMemory::create(file, size, lane, clock)?)))
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
        Ok(Self::at(Place::Shared(SharedMemory::join(file, size)?)))
    }

    /// A journal whose events go to `sink` as they are, on the thread that writes them, and the
    /// tap by which to get at the sink. Nothing of them is kept, so there is no end to its room.
    pub fn typed<S: Sink + 'static>(lane: Lane, clock: Clock, sink: S) -> (Self, Tap<S>) {
        let (typed, tap) = Typed::new(lane, clock, sink);
        (Self::at(Place::Typed(typed)), tap)
    }

    /// The same journal, stamped with the nanoseconds of `clock` instead of
    /// `CLOCK_MONOTONIC`. Clones made before keep the old stamps.
    #[must_use]
    pub fn timed_by(self, clock: VirtualClock) -> Self {
        Self { time: Time::Virtual(clock), ..self }
    }

    fn at(place: Place) -> Self {
        Self { place, time: Time::Monotonic, before: None }
    }

    /// The lane the journal was set up for.
    pub fn lane(&self) -> Lane {
        match &self.place {
            Place::Shared(memory) => memory.lane(),
            Place::Typed(typed) => typed.lane,
        }
    }

    /// What the nanoseconds of this journal are.
    pub fn clock(&self) -> Clock {
        match &self.place {
            Place::Shared(memory) => memory.clock(),
            Place::Typed(typed) => typed.clock,
        }
    }

    /// Records there is room for; without an end to it, the most there can be.
    pub fn room(&self) -> u64 {
        match &self.place {
            Place::Shared(memory) => memory.room(),
            Place::Typed(_) => u64::MAX,
        }
    }

    /// Nanoseconds of the clock events are stamped with: that of [`Self::timed_by`], else
    /// `CLOCK_MONOTONIC` (in the emulator that is the emulated machine's).
    pub fn now(&self) -> u64 {
        match &self.time {
            Time::Monotonic => {
                let now = clock_gettime(ClockId::Monotonic);
                now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
            }
            Time::Virtual(clock) => clock.now(),
        }
    }

    /// The same journal, in which `before` has a word before each event: first it, and then whoever had one
    /// already, who has one before each event of its, too.
    #[must_use]
    pub fn preceded_by(self, before: Arc<dyn Precede>) -> Self {
        let before = match self.before {
            Some(then) => Arc::new(InTurn { first: before, then }),
            None => before,
        };
        Self { before: Some(before), ..self }
    }

    /// Writes an event.
    pub fn emit(&self, mut event: Event) {
        let time = self.time_of(&event);
        self.write(&mut event, time);
    }

    /// Writes an event with `text` in place of its own. To a typed sink that is free of
    /// allocations, which [`Event::text`] is not.
    pub fn emit_with_text(&self, mut event: Event, text: &str) {
        debug_assert!(event.kind != Kind::Continuation);
        let time = self.time_of(&event);
        self.precede(&event, time);
        match &self.place {
            Place::Shared(memory) => memory.write(&event.text(text), time),
            Place::Typed(typed) => typed.write_with_text(&mut event, text, time),
        }
    }

    /// Writes the start of a step, before the step is done.
    pub fn begin(&self, mut event: Event) -> Step {
        debug_assert!(event.kind != Kind::Continuation);
        event.phase = Phase::Begin;
        let time = self.time_of(&event);
        match (&self.place, &self.before) {
            (Place::Shared(memory), _) => {
                event.step = memory.next_step();
                self.write(&mut event, time);
            }
            (Place::Typed(typed), None) => typed.begin(&mut event, time),
            (Place::Typed(typed), Some(_)) => {
                event.step = typed.next_step();
                self.write(&mut event, time);
            }
        }
        (event.seq, event.time_ns) = (0, 0);
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
        let mut event = fill(event);
        let time = self.time_of(&event);
        self.write(&mut event, time);
    }

    /// Says that the run has ended by itself, and how.
    pub fn finish(&self, status: i32) {
        match &self.place {
            Place::Shared(memory) => memory.finish(status),
            Place::Typed(typed) => typed.finish(status),
        }
    }

    fn time_of(&self, event: &Event) -> u64 {
        if event.time_ns != 0 { event.time_ns } else { self.now() }
    }

    #[inline]
    fn precede(&self, event: &Event, time_ns: u64) {
        if let Some(before) = &self.before {
            before.precede(event, time_ns);
        }
    }

    fn write(&self, event: &mut Event, time_ns: u64) {
        debug_assert!(event.kind != Kind::Continuation);
        self.precede(event, time_ns);
        match &self.place {
            Place::Shared(memory) => memory.write(event, time_ns),
            Place::Typed(typed) => typed.write(event, time_ns),
        }
    }
}
