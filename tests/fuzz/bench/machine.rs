//! A machine with simulated devices and no CPU: the production board and bus, which the fuzzer is the guest
//! of. Every event goes to the checker.

use barkeep_check::{Checker, Ended};
use barkeep_export::{
    Errno, Function, Importer, IoSpace, Passthrough, RawDevice, Window, WindowId, result_number,
};
use barkeep_journal::{Actor, Clock as Clocks, Event, Journal, Kind, Lane, Tap, VirtualClock};
use barkeep_pci::windows::exportable;
use barkeep_platform::console::Ends;
use barkeep_platform::interrupts::{Message, Routes};
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::{Board, BoardParts, Bus, Ram};
use barkeep_sim::{
    Clock, Named, Reach, SimAdministrator, SimDevice, SimFaults, SimHost, SimSeconds, SimSpace,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use vmm_sys_util::eventfd::EventFd;

/// Nobody waits: whatever takes its time has taken it.
struct Instantly(VirtualClock);

impl Clock for Instantly {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn sleep(&self, ns: u64) {
        self.0.advance(ns);
    }

    fn flows(&self) -> bool {
        false
    }
}

/// Memory slots as KVM's: no two in one place.
#[derive(Default)]
struct Slots {
    sizes: Mutex<BTreeMap<WindowId, u64>>,
    set: Mutex<BTreeMap<WindowId, Range<u64>>>,
}

impl Importer for Slots {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        let size = self.sizes.lock().unwrap()[&window];
        let mut set = self.set.lock().unwrap();
        let range = address..address + size;
        let there = set.values().any(|slot| slot.start < range.end && range.start < slot.end);
        assert!(!there, "two slots in one place: {range:x?}, {set:x?}");
        assert!([MMIO32, MMIO64].iter().any(|hole| hole.start <= range.start && range.end <= hole.end));
        assert!(set.insert(window, range).is_none(), "{window:?} has a slot");
        Ok(())
    }

    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno> {
        let slot = self.set.lock().unwrap().remove(&window).expect("a slot that is withdrawn is there");
        assert_eq!(slot.start, address);
        Ok(slot.end - slot.start)
    }
}

/// Interrupt controllers that hold their callers to the order of things. Now and then they refuse.
#[derive(Default)]
pub struct Controllers {
    routes: Mutex<BTreeMap<u32, Option<Message>>>,
    attached: Mutex<BTreeMap<u32, EventFd>>,
    /// So many attaches succeed, then one does not; 0 for all.
    pub patience: AtomicU32,
    asked: AtomicU32,
}

impl Controllers {
    /// GSIs that deliver.
    pub fn attached(&self) -> usize {
        self.attached.lock().unwrap().len()
    }

    /// GSIs that are taken.
    pub fn reserved(&self) -> usize {
        self.routes.lock().unwrap().len()
    }
}

impl Routes for Controllers {
    fn reserve(&self) -> Result<u32, Errno> {
        let mut routes = self.routes.lock().unwrap();
        let free = (24..4080).find(|gsi| !routes.contains_key(gsi)).ok_or(Errno::NOSPC)?;
        routes.insert(free, None);
        Ok(free)
    }

    fn route(&self, changes: &[(u32, Option<Message>)]) -> Result<(), Errno> {
        let (mut routes, attached) = (self.routes.lock().unwrap(), self.attached.lock().unwrap());
        for (gsi, message) in changes {
            assert!(routes.contains_key(gsi), "a route of a GSI that is nobody's");
            match message {
                Some(message) => drop(routes.insert(*gsi, Some(*message))),
                None => {
                    assert!(!attached.contains_key(gsi), "the irqfd goes first");
                    routes.remove(gsi);
                }
            }
        }
        Ok(())
    }

    fn attach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno> {
        let patience = self.patience.load(Ordering::Relaxed);
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if patience > 0 && asked % (patience + 1) == patience {
            return Err(Errno::NOMEM);
        }
        assert!(self.routes.lock().unwrap()[&gsi].is_some(), "the route comes first");
        let kept = event.try_clone().map_err(|_| Errno::MFILE)?;
        assert!(self.attached.lock().unwrap().insert(gsi, kept).is_none(), "attached twice");
        Ok(())
    }

    fn detach(&self, gsi: u32, _: &EventFd) -> Result<(), Errno> {
        self.attached.lock().unwrap().remove(&gsi).map(drop).ok_or(Errno::NOENT)
    }
}

/// The machine.
pub struct Machine {
    pub board: Arc<Board>,
    pub bus: Bus,
    pub devices: Vec<Arc<SimDevice>>,
    pub controllers: Arc<Controllers>,
    slots: Arc<Slots>,
    journal: Journal,
    tap: Tap<Checker>,
}

impl Machine {
    /// One with these devices, set up as by firmware.
    pub fn new(named: &[Named]) -> Self {
        let clock = VirtualClock::new();
        let (journal, tap) = Journal::typed(Lane::Model, Clocks::Virtual, Checker::new());
        let journal = journal.timed_by(clock.clone());
        journal.emit(Event::new(Kind::RunStart, Actor::Vmm).text("fuzz"));
        let host = SimHost::new(named, Arc::new(Instantly(clock))).expect("devices");
        let (ram, slots) = (Arc::new(Ram::new(8 << 20).expect("RAM")), Arc::new(Slots::default()));
        let space = Arc::new(SimSpace(Arc::clone(&host)));
        let file = ram.file().expect("a memfd");
        for range in ram.ranges() {
            let step = journal.begin(Event::new(Kind::RamMap, Actor::Vmm).range(range.start, range.size));
            let mapped = space.map_ram(file, range.file_offset, range.size, range.start);
            journal.end(step, result_number(mapped));
        }
        let devices: Vec<_> = (0..named.len())
            .map(|number| Arc::new(SimDevice::open(&host, number).expect("it opens")))
            .collect();
        let function = |(number, named): (usize, &Named)| {
            let function = pass_through(&host, &devices[number], number, &slots, &journal);
            (named.name.clone(), Arc::new(function))
        };
        let functions = named.iter().enumerate().map(function).collect();
        let board = Board::new(BoardParts {
            journal: journal.clone(),
            ram,
            space,
            slots: slots.clone(),
            devices: functions,
            faults: Some(Box::new(SimFaults(Arc::clone(&host)))),
            administrator: Arc::new(SimAdministrator(Arc::clone(&host))),
            others: BTreeMap::new(),
            sleep: Arc::new(|_| ()),
            seconds: Arc::new(SimSeconds(host)),
        });
        let board = Arc::new(board.expect("a board"));
        board.start().expect("places for all BARs");
        let controllers = Arc::new(Controllers::default());
        board.deliver_interrupts(controllers.clone());
        let bus = board.bus(None, Ends { output: Box::new(std::io::sink()), line: None });
        Self { board, bus, devices, controllers, slots, journal, tap }
    }

    /// The guest reboots: everything it had set up is gone, and every window is back.
    pub fn reboot(&self) {
        self.bus.reset();
        assert_eq!((self.controllers.attached(), self.controllers.reserved()), (0, 0));
        self.board.reboot().expect("places for all BARs");
        for device in 0..self.board.driver().devices() {
            let windows = self.board.function(device).windows().len();
            let set = self.slots.set.lock().unwrap().keys().filter(|id| id.device == device).count();
            assert!(
                set == windows || self.board.driver().keeper(device).closed(),
                "{set} of {windows} slots"
            );
        }
    }

    /// Ends it; gives what the checker has found.
    pub fn end(self) {
        let Self { board, bus, devices: _, controllers, slots, journal, tap } = self;
        board.take_apart();
        assert!(slots.set.lock().unwrap().is_empty(), "slots are left");
        drop(bus);
        assert_eq!((controllers.attached(), controllers.reserved()), (0, 0), "routes are left");
        journal.emit(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
        let verdict = tap.with(std::mem::take).finish(Ended::ByItself(0));
        assert!(verdict.passed(), "{:#?}", verdict.findings);
    }
}

fn pass_through(
    host: &Arc<SimHost>,
    device: &Arc<SimDevice>,
    number: usize,
    slots: &Slots,
    journal: &Journal,
) -> Passthrough {
    let address = device.address();
    journal.emit(Event::new(Kind::DeviceOpen, Actor::Vmm).device(address).text("fuzz"));
    let mut windows = Vec::new();
    for bar in device.layout().bars.iter().flatten() {
        for window in exportable(bar, device.layout().msix.as_ref(), 4096).windows {
            let id = WindowId { device: number as u16, window: windows.len() as u16 };
            let event = Event::new(Kind::BarExport, Actor::Vmm).device(address).bar(window.bar);
            let step = journal.begin(event.range(window.offset, window.size));
            journal.end(step, result_number(device.export(id, &window)));
            match host.map_window(number, &window).expect("it can be mapped") {
                Reach::Mapped(_) | Reach::Trapped => {}
            }
            slots.sizes.lock().unwrap().insert(id, window.size);
            windows.push(Window { bar: window.bar, offset: window.offset, size: window.size, p2p: true });
        }
    }
    let raw = Arc::clone(device) as Arc<dyn RawDevice>;
    Passthrough::new(raw, windows, vec![MMIO32, MMIO64]).expect("its registers can be read")
}
