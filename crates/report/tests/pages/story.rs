//! A journal to be shown, told the way the driver loop writes it.

use barkeep_journal::{Actor, Clock, DeviceAddress, Event, Header, Kind, Lane, Phase, Trigger};

pub const HEADER: Header = Header { lane: Lane::Lab, clock: Clock::Virtual };
pub const NVME: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 3 << 3 };
pub const EDU: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 4 << 3 };
const US: u64 = 1000;

#[derive(Default)]
pub struct Story {
    pub events: Vec<Event>,
    now: u64,
    step: u32,
}

impl Story {
    pub fn new() -> Self {
        let mut story = Self { now: 5_000 * US, ..Self::default() };
        story.point(Event::new(Kind::RunStart, Actor::Vmm).text("barkeep 0.1.0: main-job"));
        story.point(Event::new(Kind::DeviceOpen, Actor::Vmm).device(NVME).text("nvme 1b36:0010"));
        story.point(Event::new(Kind::DeviceOpen, Actor::Vmm).device(EDU).text("edu 1234:11e8"));
        story.step(about(Kind::BarExport, Trigger::None).range(0, 0x1000), 10, 0);
        story.find_out(Trigger::Start, 1);
        story.maps(Trigger::Start, 0);
        story.slots(Trigger::Start);
        story.expect(Trigger::Start, 1);
        story
    }

    pub fn wait(&mut self, us: u64) {
        self.now += us * US;
    }

    pub fn point(&mut self, mut event: Event) {
        event.seq = self.events.last().map_or(0, |e: &Event| e.seq + e.text.len().div_ceil(64).max(1) as u64);
        self.now += US;
        event.time_ns = self.now;
        self.events.push(event);
    }

    pub fn begin(&mut self, event: Event) -> Event {
        self.step += 1;
        let begin = Event { phase: Phase::Begin, step: self.step, ..event };
        self.point(begin.clone());
        begin
    }

    pub fn end(&mut self, begin: Event, result: i32) {
        self.point(Event { phase: Phase::End, text: String::new(), ..begin }.result(result));
    }

    pub fn step(&mut self, event: Event, us: u64, result: i32) {
        let begin = self.begin(event);
        self.wait(us);
        self.end(begin, result);
    }

    pub fn flr(&mut self) {
        self.withdraw(Trigger::Flr);
        self.step(about(Kind::Trigger, Trigger::Flr), 104_000, 0);
        self.find_out(Trigger::Flr, 1);
        self.step(about(Kind::P2pUnmap, Trigger::Flr), 10, 0);
        self.maps(Trigger::Flr, 0);
        self.slots(Trigger::Flr);
        self.expect(Trigger::Flr, 1);
    }

    /// Memory decode off and on, with so many accesses in between.
    pub fn flap(&mut self, answered: u64) {
        self.withdraw(Trigger::DecodeOff);
        self.step(about(Kind::Trigger, Trigger::DecodeOff), 30, 0);
        self.find_out(Trigger::DecodeOff, 0);
        self.step(about(Kind::P2pUnmap, Trigger::DecodeOff), 10, 0);
        self.expect(Trigger::DecodeOff, 0);
        self.wait(1000 + answered);
        self.step(about(Kind::Trigger, Trigger::DecodeOn), 30, 0);
        self.find_out(Trigger::DecodeOn, 1);
        self.maps(Trigger::DecodeOn, 0);
        if answered > 0 {
            self.point(about(Kind::Answered, Trigger::DecodeOn).value(answered));
        }
        self.slots(Trigger::DecodeOn);
        self.expect(Trigger::DecodeOn, 1);
    }

    pub fn withdraw(&mut self, trigger: Trigger) {
        self.point(Event { phase: Phase::Begin, ..about(Kind::Outage, trigger).value(1) });
        self.step(about(Kind::SlotRemove, trigger), 5, 0);
    }

    pub fn find_out(&mut self, trigger: Trigger, found: u64) {
        let begin = self.begin(about(Kind::FindOut, trigger));
        self.end(begin.value(found), 0);
    }

    pub fn maps(&mut self, trigger: Trigger, result: i32) {
        self.step(about(Kind::P2pMap, trigger), 20, result);
    }

    pub fn slots(&mut self, trigger: Trigger) {
        self.step(about(Kind::SlotAdd, trigger), 50, 0);
        self.point(Event { phase: Phase::End, ..about(Kind::Outage, trigger).value(1) });
    }

    pub fn expect(&mut self, trigger: Trigger, live: u64) {
        self.point(about(Kind::Expect, trigger).value(live));
    }

    pub fn dma(&mut self, lands: bool) {
        let start = Event::new(Kind::DmaStart, Actor::Guest).device(EDU);
        self.point(start.range(0xfe00_0000, 256).value(0x5a5a));
        self.wait(100_000);
        if !lands {
            let fault = Event::new(Kind::Faulted, Actor::Kernel).device(EDU).range(0xfe00_0000, 0);
            self.point(fault.text("DMAR: [DMA Write NO_PASID] Request device [00:04.0]"));
        }
        let kind = if lands { Kind::Landed } else { Kind::NotLanded };
        let seen = Event::new(kind, Actor::Guest).device(NVME).bar(2).range(0, 256);
        self.point(seen.value(if lands { 0x5a5a } else { 0x1111 }).text("dma"));
    }
}

pub fn about(kind: Kind, trigger: Trigger) -> Event {
    Event::new(kind, Actor::Keeper).device(NVME).bar(2).range(0xfe00_0000, 0x1000).trigger(trigger)
}
