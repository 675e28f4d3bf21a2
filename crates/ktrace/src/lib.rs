//! The kernel's side of a revoke: what its functions on that way did, and how long each took.
//!
//! Probes on entry and return of [`FUNCTIONS`] record into a buffer of the kernel's, stamped with the same
//! `CLOCK_MONOTONIC` as the journal. Before each event of this process is written, what the buffer has from before
//! that event goes into the journal, so that both stand in the order of time: a step of the kernel's lies between the
//! begin and the end of the call that caused it. That costs the run time of its own; whoever shows a number of such
//! a run says so ([`barkeep_journal::Kind::KernelTrace`]).

mod format;
mod functions;
mod ring;
mod steps;
mod tracefs;

pub use functions::{FUNCTIONS, Function};
pub use tracefs::TraceError;

use barkeep_journal::{Actor, Event, Journal, Kind, Precede, SeenBy, Step};
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use steps::{Inside, Own};
use tracefs::{Moment, Probe, Tracefs};

/// Bytes read at once: at least a page of the buffer, whose size is the kernel's affair.
const CHUNK: usize = 65_536;
/// `TRACE_FLAG_HARDIRQ`, `TRACE_FLAG_SOFTIRQ`: whoever was interrupted has nothing to do with it.
const IN_INTERRUPT: u8 = 0x08 | 0x10;
/// Offsets of `struct trace_entry`.
const FLAGS: usize = 2;
const PID: usize = 4;

/// The recording; [`KernelTrace::finish`] ends it.
pub struct KernelTrace(Arc<Recorder>);

/// What it has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Functions that cannot be traced on this kernel, with the errno's name.
    pub absent: Vec<String>,
    /// Records the kernel had no room for, and returns it did not record.
    pub lost: u64,
    /// Why probes may still be there.
    pub left: Option<String>,
}

struct Recorder {
    /// Without this recorder before it.
    journal: Journal,
    state: Mutex<Option<State>>,
}

struct State {
    tracefs: Tracefs,
    own: Own,
    inside: Inside,
    /// Read, and not yet due: of several CPUs, or of after the event that is written. In the order of time.
    pending: Vec<Record>,
    chunk: Vec<u8>,
    lost: u64,
    /// Returns whose entries were recorded, and never came.
    unreturned: u64,
}

struct Record {
    time_ns: u64,
    probe: Probe,
    thread: Option<u32>,
    value: Option<u64>,
}

impl KernelTrace {
    /// Sets the probes, and gives the journal that has the kernel's steps between its events.
    ///
    /// # Errors
    /// See [`TraceError`].
    pub fn start(journal: &Journal) -> Result<(Self, Journal), TraceError> {
        let tracefs = Tracefs::set_up(FUNCTIONS)?;
        tell_what_is_traced(journal, &tracefs);
        let state = State {
            tracefs,
            own: Own::default(),
            inside: Inside::default(),
            pending: Vec::new(),
            chunk: vec![0; CHUNK],
            lost: 0,
            unreturned: 0,
        };
        let recorder = Arc::new(Recorder { journal: journal.clone(), state: Mutex::new(Some(state)) });
        let with = journal.clone().preceded_by(Arc::clone(&recorder) as Arc<dyn Precede>);
        Ok((Self(recorder), with))
    }

    /// Writes what is left, and takes the probes away. Journals that were given go on without them.
    pub fn finish(self) -> Told {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut state) = state else { return Told::default() };
        let journal = &self.0.journal;
        let switched_off = state.tracefs.switch_off();
        state.read();
        state.write_until(journal, u64::MAX);
        let absent = state.tracefs.absent.iter().map(|(name, errno)| format!("{name}: {errno}")).collect();
        let lost = state.lost + state.unreturned + state.tracefs.misses();
        if lost > 0 {
            let text = "kernel trace: records lost, what the kernel did is not all there";
            journal.emit(Event::new(Kind::Degraded, Actor::Kernel).value(lost).text(text));
        }
        let left = switched_off.and(state.tracefs.tear_down()).err();
        if let Some(error) = &left {
            let text = format!("kernel trace: probes may still be there: {error}");
            journal.emit(Event::new(Kind::Degraded, Actor::Kernel).text(text));
        }
        Told { absent, lost, left: left.map(|error| error.to_string()) }
    }
}

/// Which functions the trace has, and which it would have.
fn tell_what_is_traced(journal: &Journal, tracefs: &Tracefs) {
    let mut names: Vec<_> = tracefs.probes.iter().map(|(_, probe)| probe.function.name).collect();
    names.dedup();
    let event = Event::new(Kind::KernelTrace, Actor::Kernel).value(names.len() as u64);
    journal.emit(event.text(names.join(" ")));
    for (name, errno) in &tracefs.absent {
        let text = format!("kernel trace: {name} cannot be traced: {errno}");
        let event = Event::new(Kind::Degraded, Actor::Kernel).result(-errno.raw_os_error());
        journal.emit(event.text(text));
    }
}

impl Precede for Recorder {
    fn precede(&self, event: &Event, time_ns: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = state.as_mut() else { return };
        state.read();
        state.write_until(&self.journal, time_ns);
        state.own.event(thread(), event);
    }
}

/// The calling thread, as the kernel numbers it.
fn thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

impl State {
    /// Takes what the buffers have.
    fn read(&mut self) {
        let before = self.pending.len();
        for at in 0..self.tracefs.buffers.len() {
            self.read_one(at);
        }
        if self.pending.len() > before {
            // Stable: records of the same moment stay in the order of their CPU.
            self.pending.sort_by_key(|record| record.time_ns);
        }
    }

    fn read_one(&mut self, at: usize) {
        while let Ok(length @ 1..) = read(&mut self.tracefs.buffers[at], &mut self.chunk) {
            match ring::page(&self.chunk[..length]) {
                Some(ring::Page { records, missed }) => {
                    self.lost += missed;
                    let probes = &self.tracefs.probes;
                    self.pending.extend(records.iter().filter_map(|raw| record(raw, probes)));
                }
                // Of a kernel that writes its pages otherwise.
                None => self.lost += 1,
            }
        }
    }

    /// Writes what was before that moment.
    fn write_until(&mut self, journal: &Journal, time_ns: u64) {
        let due = self.pending.partition_point(|record| record.time_ns <= time_ns);
        let due: Vec<Record> = self.pending.drain(..due).collect();
        for record in due {
            self.write(journal, &record);
        }
    }

    fn write(&mut self, journal: &Journal, record: &Record) {
        let Record { time_ns, probe, thread, value } = *record;
        // In an interrupt there is one stack, whoever was interrupted.
        let stack = thread.unwrap_or(0);
        let name = probe.function.name;
        match probe.what {
            Moment::Entry { .. } if self.inside.has_room() => {
                let step = journal.begin(self.entered(probe, thread, value).at(time_ns));
                self.inside.entered(stack, name, step);
            }
            Moment::Entry { .. } => self.lost += 1,
            Moment::Return { .. } => {
                // One without was entered before the probes were set.
                if let Some((step, above)) = self.inside.returned(stack, name) {
                    self.unreturned += above as u64;
                    end(journal, step, time_ns, value);
                }
            }
        }
    }

    fn entered(&self, probe: Probe, thread: Option<u32>, value: Option<u64>) -> Event {
        let text = match (probe.function.argument, value) {
            (Some((argument, _)), Some(value)) => format!("{} {argument}={value}", probe.function.name),
            _ => probe.function.name.to_owned(),
        };
        let mut event = Event::new(Kind::KernelStep, Actor::Kernel).seen_by(SeenBy::Kprobe).text(text);
        if let Some(about) = thread.and_then(|thread| self.own.of(thread)) {
            event = event.device(about.device).trigger(about.trigger);
            event.bar = about.bar;
        }
        event.value = thread.map(u64::from);
        event
    }
}

fn end(journal: &Journal, step: Step, time_ns: u64, value: Option<u64>) {
    journal.end_with(step, |event| {
        let event = event.at(time_ns);
        match value {
            Some(value) => event.result(value as i32),
            None => event,
        }
    });
}

/// `trace_pipe_raw` without waiting: 0 where there is nothing.
fn read(buffer: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    buffer.read(chunk)
}

fn record(raw: &ring::Raw<'_>, probes: &[(u16, Probe)]) -> Option<Record> {
    let number = u16::from_le_bytes(raw.payload.get(..2)?.try_into().ok()?);
    let probe = probes.iter().find(|(id, _)| *id == number)?.1;
    let pid = i32::from_le_bytes(raw.payload.get(PID..PID + 4)?.try_into().ok()?);
    let interrupt = raw.payload.get(FLAGS)? & IN_INTERRUPT != 0;
    let field = match probe.what {
        Moment::Entry { argument } => argument,
        Moment::Return { value } => value,
    };
    let value = field.and_then(|field| field.of(raw.payload));
    let thread = (!interrupt).then(|| pid.cast_unsigned());
    Some(Record { time_ns: raw.time_ns, probe, thread, value })
}
