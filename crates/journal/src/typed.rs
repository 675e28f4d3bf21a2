//! Events handed to a consumer in the same process, as they are: no bytes, no lines.
//!
//! For runs of so many events that nobody will read most of them: a checker takes them as they
//! come, and a run that goes wrong is run again into shared memory. Places and step numbers are
//! those the same run has there, so that a finding of the one names an event of the other.

use crate::event::Event;
use crate::kinds::{Clock, Lane};
use crate::layout::records_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What consumes events. It is called with the journal locked: whoever writes waits for it, and
/// it must not write to the journal it is the sink of, or it waits for itself.
pub trait Sink: Send {
    /// The next event, with its place and time.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Sink for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// Keeps them all.
impl Sink for Vec<Event> {
    fn event(&mut self, event: &Event) {
        self.push(event.clone());
    }
}

/// The consumer's end of a typed journal: the way to what the sink has come to.
pub struct Tap<S>(Arc<Typed<S>>);

impl<S> Tap<S> {
    /// Looks at the sink, or takes something out of it, between two events. It must not write
    /// to the journal, as the sink must not.
    pub fn with<R>(&self, look: impl FnOnce(&mut S) -> R) -> R {
        look(&mut self.0.lock().sink)
    }

    /// The exit status, once the run has ended by itself.
    pub fn finished(&self) -> Option<i32> {
        self.0.lock().finished
    }
}

/// What the clones of a typed journal and its tap share.
pub(crate) struct Typed<S: ?Sized> {
    pub lane: Lane,
    pub clock: Clock,
    /// One lock for all of it, which a single-threaded run never waits for: two uncontended
    /// atomic operations an event.
    state: Mutex<State<S>>,
}

struct State<S: ?Sized> {
    /// The place of the next event.
    next: u64,
    /// The last step's number.
    step: u32,
    finished: Option<i32>,
    /// Kept for its buffer: a text that only passes by need not be allocated each time.
    text: String,
    sink: S,
}

impl<S> Typed<S> {
    pub fn new(lane: Lane, clock: Clock, sink: S) -> (Arc<Self>, Tap<S>) {
        let state = State { next: 0, step: 0, finished: None, text: String::new(), sink };
        let typed = Arc::new(Self { lane, clock, state: Mutex::new(state) });
        (Arc::clone(&typed), Tap(typed))
    }
}

impl<S: ?Sized> Typed<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn finish(&self, status: i32) {
        self.lock().finished = Some(status);
    }
}

impl<S: Sink + ?Sized> Typed<S> {
    /// Hands an event on, stamped.
    #[inline]
    pub fn write(&self, event: &mut Event, time_ns: u64) {
        self.lock().hand_on(event, time_ns);
    }

    /// The same with the number of a new step.
    #[inline]
    pub fn begin(&self, event: &mut Event, time_ns: u64) {
        let mut state = self.lock();
        state.step = state.step.wrapping_add(1);
        event.step = state.step;
        state.hand_on(event, time_ns);
    }

    /// A number no step has had yet.
    pub fn next_step(&self) -> u32 {
        let mut state = self.lock();
        state.step = state.step.wrapping_add(1);
        state.step
    }

    /// The same with a text that is copied into a buffer kept for it.
    #[inline]
    pub fn write_with_text(&self, event: &mut Event, text: &str, time_ns: u64) {
        let mut state = self.lock();
        event.text = std::mem::take(&mut state.text);
        event.text.clear();
        event.text.push_str(text);
        state.hand_on(event, time_ns);
        state.text = std::mem::take(&mut event.text);
    }
}

impl<S: Sink + ?Sized> State<S> {
    #[inline]
    fn hand_on(&mut self, event: &mut Event, time_ns: u64) {
        event.seq = self.next;
        event.time_ns = time_ns;
        // As in shared memory, where a long text takes several places.
        self.next += records_of(event) as u64;
        self.sink.event(event);
    }
}
