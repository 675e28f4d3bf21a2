//! MSI-X of a simulated device, from a guest's writes to what arrives, on the production board and bus.

mod common;

use barkeep_export::{Cause, Errno, Importer, Passthrough, RawDevice, WindowId};
use barkeep_journal::{Actor, Clock, Event, Journal, Kind, Lane, Tap};
use barkeep_pci::header;
use barkeep_platform::interrupts::{Message, Routes};
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::pci_root::PciRoot;
use barkeep_platform::{Board, Bus};
use barkeep_sim::options::MemoryOptions;
use barkeep_sim::{HostClock, Named, SimDevice, SimHost};
use common::started;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vmm_sys_util::eventfd::EventFd;

/// Bytes of the BAR; the table is in the middle of it, and the pending bits half a page behind.
const SIZE: u64 = 64 << 10;
const TABLE: u64 = SIZE / 2;
const PENDING: u64 = TABLE + 0x800;
const BAR: u8 = 2;

/// Interrupt controllers that deliver when they are asked what has come.
#[derive(Default)]
struct Controllers {
    routes: Mutex<BTreeMap<u32, Option<Message>>>,
    attached: Mutex<BTreeMap<u32, EventFd>>,
    refuses: AtomicBool,
}

impl Controllers {
    /// The data of each message that has come since this was asked last.
    fn come(&self) -> Vec<u32> {
        let routes = self.routes.lock().unwrap();
        let attached = self.attached.lock().unwrap();
        let signalled = attached.iter().filter(|(_, event)| event.read().is_ok());
        signalled.map(|(gsi, _)| routes[gsi].expect("KVM drops what has no route").data).collect()
    }

    fn is_empty(&self) -> bool {
        self.routes.lock().unwrap().is_empty() && self.attached.lock().unwrap().is_empty()
    }
}

impl Routes for Controllers {
    fn reserve(&self) -> Result<u32, Errno> {
        let mut routes = self.routes.lock().unwrap();
        let free = (24..).find(|gsi| !routes.contains_key(gsi)).unwrap();
        routes.insert(free, None);
        Ok(free)
    }

    fn route(&self, changes: &[(u32, Option<Message>)]) -> Result<(), Errno> {
        let (mut routes, attached) = (self.routes.lock().unwrap(), self.attached.lock().unwrap());
        for (gsi, message) in changes {
            match message {
                Some(_) => drop(routes.insert(*gsi, *message)),
                None => {
                    assert!(!attached.contains_key(gsi), "the irqfd goes first");
                    routes.remove(gsi);
                }
            }
        }
        Ok(())
    }

    fn attach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Errno::NOMEM);
        }
        assert!(self.routes.lock().unwrap()[&gsi].is_some(), "the route comes first");
        let kept = event.try_clone().unwrap();
        assert!(self.attached.lock().unwrap().insert(gsi, kept).is_none());
        Ok(())
    }

    fn detach(&self, gsi: u32, _: &EventFd) -> Result<(), Errno> {
        self.attached.lock().unwrap().remove(&gsi).map(drop).ok_or(Errno::NOENT)
    }
}

/// Nobody runs, so nobody needs memory.
struct NoSlots;

impl Importer for NoSlots {
    fn map(&self, _: WindowId, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn unmap(&self, _: WindowId, _: u64) -> Result<u64, Errno> {
        Ok(0)
    }
}

struct Bench {
    device: Arc<SimDevice>,
    controllers: Arc<Controllers>,
    board: Board,
    bus: Bus,
    tap: Tap<Vec<Event>>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self::without_controllers();
        bench.board.deliver_interrupts(bench.controllers.clone());
        bench
    }

    fn without_controllers() -> Self {
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Vec::new());
        let options = MemoryOptions { size: SIZE, bar: BAR, msix: true, ..MemoryOptions::default() };
        let named = Named { name: "a".into(), kind: barkeep_sim::Kind::Memory(options) };
        let host = SimHost::new(&[named], Arc::new(HostClock::default())).unwrap();
        let device = Arc::new(SimDevice::open(&host, 0).unwrap());
        let raw = Arc::clone(&device) as Arc<dyn RawDevice>;
        let function = Arc::new(Passthrough::new(raw, Vec::new(), vec![MMIO32, MMIO64]).unwrap());
        let (board, bus) = started(&host, journal, Arc::new(NoSlots), vec![("a".into(), function)]);
        Self { device, controllers: Arc::default(), board, bus, tap }
    }

    fn config(&self, register: u16, bytes: &[u8]) {
        self.bus.mmio_write(PciRoot::ecam_address(0, register), bytes, 0);
    }

    /// Where message control is.
    fn control(&self) -> u16 {
        self.device.layout().msix.unwrap().offset + header::MSIX_CONTROL
    }

    fn place(&self, offset: u64) -> u64 {
        self.board.bar_address(0, BAR, offset).unwrap()
    }

    /// Enable, and the mask of all.
    fn turn(&self, on: bool, masked: bool) {
        let control = u16::from(on) << 15 | u16::from(masked) << 14;
        self.config(self.control(), &control.to_le_bytes());
    }

    fn program(&self, vector: u64, data: u32) {
        let entry = self.place(TABLE + vector * 16);
        self.bus.mmio_write(entry, &0xfee0_0000_u64.to_le_bytes(), 0);
        self.bus.mmio_write(entry + 8, &data.to_le_bytes(), 0);
    }

    fn mask(&self, vector: u64, masked: bool) {
        self.bus.mmio_write(self.place(TABLE + vector * 16 + 12), &u32::from(masked).to_le_bytes(), 0);
    }

    fn pending(&self) -> u64 {
        let mut bits = [0; 8];
        self.bus.mmio_read(self.place(PENDING), &mut bits);
        u64::from_le_bytes(bits)
    }

    /// What the journal has of a kind: text and value.
    fn told(&self, kind: Kind) -> Vec<(String, Option<u64>)> {
        let of_kind =
            |kept: &mut Vec<Event>| kept.iter().filter(|event| event.kind == kind).cloned().collect();
        let events: Vec<Event> = self.tap.with(of_kind);
        events.into_iter().map(|event| (event.text, event.value)).collect()
    }
}

#[test]
fn an_interrupt_arrives_by_the_message_the_guest_wrote() {
    let bench = Bench::new();
    bench.turn(true, true);
    bench.program(3, 0x41);
    bench.mask(3, false);
    assert!(bench.controllers.is_empty(), "all are masked");
    bench.turn(true, false);
    assert!(bench.device.raise(3));
    assert_eq!(bench.controllers.come(), [0x41]);
    assert!(!bench.device.raise(4), "one that was never opened is masked in the device");
    bench.mask(3, true);
    bench.program(3, 0x42);
    bench.mask(3, false);
    assert!(bench.device.raise(3));
    assert_eq!(bench.controllers.come(), [0x42]);
    assert_eq!(bench.told(Kind::Interrupts), [("MSI-X".to_owned(), Some(16))]);
}

#[test]
fn what_comes_while_masked_is_pending_and_arrives_once() {
    let bench = Bench::new();
    bench.turn(true, false);
    bench.program(5, 0x41);
    bench.mask(5, false);
    for masks in [Bench::mask_one as fn(&Bench, bool), Bench::mask_all] {
        masks(&bench, true);
        assert!(bench.device.raise(5) && bench.device.raise(5));
        assert_eq!((bench.pending(), bench.pending()), (1 << 5, 1 << 5), "looking takes nothing away");
        assert!(bench.controllers.come().is_empty());
        masks(&bench, false);
        assert_eq!((bench.controllers.come(), bench.pending()), (vec![0x41], 0));
    }
}

impl Bench {
    fn mask_one(&self, masked: bool) {
        self.mask(5, masked);
    }

    fn mask_all(&self, masked: bool) {
        self.turn(true, masked);
    }
}

#[test]
fn a_reset_leaves_interrupts_as_they_are_and_a_reboot_does_not() {
    let bench = Bench::new();
    bench.program(0, 0x41);
    bench.mask(0, false);
    bench.turn(true, false);
    bench.board.reset(0).unwrap();
    assert!(bench.device.raise(0));
    assert_eq!(bench.controllers.come(), [0x41]);
    bench.bus.reset();
    assert!(bench.controllers.is_empty() && !bench.device.raise(0));
    let mut control = [0; 2];
    bench.bus.mmio_read(PciRoot::ecam_address(0, bench.control()), &mut control);
    assert_eq!(u16::from_le_bytes(control), 15, "off, and 16 vectors");
    let msix = |count| ("MSI-X".to_owned(), Some(count));
    assert_eq!(bench.told(Kind::Interrupts), [msix(16), msix(0)]);
    bench.board.take_apart();
    assert_eq!(bench.told(Kind::Degraded), []);
}

#[test]
fn a_device_given_up_leaves_no_route_and_gets_none() {
    for give_up in [|board: &Board| board.close(0), |board: &Board| board.release(0), Board::take_apart] {
        let bench = Bench::new();
        bench.program(0, 0x41);
        bench.mask(0, false);
        bench.turn(true, false);
        give_up(&bench.board);
        assert!(bench.controllers.is_empty());
        bench.turn(false, false);
        bench.turn(true, false);
        assert!(bench.controllers.is_empty());
        assert_eq!(bench.told(Kind::Degraded), []);
    }
}

#[test]
fn what_is_refused_is_told_once_and_tried_again() {
    let bench = Bench::new();
    bench.controllers.refuses.store(true, Ordering::Relaxed);
    bench.turn(true, false);
    bench.program(0, 0x41);
    bench.mask(0, false);
    bench.mask(0, false);
    let told = ("interrupt vector 0 cannot be given to KVM".to_owned(), None);
    assert_eq!(bench.told(Kind::Degraded), [told]);
    bench.controllers.refuses.store(false, Ordering::Relaxed);
    bench.mask(0, false);
    assert!(bench.device.raise(0));
    assert_eq!(bench.controllers.come(), [0x41]);
}

/// As MSI-X that a guest turns on while the function is in D3hot, where the kernel does not.
#[test]
fn what_is_refused_is_tried_again_once_the_function_may_have_changed() {
    let bench = Bench::new();
    bench.controllers.refuses.store(true, Ordering::Relaxed);
    bench.program(0, 0x41);
    bench.mask(0, false);
    bench.turn(true, false);
    assert!(!bench.device.raise(0));
    bench.controllers.refuses.store(false, Ordering::Relaxed);
    bench.config(header::COMMAND, &[6, 0]);
    assert!(bench.device.raise(0));
    assert_eq!(bench.controllers.come(), [0x41]);
}

#[test]
fn without_controllers_the_guest_gets_none_and_the_journal_says_so_once() {
    let bench = Bench::without_controllers();
    bench.program(0, 0x41);
    bench.mask(0, false);
    bench.turn(true, false);
    bench.turn(true, true);
    assert!(!bench.device.raise(0));
    let told = ("the guest enables MSI-X; nothing here delivers it".to_owned(), None);
    assert_eq!(bench.told(Kind::Degraded), [told]);
    // What the guest wrote is there all the same.
    let mut entry = [0; 4];
    bench.bus.mmio_read(bench.place(TABLE + 8), &mut entry);
    assert_eq!(u32::from_le_bytes(entry), 0x41);
    let _ = bench.board.driver().handle(0, Cause::CLOSE, (Actor::Vmm, 0));
}
