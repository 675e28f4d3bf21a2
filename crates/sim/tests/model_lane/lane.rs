//! Lane `model` from its parts: simulated devices, simulated CPUs, one thread, a virtual clock.

use barkeep_check::{Checker, Ended, Verdict};
use barkeep_export::{Importer, Passthrough, RawDevice, Window, WindowId, result_number};
use barkeep_journal::{Actor, Clock, Event, Header, Journal, Kind, Lane, VirtualClock, json};
use barkeep_pci::windows::exportable;
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::{Board, BoardParts, Ram};
use barkeep_scenario::Scenario;
use barkeep_sim::SimSeconds;
use barkeep_sim::guest::{Guest, Mapping, SimWorld, Slots, Timeline};
use barkeep_sim::options::{DmaOptions, Kind as DeviceKind, MemoryOptions};
use barkeep_sim::{Named, Reach, SimAdministrator, SimDevice, SimFaults, SimHost, SimSpace};
use std::collections::BTreeMap;
use std::sync::Arc;

const HEADER: Header = Header { lane: Lane::Model, clock: Clock::Virtual };

/// What a run came to.
pub struct Ran {
    pub events: Vec<Event>,
    pub verdict: Verdict,
}

impl Ran {
    /// The journal's lines.
    pub fn lines(&self) -> Vec<String> {
        self.events.iter().map(|event| json::line(event, HEADER)).collect()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.events.iter().filter(|event| event.kind == kind).count()
    }

    #[track_caller]
    pub fn passes(&self) -> &Self {
        if !self.verdict.passed() {
            let last = self.lines();
            let last = &last[last.len().saturating_sub(20)..];
            panic!("{:#?}\nthe end of the journal:\n{}", self.verdict.findings, last.join("\n"));
        }
        self
    }
}

/// A scenario's run.
pub struct Bench {
    pub scenario: Scenario,
    pub seed: u64,
    /// Spoils the slots the driver acts on.
    pub spoil: fn(Arc<Slots>) -> Arc<dyn Importer>,
}

impl Bench {
    pub fn new(scenario: &str, seed: u64) -> Self {
        let scenario = Scenario::parse(scenario).unwrap();
        Self { scenario, seed, spoil: |slots| slots }
    }

    pub fn run(&self) -> Ran {
        let clock = VirtualClock::new();
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Vec::new());
        let journal = journal.timed_by(clock.clone());
        let timeline = Arc::new(Timeline::new(clock, self.seed));
        journal.emit(Event::new(Kind::RunStart, Actor::Vmm).text(self.scenario.name.as_str()));
        let status = self.run_on(&timeline, &journal);
        journal.emit(Event::new(Kind::RunEnd, Actor::Vmm).result(status));
        let events = tap.with(std::mem::take);
        let mut checker = Checker::new();
        events.iter().for_each(|event| checker.event(event));
        Ran { events, verdict: checker.finish(Ended::ByItself(status)) }
    }

    fn run_on(&self, timeline: &Arc<Timeline>, journal: &Journal) -> i32 {
        let host = SimHost::new(&devices(), timeline.clone()).unwrap();
        timeline.set_host(&host);
        let ram = Arc::new(Ram::new(self.scenario.guest.memory.0).unwrap());
        let slots = Arc::new(Slots::new(&ram));
        let board = Arc::new(board(&host, &slots, (self.spoil)(Arc::clone(&slots)), ram, journal));
        board.start().unwrap();
        let guest =
            Guest::new(Arc::clone(&board), slots, self.scenario.guest.vcpus, Box::new(std::io::sink()));
        let world = SimWorld::new(guest, Arc::clone(timeline));
        let result = barkeep_scenario::run(&self.scenario, &*world, self.seed);
        board.take_apart();
        match result {
            Ok(()) => 0,
            Err(error) => panic!("{error}"),
        }
    }
}

/// As the topology `nvme-edu` has them.
fn devices() -> Vec<Named> {
    let named = |name: &str, kind| Named { name: name.into(), kind };
    vec![
        named("nvme", DeviceKind::Memory(MemoryOptions::default())),
        named("edu", DeviceKind::Dma(DmaOptions::default())),
    ]
}

fn board(
    host: &Arc<SimHost>,
    slots: &Arc<Slots>,
    driven: Arc<dyn Importer>,
    ram: Arc<Ram>,
    journal: &Journal,
) -> Board {
    let space = Arc::new(SimSpace(Arc::clone(host)));
    let file = ram.file().unwrap();
    for range in ram.ranges() {
        let step = journal.begin(Event::new(Kind::RamMap, Actor::Vmm).range(range.start, range.size));
        let mapped =
            barkeep_export::IoSpace::map_ram(&*space, file, range.file_offset, range.size, range.start);
        journal.end(step, result_number(mapped));
    }
    let open = |(number, named): (usize, Named)| {
        let function = open(host, slots, number, &named.name, journal);
        (named.name, Arc::new(function))
    };
    let devices = devices().into_iter().enumerate().map(open).collect();
    let faults = Some(Box::new(SimFaults(Arc::clone(host))) as Box<_>);
    let sleeper = Arc::clone(host);
    Board::new(BoardParts {
        journal: journal.clone(),
        ram,
        space,
        slots: driven,
        devices,
        faults,
        administrator: Arc::new(SimAdministrator(Arc::clone(host))),
        others: BTreeMap::new(),
        sleep: Arc::new(move |time| sleeper.sleep(time)),
        seconds: Arc::new(SimSeconds(Arc::clone(host))),
        importers: None,
    })
    .unwrap()
}

fn open(host: &Arc<SimHost>, slots: &Slots, number: usize, name: &str, journal: &Journal) -> Passthrough {
    let device = Arc::new(SimDevice::open(host, number).unwrap());
    let address = device.address();
    journal.emit(Event::new(Kind::DeviceOpen, Actor::Vmm).device(address).text(name));
    let mut windows = Vec::new();
    for bar in device.layout().bars.iter().flatten() {
        for window in exportable(bar, device.layout().msix.as_ref(), 4096).windows {
            let id = WindowId { device: number as u16, window: windows.len() as u16 };
            let event = Event::new(Kind::BarExport, Actor::Vmm).device(address).bar(window.bar);
            let step = journal.begin(event.range(window.offset, window.size));
            journal.end(step, self::result_number(device.export(id, &window)));
            match host.map_window(number, &window).unwrap() {
                Reach::Mapped(vma) => {
                    let host = Arc::clone(host);
                    slots.add_window(id, Arc::new(Mapping { host, vma }), window.size);
                }
                Reach::Trapped => slots.add_trapped(id, window.size),
            }
            windows.push(Window { bar: window.bar, offset: window.offset, size: window.size, p2p: true });
        }
    }
    Passthrough::new(device, windows, vec![MMIO32, MMIO64]).unwrap()
}
