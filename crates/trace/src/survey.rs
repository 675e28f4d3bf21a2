//! What there is in a journal: the first of two readings.

use crate::Damages;
use barkeep_check::{Checker, Ended, Verdict};
use barkeep_journal::{Actor, DeviceAddress, Event, Header, Kind, Phase};
use barkeep_report::Damage;
use barkeep_report::names::Names;
use barkeep_timeline::{Follower, Handled, Numbers, Point, Selection, Told};
use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

/// Devices whose names are remembered.
const DEVICES: usize = 256;

/// A stretch of a journal: places and moments of its first event and its last, nanoseconds of the run's
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Places in the journal, both included.
    pub seq: (u64, u64),
    /// Nanoseconds of the run's clock.
    pub ns: (u64, u64),
}

/// All that is known after one reading.
#[derive(Debug)]
pub struct Survey {
    /// Lane and clock.
    pub header: Header,
    /// What could not be read.
    pub damages: Damages,
    /// Its numbers.
    pub numbers: Numbers,
    /// The checker's word.
    pub verdict: Verdict,
    /// What devices are called.
    pub names: Names,
    /// Their addresses, by name.
    pub devices: BTreeMap<String, DeviceAddress>,
    /// Where the point that was asked for is: all of the event that is handled there, for a revoke.
    pub point: Option<Stretch>,
    /// The place of the last event that was over at the point itself: what is let through is let through, and a
    /// fault that was told later was at its own time.
    pub point_seq: Option<u64>,
    /// What the run was of: the text of its first event.
    pub title: String,
    /// The place of the last event before what ends every run: the end of the scenario's last action.
    pub last_action: u64,
}

/// Neither a device's name nor its address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no device `{name}` in this journal; it has {there}")]
pub struct NoDevice {
    name: String,
    there: String,
}

impl Survey {
    /// Reads a journal, and looks for a point in it.
    ///
    /// # Errors
    /// It is none.
    pub fn of<R: BufRead>(lines: R, point: Option<Point>) -> Result<Self, Damage> {
        let mut numbers = Numbers::new();
        let (mut follower, mut checker) = (Follower::new(), Checker::new());
        let (mut names, mut devices) = (Names::default(), BTreeMap::new());
        let (mut title, mut status) = (String::new(), 0);
        let (mut last_action, mut traced) = (u64::MAX, false);
        let mut search = Search { point, ..Search::default() };
        let (header, damages) = crate::read(lines, |event, _| {
            numbers.event(event);
            follower.event(event, &mut Both(&mut numbers, &mut search));
            search.event(event, numbers.start_ns());
            checker.event(event);
            match event.kind {
                Kind::RunStart if title.is_empty() => title.clone_from(&event.text),
                Kind::Action if event.phase == Phase::End && event.actor == Actor::Scenario => {
                    last_action = event.seq;
                }
                Kind::KernelTrace => traced = true,
                Kind::RunEnd => status = event.result.unwrap_or(0),
                Kind::DeviceOpen => {
                    if let Some(address) = event.device.filter(|_| devices.len() < DEVICES) {
                        names.opened(event);
                        devices.insert(names.short(event.device), address);
                    }
                }
                _ => {}
            }
        })?;
        follower.finish(&mut Both(&mut numbers, &mut search));
        if traced {
            title += ", with kernel trace";
        }
        let verdict = checker.finish(Ended::ByItself(status));
        let (point_seq, point) = (search.seq, search.found());
        Ok(Self { header, damages, numbers, verdict, names, devices, point, point_seq, title, last_action })
    }

    /// A device by its name or address.
    ///
    /// # Errors
    /// The journal has none.
    pub fn device(&self, name: &str) -> Result<DeviceAddress, NoDevice> {
        let known = self.devices.get(name).copied();
        let address = || name.parse().ok().filter(|address| self.devices.values().any(|a| a == address));
        known.or_else(address).ok_or_else(|| NoDevice { name: name.to_owned(), there: self.device_list() })
    }

    fn device_list(&self) -> String {
        let list: Vec<_> = self.devices.iter().map(|(name, address)| format!("{name} ({address})")).collect();
        if list.is_empty() { "none that was opened".to_owned() } else { list.join(", ") }
    }

    /// The moments of a drawing: what was selected, or all of the run; begin and end, nanoseconds of the
    /// run's clock. A point has some room around it.
    pub fn moments(&self, selection: &Selection) -> (u64, u64) {
        let (first, last) = self.numbers.span.unwrap_or_default();
        let around = self.point.map(|Stretch { ns: (begin, end), .. }| {
            let room = (end.saturating_sub(begin) / 8).max(20_000);
            (begin.saturating_sub(room).max(first), end.saturating_add(room).min(last))
        });
        let (begin, end) = around.unwrap_or((first, last));
        let begin = selection.from_ns.map_or(begin, |from| from.max(begin));
        let end = selection.to_ns.map_or(end, |to| to.min(end));
        (begin, end.max(begin))
    }
}

/// Shows the same to two.
pub(crate) struct Both<'a, A, B>(pub &'a mut A, pub &'a mut B);

impl<A: Told, B: Told> Told for Both<'_, A, B> {
    fn slice(&mut self, slice: barkeep_timeline::Slice) {
        self.0.slice(slice.clone());
        self.1.slice(slice);
    }

    fn outage(&mut self, outage: barkeep_timeline::Outage) {
        self.0.outage(outage);
        self.1.outage(outage);
    }

    fn edge(&mut self, device: DeviceAddress, edge: barkeep_timeline::Edge, event: &Event) {
        self.0.edge(device, edge, event);
        self.1.edge(device, edge, event);
    }

    fn handled(&mut self, handled: Handled) {
        self.0.handled(handled.clone());
        self.1.handled(handled);
    }

    fn revoke(&mut self, number: u64, event: &Event) {
        self.0.revoke(number, event);
        self.1.revoke(number, event);
    }

    fn first_dma(&mut self, restored_ns: u64, event: &Event) {
        self.0.first_dma(restored_ns, event);
        self.1.first_dma(restored_ns, event);
    }
}

/// Looks for a point.
#[derive(Default)]
struct Search {
    point: Option<Point>,
    /// The point itself.
    at: Option<Stretch>,
    /// All of the event that was handled there.
    whole: Option<Stretch>,
    last: (u64, u64),
    /// As [`Survey::point_seq`].
    seq: Option<u64>,
    /// Places and times of the last events.
    recent: VecDeque<(u64, u64)>,
}

/// Events among which the one is looked for that was over when something happened that was told later.
const RECENT: usize = 4096;

impl Search {
    fn event(&mut self, event: &Event, start_ns: u64) {
        self.last = (event.seq, event.time_ns.max(self.last.1));
        let here = match self.point {
            Some(Point::Seq(seq)) => event.seq >= seq,
            Some(Point::Time(moment)) => {
                event.kind != Kind::KernelLog && event.time_ns >= start_ns.saturating_add(moment.0)
            }
            Some(Point::Revoke(_)) | None => false,
        };
        if here {
            self.is_here(event);
        }
        if self.point.is_some() && self.at.is_none() && event.kind != Kind::KernelLog {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((event.seq, event.time_ns));
        }
    }

    fn is_here(&mut self, event: &Event) {
        let Event { seq, time_ns, .. } = *event;
        if self.seq.is_none() {
            let earlier = self.recent.iter().rev().find(|(_, ns)| *ns <= time_ns);
            let told_later = event.kind == Kind::Faulted;
            self.seq = earlier.filter(|_| told_later).map(|(seq, _)| *seq).or(Some(seq));
        }
        self.at.get_or_insert(Stretch { seq: (seq, seq), ns: (time_ns, time_ns) });
    }

    fn found(self) -> Option<Stretch> {
        self.whole.or(self.at)
    }
}

impl Told for Search {
    fn revoke(&mut self, number: u64, event: &Event) {
        if self.point == Some(Point::Revoke(number)) {
            self.is_here(event);
        }
    }

    fn handled(&mut self, handled: Handled) {
        if let Some(Point::Revoke(number)) = self.point
            && handled.revoke == Some(number)
        {
            let (end, end_ns) = handled.ended.unwrap_or(self.last);
            let (begin, begin_ns) = handled.begun;
            self.whole = Some(Stretch { seq: (begin, end.max(begin)), ns: (begin_ns, end_ns.max(begin_ns)) });
        }
    }
}
