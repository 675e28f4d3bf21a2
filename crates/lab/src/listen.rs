//! Reads the journal while the machine writes it, until the machine is gone.

use crate::child::Qemu;
use crate::command_line::JOURNAL_SIZE;
use crate::console;
use crate::error::{EXIT_TESTBED, LabError};
use crate::hang::Hang;
use crate::parcel::{self, UnpackError};
use crate::results::Results;
use crate::scratch::Scratch;
use crate::signals::Signals;
use barkeep_journal::{Actor, Event, Header, Kind, Reader};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// How often the journal is looked at.
const PERIOD: Duration = Duration::from_millis(20);
/// How long a machine that has finished may take to switch itself off.
const GRACE: Duration = Duration::from_secs(10);

/// Why listening ended. The machine is gone in every case.
pub(crate) enum Stop {
    /// The run ended by itself with this status.
    Finished(i32),
    /// QEMU ended without that.
    Ended(ExitStatus),
    /// Too much wall time went by.
    TimedOut,
    /// Nothing more will come of it, as this line of the kernel's log says.
    Hangs(String),
    /// A signal came.
    Signal(i32),
}

/// Everything a running machine has outside.
pub(crate) struct Listener<'a> {
    qemu: Qemu,
    scratch: Scratch,
    results: Results,
    reader: Option<Reader>,
    /// When it was started, or the last run in it began.
    since: Instant,
    hang: Hang,
    on_event: &'a mut dyn FnMut(&Event, Header),
}

impl<'a> Listener<'a> {
    pub(crate) fn new(
        qemu: Qemu,
        scratch: Scratch,
        results: Results,
        on_event: &'a mut dyn FnMut(&Event, Header),
    ) -> Self {
        Self { qemu, scratch, results, reader: None, since: Instant::now(), hang: Hang::default(), on_event }
    }

    /// Hands events on until the machine is gone, or has to go.
    pub(crate) fn listen(&mut self, signals: &Signals, timeout: Duration) -> Result<Stop, LabError> {
        let mut finished_at = None;
        let stop = loop {
            let ended = self.qemu.ended().map_err(LabError::Spawn)?;
            self.hand_on()?;
            let finished = self.reader.as_ref().and_then(Reader::finished);
            if finished.is_some() {
                finished_at.get_or_insert_with(Instant::now);
            }
            let overstayed = finished_at.is_some_and(|at: Instant| at.elapsed() > GRACE);
            match (finished, ended) {
                (Some(status), ended) if ended.is_some() || overstayed => break Stop::Finished(status),
                (None, Some(status)) => break Stop::Ended(status),
                _ => {}
            }
            if let Some(signal) = signals.seen() {
                break Stop::Signal(signal);
            }
            if finished.is_none() && self.since.elapsed() > timeout {
                break Stop::TimedOut;
            }
            if let Some(line) = self.hang.line() {
                break Stop::Hangs(line.to_owned());
            }
            thread::sleep(PERIOD);
        };
        self.qemu.kill();
        self.hand_on()?;
        self.hand_on_rest()?;
        Ok(stop)
    }

    /// Whether the kernel started PID 1: that is who sets the journal up.
    pub(crate) fn reached_init(&self) -> bool {
        self.reader.is_some()
    }

    pub(crate) fn last(&self) -> Option<&Event> {
        self.results.last()
    }

    /// Writes the files that came out to the results. An inner half that failed may not have
    /// got so far; the journal says why.
    pub(crate) fn unpack(&mut self, status: i32) -> Result<Vec<String>, LabError> {
        match parcel::unpack(&self.scratch.parcel, self.results.dir()) {
            Err(UnpackError::Unpacked) if status == EXIT_TESTBED => Ok(Vec::new()),
            names => names.map_err(|error| LabError::Parcel(error.to_string())),
        }
    }

    /// Ends the journal with why, and gives what QEMU said.
    pub(crate) fn failed(&mut self, why: &str) -> Result<String, LabError> {
        self.add(Event::new(Kind::Degraded, Actor::Lab).text(why))?;
        self.results.flush()?;
        Ok(self.qemu.said())
    }

    /// Ends the journal with the console's last lines, and gives them.
    pub(crate) fn last_words(&mut self) -> Result<Vec<String>, LabError> {
        let lines = console::last_lines(&self.results.console());
        for line in &lines {
            let event = Event::new(Kind::KernelLog, Actor::Lab);
            match console::stamped(line) {
                Some((time, text)) => self.add_at(event.text(text), Some(time))?,
                None => self.add(event.text(line.as_str()))?,
            }
        }
        self.failed("the machine went down before the run was over")?;
        Ok(lines)
    }

    fn add(&mut self, event: Event) -> Result<(), LabError> {
        self.add_at(event, None)
    }

    fn add_at(&mut self, event: Event, time_ns: Option<u64>) -> Result<(), LabError> {
        let mut event = self.results.placed(event);
        event.time_ns = time_ns.unwrap_or(event.time_ns);
        self.hand_on_one(&event)
    }

    fn hand_on(&mut self) -> Result<(), LabError> {
        self.join();
        while let Some(event) = self.reader.as_mut().and_then(Reader::next_event) {
            self.hand_on_one(&event)?;
        }
        self.results.flush()
    }

    fn hand_on_rest(&mut self) -> Result<(), LabError> {
        while let Some(event) = self.reader.as_mut().and_then(Reader::next_after_death) {
            self.hand_on_one(&event)?;
        }
        self.results.flush()
    }

    fn hand_on_one(&mut self, event: &Event) -> Result<(), LabError> {
        if event.kind == Kind::RunStart {
            self.since = Instant::now();
        }
        self.hang.hear(event);
        self.results.write(event)?;
        (self.on_event)(event, self.results.header());
        Ok(())
    }

    /// Maps the journal once PID 1 has set it up.
    fn join(&mut self) {
        if self.reader.is_none()
            && let Ok(file) = self.scratch.journal.try_clone()
            && let Ok(reader) = Reader::open(file, JOURNAL_SIZE)
        {
            self.reader = Some(reader);
        }
    }
}
