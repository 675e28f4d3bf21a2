//! Endless well-formed journals, with the events of real ones in their order: two devices that
//! are revoked in every way, told as the driver loop, the scenario and its observers tell it.

use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind, Phase, SeenBy, Trigger, VirtualClock};

/// Something that happens from its begin to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// A guest CPU reads what it wrote.
    Cpu,
    /// A DMA lands.
    Dma,
    /// An attach is tried.
    Probe,
    /// One event after which everything comes back.
    Reset(Trigger),
    /// Memory decode off; DMA and CPU find nothing; and on again.
    DecodeFlap,
    /// D3hot and D0.
    PowerFlap,
    /// A DMA in flight at an FLR, which faults.
    InFlight,
    /// Decode off, and on elsewhere: every BAR has moved.
    Move(u16),
    /// Somebody else revokes; an observer sees it, and the VMM is told to look.
    Unseen,
    /// The device is closed and opened anew.
    Reopen,
}

impl Cycle {
    pub const ALL: [Self; 12] = [
        Self::Cpu,
        Self::Dma,
        Self::Probe,
        Self::Reset(Trigger::Flr),
        Self::Reset(Trigger::AfFlr),
        Self::Reset(Trigger::DeviceReset),
        Self::DecodeFlap,
        Self::PowerFlap,
        Self::InFlight,
        Self::Move(0),
        Self::Unseen,
        Self::Reopen,
    ];
}

const ENGINE: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 4 << 3 };
const LIVE: u64 = 1;
const D3HOT: u64 = 3 << 8 | 1;
const FAULT: &str = "DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0x4000000000 [fault reason 0x05] PTE Write access is not set";

struct Window {
    bar: u8,
    offset: u64,
    size: u64,
    address: u64,
    generation: u64,
}

struct Device {
    address: DeviceAddress,
    name: &'static str,
    windows: Vec<Window>,
}

/// Tells a journal what happens.
pub struct Storm {
    journal: Journal,
    clock: VirtualClock,
    devices: [Device; 2],
    pattern: u64,
}

impl Storm {
    /// The start of a run: guest RAM mapped, both devices open and mapped.
    pub fn new(journal: Journal) -> Self {
        let clock = VirtualClock::new();
        let window = |bar, offset, size, address| Window { bar, offset, size, address, generation: 0 };
        let nvme = Device {
            address: DeviceAddress { domain: 0, bus: 0, devfn: 3 << 3 },
            name: "nvme 1b36:0010",
            windows: vec![window(0, 0, 0x2000, 0xc010_0000), window(2, 0, 0x100_0000, 0x40_0000_0000)],
        };
        let windows = vec![window(0, 0, 0x10_0000, 0xc000_0000)];
        let engine = Device { address: ENGINE, name: "edu 1234:11e8", windows };
        let journal = journal.timed_by(clock.clone());
        let mut storm = Self { journal, clock, devices: [nvme, engine], pattern: 0 };
        storm.journal.emit_with_text(Event::new(Kind::RunStart, Actor::Vmm), "barkeep 0.1.0: storm");
        storm.step(Event::new(Kind::RamMap, Actor::Vmm).range(0, 0x400_0000), 0);
        (0..storm.devices.len()).for_each(|device| storm.open(device));
        storm
    }

    /// One more thing happens to a device, as one action of a scenario.
    pub fn cycle(&mut self, device: usize, cycle: Cycle) {
        let device = device % self.devices.len();
        let action = self.journal.begin(Event::new(Kind::Action, Actor::Scenario));
        match cycle {
            Cycle::Cpu => self.cpu(device, true),
            Cycle::Dma => self.dma(device, true),
            Cycle::Probe => self.probe(device, 0),
            Cycle::Reset(trigger) => self.handle(device, trigger, LIVE),
            Cycle::DecodeFlap => {
                self.handle(device, Trigger::DecodeOff, 0);
                self.dma(device, false);
                self.cpu(device, false);
                self.probe(device, -19);
                self.handle(device, Trigger::DecodeOn, LIVE);
            }
            Cycle::PowerFlap => {
                self.handle(device, Trigger::D3hot, D3HOT);
                self.handle(device, Trigger::D0, LIVE);
            }
            Cycle::InFlight => {
                self.dma_start(device);
                self.handle(device, Trigger::Flr, LIVE);
                self.dma_seen(device, false);
            }
            Cycle::Move(to) => self.move_to(device, to),
            Cycle::Unseen => {
                let seen = self.about(device, self.last_window(device), Kind::Revoked, Trigger::None);
                self.journal
                    .emit(Event { actor: Actor::Observer, ..seen.seen_by(SeenBy::Errno).result(-19) });
                self.handle(device, Trigger::Suspect, LIVE);
            }
            Cycle::Reopen => {
                self.close(device);
                self.open(device);
            }
        }
        self.journal.end(action, 0);
    }

    /// The end of the run: everything is given back.
    pub fn over(mut self) {
        (0..self.devices.len()).for_each(|device| self.close(device));
        self.journal.emit(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
    }

    fn open(&mut self, device: usize) {
        let Device { address, name, .. } = self.devices[device];
        self.journal.emit_with_text(Event::new(Kind::DeviceOpen, Actor::Vmm).device(address), name);
        for n in 0..self.devices[device].windows.len() {
            self.step(self.export(device, n, Kind::BarExport), 0);
        }
        self.handle(device, Trigger::Start, LIVE);
    }

    fn close(&mut self, device: usize) {
        self.handle(device, Trigger::Close, 0);
        for n in 0..self.devices[device].windows.len() {
            self.journal.emit(self.export(device, n, Kind::DmabufClose));
        }
    }

    /// From the withdrawal of the slots to the keeper's belief.
    fn handle(&mut self, device: usize, trigger: Trigger, found: u64) {
        use Trigger::{Close, D0, DecodeOn, Start, Suspect};
        let windows = 0..self.devices[device].windows.len();
        // Windows that are mapped and in, before and after.
        let before = !matches!(trigger, Start | DecodeOn | D0);
        let outage = before && trigger != Suspect;
        let after = found == LIVE;
        for n in windows.clone().filter(|_| outage) {
            self.devices[device].windows[n].generation += 1;
            self.outage(device, n, trigger, Phase::Begin);
            self.step(self.about(device, n, Kind::SlotRemove, trigger), 0);
        }
        let address = self.devices[device].address;
        let named = move |kind, actor| Event::new(kind, actor).device(address).trigger(trigger);
        if !matches!(trigger, Start | Suspect) {
            self.step(named(Kind::Trigger, Actor::Vcpu).range(0x88, 2).value(0x8000), 0);
        }
        let step = self.journal.begin(named(Kind::FindOut, Actor::Keeper));
        self.journal.end_with(step, |event| match trigger {
            Close => event.result(-19),
            _ => event.value(found).result(0),
        });
        for n in windows.clone().filter(|_| before) {
            self.step(self.about(device, n, Kind::P2pUnmap, trigger), 0);
        }
        for n in windows.clone().filter(|_| after) {
            self.step(self.about(device, n, Kind::P2pMap, trigger), 0);
        }
        for n in windows.filter(|_| after && trigger != Suspect) {
            self.step(self.about(device, n, Kind::SlotAdd, trigger), 0);
            self.outage(device, n, trigger, Phase::End);
        }
        self.journal.emit(named(Kind::Expect, Actor::Keeper).value(u64::from(after)));
        if trigger == Close {
            self.journal.emit(named(Kind::DeviceClose, Actor::Keeper));
        }
    }

    fn move_to(&mut self, device: usize, to: u16) {
        self.handle(device, Trigger::DecodeOff, 0);
        let mut free = 0x80_0000_0000 + ((device as u64) << 40) + (u64::from(to) << 26);
        for window in &mut self.devices[device].windows {
            window.address = free;
            free += window.size;
        }
        self.handle(device, Trigger::DecodeOn, LIVE);
    }

    fn cpu(&mut self, device: usize, lands: bool) {
        let kind = if lands { Kind::Landed } else { Kind::NotLanded };
        let event = self.seen(device, kind).value(if lands { self.pattern } else { u64::from(u32::MAX) });
        self.journal.emit_with_text(event, "cpu");
    }

    fn dma(&mut self, device: usize, lands: bool) {
        self.dma_start(device);
        self.dma_seen(device, lands);
    }

    fn dma_start(&mut self, device: usize) {
        self.pattern += 1;
        let to = self.devices[device].windows[self.last_window(device)].address;
        let event = Event::new(Kind::DmaStart, Actor::Guest).device(ENGINE);
        self.journal.emit(event.range(to, 0x100).value(self.pattern));
    }

    fn dma_seen(&mut self, device: usize, lands: bool) {
        self.clock.advance(5_000);
        if !lands {
            let to = self.devices[device].windows[self.last_window(device)].address;
            let fault = Event::new(Kind::Faulted, Actor::Kernel).device(ENGINE).address(to);
            self.journal.emit_with_text(fault.seen_by(SeenBy::IommuFault), FAULT);
        }
        let kind = if lands { Kind::Landed } else { Kind::NotLanded };
        self.journal.emit_with_text(self.seen(device, kind).value(self.pattern), "dma");
    }

    fn seen(&self, device: usize, kind: Kind) -> Event {
        let bar = self.devices[device].windows[self.last_window(device)].bar;
        let event = Event::new(kind, Actor::Guest).seen_by(SeenBy::GuestRead);
        event.device(self.devices[device].address).bar(bar).range(0, 0x100)
    }

    fn probe(&mut self, device: usize, result: i32) {
        let n = self.last_window(device);
        let about = |kind| Event { actor: Actor::Observer, ..self.about(device, n, kind, Trigger::None) };
        self.step(about(Kind::AttachProbe), result);
        let seen = if result == 0 { Kind::Live } else { Kind::Revoked };
        self.journal.emit(about(seen).seen_by(SeenBy::Errno).result(result));
    }

    fn outage(&self, device: usize, n: usize, trigger: Trigger, phase: Phase) {
        let event = self.about(device, n, Kind::Outage, trigger);
        self.journal.emit(Event { phase, ..event.value(self.devices[device].windows[n].generation) });
    }

    fn step(&self, event: Event, result: i32) {
        let step = self.journal.begin(event);
        self.clock.advance(1_000);
        self.journal.end(step, result);
    }

    fn about(&self, device: usize, n: usize, kind: Kind, trigger: Trigger) -> Event {
        let Window { bar, size, address, .. } = self.devices[device].windows[n];
        let event = Event::new(kind, Actor::Keeper).device(self.devices[device].address);
        event.bar(bar).range(address, size).trigger(trigger)
    }

    fn export(&self, device: usize, n: usize, kind: Kind) -> Event {
        let Window { bar, size, offset, .. } = self.devices[device].windows[n];
        Event::new(kind, Actor::Vmm).device(self.devices[device].address).bar(bar).range(offset, size)
    }

    fn last_window(&self, device: usize) -> usize {
        self.devices[device].windows.len() - 1
    }
}
