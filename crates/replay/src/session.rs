//! A run, and somebody who looks at it.

use crate::command::{Command, HELP, Place};
use crate::hex;
use crate::run::{Refused, Run};
use crate::scene::Scene;
use barkeep_check::{Checker, Ended, Verdict, revokes};
use barkeep_journal::{DeviceAddress, Event, Kind, Phase};
use barkeep_report::names::Names;
use barkeep_timeline::{Moment, Point};
use barkeep_trace::said;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Steps under way whose texts are kept.
const STEPS: usize = 4096;

/// Where it stops by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The first stop.
    pub until: Option<Point>,
    /// At each finding of the checker's.
    pub watch: bool,
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The run is over, by itself, with this status.
    Over(i32),
    /// Somebody has left it.
    Left,
    /// The point it was to stop at is not in it.
    NeverThere(Point),
}

/// Why it stands.
enum Stop {
    Reached,
    Found,
    Over,
}

/// The session. What it shows goes to `out`.
pub struct Session<R, W> {
    run: R,
    out: W,
    seen: Seen,
    watch: bool,
    until: Option<Point>,
    over: bool,
}

/// What the run has written so far.
#[derive(Default)]
struct Seen {
    events: u64,
    revokes: u64,
    last: Option<Event>,
    /// The number of the last event, if it is a revoke.
    revoke: Option<u64>,
    start_ns: Option<u64>,
    /// What steps under way are, which say it at their begin alone.
    steps: BTreeMap<u32, String>,
    status: Option<i32>,
    scene: Scene,
    checker: Checker,
    findings: usize,
}

impl Seen {
    fn event(&mut self, event: Event) {
        self.events += 1;
        let log = matches!(event.kind, Kind::KernelLog | Kind::Lost);
        if !log {
            self.start_ns.get_or_insert(event.time_ns);
        }
        self.revoke = None;
        if (event.kind, event.phase) == (Kind::Trigger, Phase::Begin) && revokes(event.trigger) {
            self.revokes += 1;
            self.revoke = Some(self.revokes);
        }
        if event.kind == Kind::RunEnd {
            self.status = event.result;
        }
        self.checker.event(&event);
        if event.phase == Phase::Begin && self.steps.len() < STEPS && !event.text.is_empty() {
            self.steps.insert(event.step, event.text.clone());
        }
        let line = self.line(&event);
        self.scene.event(&event, line);
        if let Some(before) = self.last.take().filter(|last| last.phase == Phase::End) {
            self.steps.remove(&before.step);
        }
        self.last = Some(event);
    }

    fn line(&self, event: &Event) -> String {
        let since = event.time_ns.saturating_sub(self.start_ns.unwrap_or(event.time_ns));
        let revoke = self.revoke.map_or_else(String::new, |number| format!("  [revoke:{number}]"));
        let time = format!("{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1000);
        let what = match self.steps.get(&event.step).filter(|_| event.phase == Phase::End) {
            Some(text) if event.kind == Kind::KernelStep => format!("{text}  {}", said(event, self.names())),
            Some(text) if event.kind == Kind::Action => format!("{}: {text}", said(event, self.names())),
            _ => said(event, self.names()),
        };
        format!("seq {:>5} {time:>10} s  {what}{revoke}", event.seq)
    }

    fn names(&self) -> &Names {
        self.scene.names()
    }

    /// Whether the last event is a point, or the first one behind it.
    fn is_at(&self, point: Point) -> bool {
        let Some(last) = &self.last else { return false };
        match point {
            Point::Revoke(number) => self.revoke == Some(number),
            Point::Seq(seq) => last.seq >= seq,
            Point::Time(Moment(ns)) => {
                let start = self.start_ns.unwrap_or(u64::MAX);
                last.kind != Kind::KernelLog && last.time_ns >= start.saturating_add(ns)
            }
        }
    }

    /// Whether something was found that had not been before.
    fn finds(&mut self) -> bool {
        let before = std::mem::replace(&mut self.findings, self.checker.findings().len());
        self.findings > before
    }
}

impl<R: Run, W: Write> Session<R, W> {
    /// One that has not begun.
    pub fn new(run: R, out: W, options: Options) -> Self {
        let Options { until, watch } = options;
        Self { run, out, seen: Seen::default(), watch, until, over: false }
    }

    /// Goes to the first stop. `None`: somebody may look there.
    ///
    /// # Errors
    /// The run came to an end that is none; what is shown goes nowhere.
    pub fn begin(&mut self) -> io::Result<Option<End>> {
        let stop = match self.until {
            Some(point) => self.go_until(|seen| seen.is_at(point)),
            None if self.watch => self.go_until(|_| false),
            None => self.go_until(|seen| seen.events == 1),
        };
        match (self.stopped(stop)?, self.until) {
            (Stop::Over, Some(point)) if !self.watch => Ok(Some(End::NeverThere(point))),
            (Stop::Over, _) => Ok(Some(self.end())),
            (Stop::Reached | Stop::Found, _) => {
                let stands = self.run.stand();
                if let Some(said) = stands.unwrap_or_else(|Refused(why)| Some(why)) {
                    writeln!(self.out, "{said}")?;
                }
                Ok(None)
            }
        }
    }

    /// Does what a command says; gives how the session ends, if it does.
    ///
    /// # Errors
    /// Those of the output.
    pub fn command(&mut self, command: &Command) -> io::Result<Option<End>> {
        let stop = match command {
            Command::Inspect(place) => {
                self.about(place.as_ref(), |seen, device, bar| seen.scene.inspect(device, bar))?;
                return Ok(None);
            }
            Command::History(place) => {
                self.about(place.as_ref(), |seen, device, bar| {
                    seen.scene.history(device, bar).into_iter().map(str::to_owned).collect()
                })?;
                return Ok(None);
            }
            Command::Bytes { place, offset, length } => {
                return self.bytes(place, *offset, *length).map(|()| None);
            }
            Command::Mappings => {
                let lines = self.run.mappings();
                self.lines_or_why(lines)?;
                return Ok(None);
            }
            Command::Event => {
                self.where_it_stands()?;
                return Ok(None);
            }
            Command::Findings => {
                self.findings()?;
                return Ok(None);
            }
            Command::Help => {
                for (words, what) in HELP {
                    writeln!(self.out, "  {words:<36}{what}")?;
                }
                return Ok(None);
            }
            Command::Watch(on) => {
                self.watch = *on;
                return Ok(None);
            }
            Command::Quit => return Ok(Some(self.left())),
            Command::Step(count) => {
                let to = self.seen.events.saturating_add(*count);
                self.go_until(|seen| seen.events >= to)
            }
            Command::NextRevoke => self.go_until(|seen| seen.revoke.is_some()),
            Command::Until(point) => {
                let point = *point;
                self.go_until(|seen| seen.is_at(point))
            }
            Command::Continue => self.go_until(|_| false),
            Command::Back(count) => self.back(*count),
        };
        self.stopped(stop)?;
        Ok(None)
    }

    /// The verdict on what was seen.
    pub fn finish(self) -> (R, Verdict) {
        let status = self.seen.status.unwrap_or(0);
        (self.run, self.seen.checker.finish(Ended::ByItself(status)))
    }

    /// Lets a debugger in ([`Run::let_debugger_in`]), and waits for the end of the run.
    ///
    /// # Errors
    /// Those of the output.
    pub fn let_debugger_in(&mut self) -> io::Result<End> {
        let lines = self.run.let_debugger_in();
        let is_in = lines.is_ok();
        self.lines_or_why(lines)?;
        self.out.flush()?;
        if is_in {
            let ended = self.run.wait_for_debugger();
            self.lines_or_why(ended)?;
        }
        Ok(End::Left)
    }

    /// How it ends where nobody says anything more.
    pub fn left(&self) -> End {
        if self.over { self.end() } else { End::Left }
    }

    /// The run.
    pub fn run(&mut self) -> &mut R {
        &mut self.run
    }

    fn end(&self) -> End {
        End::Over(self.seen.status.unwrap_or(0))
    }

    fn go_until(&mut self, there: impl Fn(&Seen) -> bool) -> Result<Stop, Refused> {
        while !self.over {
            match self.run.next_event()? {
                None => self.over = true,
                Some(event) => {
                    self.seen.event(event);
                    let found = self.seen.finds();
                    if found && self.watch {
                        return Ok(Stop::Found);
                    }
                    if there(&self.seen) {
                        return Ok(Stop::Reached);
                    }
                }
            }
        }
        Ok(Stop::Over)
    }

    fn back(&mut self, count: u64) -> Result<Stop, Refused> {
        let to = self.seen.events.saturating_sub(count).max(1);
        self.run.again()?;
        (self.seen, self.over) = (Seen::default(), false);
        // What it stopped at on the way here is behind it.
        let watch = std::mem::replace(&mut self.watch, false);
        let stop = self.go_until(|seen| seen.events >= to);
        self.watch = watch;
        stop
    }

    fn stopped(&mut self, stop: Result<Stop, Refused>) -> io::Result<Stop> {
        match stop {
            Ok(stop @ Stop::Reached) => {
                self.where_it_stands()?;
                Ok(stop)
            }
            Ok(stop @ Stop::Found) => {
                self.where_it_stands()?;
                let last = self.seen.checker.findings().last();
                if let Some(finding) = last {
                    writeln!(self.out, "  {}: {}", finding.invariant, finding.what)?;
                }
                Ok(stop)
            }
            Ok(stop @ Stop::Over) => {
                writeln!(self.out, "the run is over, after {} events", self.seen.events)?;
                Ok(stop)
            }
            Err(Refused(why)) => {
                writeln!(self.out, "{why}")?;
                Ok(if self.over { Stop::Over } else { Stop::Reached })
            }
        }
    }

    fn where_it_stands(&mut self) -> io::Result<()> {
        match &self.seen.last {
            None => writeln!(self.out, "before the first event"),
            Some(event) => writeln!(self.out, "{}", self.seen.line(event)),
        }
    }

    fn findings(&mut self) -> io::Result<()> {
        let findings = self.seen.checker.findings();
        if findings.is_empty() {
            return writeln!(self.out, "nothing found so far");
        }
        for finding in findings {
            writeln!(self.out, "seq {:>5}  {}: {}", finding.seq, finding.invariant, finding.what)?;
        }
        Ok(())
    }

    fn about(
        &mut self,
        place: Option<&Place>,
        lines: impl Fn(&Seen, Option<DeviceAddress>, Option<u8>) -> Vec<String>,
    ) -> io::Result<()> {
        let found = match place {
            None => Ok((None, None)),
            Some(place) => self.device(place).map(|device| (Some(device), place.bar)),
        };
        let lines = found.map(|(device, bar)| lines(&self.seen, device, bar));
        self.lines_or_why(lines)
    }

    fn bytes(&mut self, place: &Place, offset: u64, length: usize) -> io::Result<()> {
        let device = self.device(place);
        let bytes = device.and_then(|device| self.run.bytes(device, place.bar.unwrap_or(0), offset, length));
        self.lines_or_why(bytes.map(|bytes| hex::dump(offset, &bytes)))
    }

    fn device(&self, place: &Place) -> Result<DeviceAddress, Refused> {
        let unknown = || Refused(format!("there is no device {} in this run, or not yet", place.device));
        self.seen.scene.device(&place.device).ok_or_else(unknown)
    }

    fn lines_or_why(&mut self, lines: Result<Vec<String>, Refused>) -> io::Result<()> {
        match lines {
            Ok(lines) if lines.is_empty() => writeln!(self.out, "nothing yet"),
            Ok(lines) => lines.iter().try_for_each(|line| writeln!(self.out, "{line}")),
            Err(Refused(why)) => writeln!(self.out, "{why}"),
        }
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
