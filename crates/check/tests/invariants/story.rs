//! Small journals, told the way the driver loop writes them.

use barkeep_check::{Checker, Ended, Invariant, Verdict};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};

pub const DEVICE: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 3 << 3 };
pub const ENGINE: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 4 << 3 };
pub const BAR: u8 = 2;
pub const AT: u64 = 0xfe00_0000;
pub const SIZE: u64 = 0x1000;
pub const LIVE: u64 = 1;
pub const OFF: u64 = 0;
pub const D3: u64 = 3 << 8 | 1;

/// What differs from the ordinary in one event being handled.
#[derive(Clone, Copy)]
pub struct How {
    pub trigger: Trigger,
    pub result: i32,
    pub found: u64,
    pub unmap: i32,
    pub map: Option<i32>,
    pub slot: Option<i32>,
}

/// A trigger after which the function decodes and everything comes back.
pub const fn restored(trigger: Trigger) -> How {
    How { trigger, result: 0, found: LIVE, unmap: 0, map: Some(0), slot: Some(0) }
}

/// A trigger after which it does not decode.
pub const fn away(trigger: Trigger) -> How {
    How { trigger, result: 0, found: OFF, unmap: 0, map: None, slot: None }
}

pub struct Story {
    checker: Checker,
    seq: u64,
    step: u32,
    passed_ns: u64,
    slot_in: bool,
    mapped: bool,
    generation: u64,
}

impl Story {
    /// A run with one device, one exported window, mapped.
    pub fn new() -> Self {
        let mut story = Self::bare();
        story.point(Event::new(Kind::DeviceOpen, Actor::Vmm).device(DEVICE).text("nvme 1b36:0010"));
        story.step(Event::new(Kind::BarExport, Actor::Vmm).device(DEVICE).bar(BAR).range(0, SIZE), 0);
        story.handle(restored(Trigger::Start));
        story
    }

    /// A run with nothing but its start.
    pub fn bare() -> Self {
        let checker = Checker::new();
        let mut story =
            Self { checker, seq: 0, step: 0, passed_ns: 0, slot_in: false, mapped: false, generation: 0 };
        story.point(Event::new(Kind::RunStart, Actor::Vmm).text("0.1.0"));
        story
    }

    pub fn restoring_within(mut self, ns: u64) -> Self {
        self.checker = self.checker.restoring_within(ns);
        self
    }

    /// Time goes by.
    pub fn passes(&mut self, ns: u64) {
        self.passed_ns += ns;
    }

    pub fn point(&mut self, mut event: Event) -> u64 {
        event.seq = self.seq;
        event.time_ns = self.seq * 1000 + self.passed_ns;
        self.seq += event.text.len().div_ceil(64).max(1) as u64;
        self.checker.event(&event);
        event.seq
    }

    pub fn begin(&mut self, mut event: Event) -> Event {
        self.step += 1;
        event.phase = Phase::Begin;
        event.step = self.step;
        self.point(event.clone());
        event
    }

    pub fn end(&mut self, mut begin: Event, result: i32) {
        begin.phase = Phase::End;
        begin.text.clear();
        self.point(begin.result(result));
    }

    pub fn step(&mut self, event: Event, result: i32) {
        let begin = self.begin(event);
        self.end(begin, result);
    }

    /// An event from the withdrawal of the slot to the keeper's belief.
    pub fn handle(&mut self, how: How) {
        self.withdraw(how.trigger);
        self.let_through(how.trigger, how.result);
        self.find_out(how.trigger, how.found);
        if self.mapped && barely_revokes(how.trigger) {
            self.step(about(Kind::P2pUnmap, how.trigger), how.unmap);
            self.mapped = false;
        }
        if let Some(result) = how.map.filter(|_| !self.mapped) {
            self.map(how.trigger, result);
        }
        if let Some(result) = how.slot {
            self.put_back(how.trigger, result);
        }
        self.expect(how.trigger, how.found);
        if closes(how.trigger) {
            self.point(about(Kind::DeviceClose, how.trigger));
        }
    }

    pub fn withdraw(&mut self, trigger: Trigger) {
        if self.slot_in && trigger != Trigger::Suspect {
            self.generation += 1;
            let mut outage = about(Kind::Outage, trigger).value(self.generation);
            outage.phase = Phase::Begin;
            self.point(outage);
            self.step(about(Kind::SlotRemove, trigger), 0);
            self.slot_in = false;
        }
    }

    pub fn let_through(&mut self, trigger: Trigger, result: i32) {
        if !matches!(trigger, Trigger::Start | Trigger::Suspect) {
            self.step(named(Kind::Trigger, trigger), result);
        }
    }

    pub fn find_out(&mut self, trigger: Trigger, found: u64) {
        let begin = self.begin(named(Kind::FindOut, trigger));
        match trigger {
            Trigger::Close | Trigger::Remove => self.end(begin, -19),
            _ => self.end(begin.value(found), 0),
        }
    }

    pub fn map(&mut self, trigger: Trigger, result: i32) {
        self.step(about(Kind::P2pMap, trigger), result);
        self.mapped = result == 0;
    }

    pub fn put_back(&mut self, trigger: Trigger, result: i32) {
        self.step(about(Kind::SlotAdd, trigger), result);
        if result == 0 {
            let mut outage = about(Kind::Outage, trigger).value(self.generation);
            outage.phase = Phase::End;
            self.point(outage);
            self.slot_in = true;
        }
    }

    pub fn expect(&mut self, trigger: Trigger, found: u64) {
        let live = found == LIVE && !closes(trigger);
        self.point(named(Kind::Expect, trigger).value(u64::from(live)));
    }

    pub fn dma(&mut self, pattern: u64) -> u64 {
        let event = Event::new(Kind::DmaStart, Actor::Device).device(ENGINE);
        self.point(event.range(AT + 0x100, 256).value(pattern))
    }

    pub fn landed(&mut self, by: &str, value: u64) {
        let event = Event::new(Kind::Landed, Actor::Guest).device(DEVICE).bar(BAR);
        self.point(event.range(0x100, 4).value(value).text(by));
    }

    pub fn attach_probe(&mut self, result: i32) {
        self.point(Event::new(Kind::AttachProbe, Actor::Vmm).device(DEVICE).bar(BAR).result(result));
    }

    pub fn action(&mut self, text: &str) -> Event {
        self.begin(Event::new(Kind::Action, Actor::Scenario).text(text))
    }

    /// Closes the device, ends the run.
    pub fn closed(mut self) -> Verdict {
        self.handle(away(Trigger::Close));
        self.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
        self.over()
    }

    /// Ends the run of a device that is closed already.
    pub fn over_after_the_dma_buf(mut self) -> Verdict {
        self.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
        self.over()
    }

    /// Ends the run as it is.
    pub fn over(mut self) -> Verdict {
        self.point(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
        self.stops(Ended::ByItself(0))
    }

    pub fn footprint(&self) -> usize {
        self.checker.footprint()
    }

    pub fn stops(self, ended: Ended) -> Verdict {
        self.checker.finish(ended)
    }
}

pub fn about(kind: Kind, trigger: Trigger) -> Event {
    named(kind, trigger).bar(BAR).range(AT, SIZE)
}

pub fn named(kind: Kind, trigger: Trigger) -> Event {
    Event::new(kind, Actor::Keeper).device(DEVICE).trigger(trigger)
}

fn closes(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Close | Trigger::Remove)
}

pub fn barely_revokes(trigger: Trigger) -> bool {
    !matches!(trigger, Trigger::Start | Trigger::DecodeOn | Trigger::D0 | Trigger::BarMove)
}

/// Asserts that nothing is wrong.
#[track_caller]
pub fn holds(verdict: &Verdict) {
    assert!(verdict.findings.is_empty(), "{:#?}", verdict.findings);
    assert_eq!(verdict.exit_code(), 0);
}

/// Asserts that this, and only this, is found.
#[track_caller]
pub fn breaks(verdict: &Verdict, invariant: Invariant, what: &str) {
    let found: Vec<_> = verdict.findings.iter().map(|f| (f.invariant, f.what.as_str())).collect();
    assert_eq!(found, [(invariant, what)]);
}
