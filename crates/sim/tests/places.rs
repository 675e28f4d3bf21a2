//! A guest that puts two BARs in one place: who was there first keeps it, the other one has none, and gets
//! it once it is free.

mod common;

use barkeep_export::{Errno, Importer, Passthrough, RawDevice, Window, WindowId};
use barkeep_journal::{Clock, Event, Journal, Kind, Lane, Tap};
use barkeep_pci::header;
use barkeep_pci::windows::exportable;
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::pci_root::PciRoot;
use barkeep_platform::{Board, Bus};
use barkeep_sim::options::{Kind as DeviceKind, MemoryOptions};
use barkeep_sim::{HostClock, Named, SimDevice, SimHost};
use common::started;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const BAR: u8 = 2;
const SIZE: u64 = 1 << 20;

/// Where each window's slot is.
#[derive(Default)]
struct Slots(Mutex<BTreeMap<WindowId, u64>>);

impl Importer for Slots {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        let mut slots = self.0.lock().unwrap();
        if slots.values().any(|there| there.abs_diff(address) < SIZE) {
            return Err(Errno::EXIST);
        }
        slots.insert(window, address);
        Ok(())
    }

    fn unmap(&self, window: WindowId, _: u64) -> Result<u64, Errno> {
        self.0.lock().unwrap().remove(&window).map(|_| SIZE).ok_or(Errno::NOENT)
    }
}

struct Bench {
    board: Board,
    bus: Bus,
    slots: Arc<Slots>,
    tap: Tap<Vec<Event>>,
}

impl Bench {
    fn new() -> Self {
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Vec::new());
        let kind = || DeviceKind::Memory(MemoryOptions { size: SIZE, bar: BAR, ..MemoryOptions::default() });
        let named = ["a", "b"].map(|name| Named { name: name.into(), kind: kind() });
        let host = SimHost::new(&named, Arc::new(HostClock::default())).unwrap();
        let slots = Arc::new(Slots::default());
        let open = |number: usize| {
            let device = Arc::new(SimDevice::open(&host, number).unwrap());
            let bar = device.layout().bars[usize::from(BAR)].unwrap();
            let window = exportable(&bar, None, 4096).windows[0];
            device.export(WindowId { device: number as u16, window: 0 }, &window).unwrap();
            let window = Window { bar: window.bar, offset: window.offset, size: window.size, p2p: true };
            Arc::new(Passthrough::new(device, vec![window], vec![MMIO32, MMIO64]).unwrap())
        };
        let devices = (0..2).map(|number| (named[number].name.clone(), open(number))).collect();
        let (board, bus) = started(&host, journal, slots.clone(), devices);
        Self { board, bus, slots, tap }
    }

    fn config(&self, device: u16, register: u16, bytes: &[u8]) {
        self.bus.mmio_write(PciRoot::ecam_address(device, register), bytes, 0);
    }

    fn put(&self, device: u16, address: u64) {
        for (at, dword) in (0..).step_by(4).zip(address.to_le_bytes().chunks(4)) {
            self.config(device, header::BAR0 + 4 * u16::from(BAR) + at, dword);
        }
    }

    fn decode(&self, device: u16, on: bool) {
        self.config(device, header::COMMAND, &[u8::from(on) << 1, 0]);
    }

    /// Where the slots of both are.
    fn slots(&self) -> [Option<u64>; 2] {
        let slots = self.slots.0.lock().unwrap();
        [0, 1].map(|device| slots.get(&WindowId { device, window: 0 }).copied())
    }

    /// Whether peers reach each of them.
    fn peers(&self) -> [bool; 2] {
        [0, 1].map(|device| {
            let keeper = self.board.driver().keeper(device);
            matches!(keeper.windows()[0].mapping, barkeep_export::Mapping::Live(_))
        })
    }
}

#[test]
fn the_second_gets_the_place_once_the_first_is_gone() {
    let bench = Bench::new();
    let [a, b] = bench.slots().map(Option::unwrap);
    bench.put(1, a);
    assert_eq!((bench.slots(), bench.peers()), ([Some(a), None], [true, false]));
    bench.bus.mmio_write(a, &[7], 0);
    bench.decode(0, false);
    assert_eq!((bench.slots(), bench.peers()), ([None, Some(a)], [false, true]));
    // Now that one was first.
    bench.decode(0, true);
    assert_eq!((bench.slots(), bench.peers()), ([None, Some(a)], [false, true]));
    bench.put(0, b);
    assert_eq!((bench.slots(), bench.peers()), ([Some(b), Some(a)], [true, true]));
    let failed = bench.tap.with(|kept| kept.iter().filter(|event| event.kind == Kind::Degraded).count());
    assert_eq!(failed, 0, "a guest's own doing is no failure of the VMM's");
    bench.board.take_apart();
    assert_eq!(bench.slots(), [None, None]);
}

#[test]
fn a_device_that_is_given_up_makes_room() {
    let bench = Bench::new();
    let [a, _] = bench.slots().map(Option::unwrap);
    bench.put(1, a);
    bench.board.close(0);
    assert_eq!(bench.slots(), [None, Some(a)]);
    bench.board.take_apart();
}

#[test]
fn a_bar_where_none_may_be_is_said_to_be_nowhere() {
    let bench = Bench::new();
    bench.put(0, 0x10_0000_0000);
    assert_eq!(bench.slots()[0], None);
    let nowhere = |kept: &mut Vec<Event>| {
        let found = kept.iter().rev().find(|event| event.kind == Kind::FindOut && event.value.is_some());
        found.and_then(|event| event.value).map(|value| value >> 24)
    };
    assert_eq!(bench.tap.with(nowhere), Some(1 << BAR));
    bench.board.take_apart();
}
