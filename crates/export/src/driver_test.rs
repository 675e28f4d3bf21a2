use super::*;
use crate::contract::{Found, Held, Holder, LowPower, Passage, RawDevice, VectorCount};
use crate::keeper::Slot;
use crate::passthrough::Passthrough;
use barkeep_journal::{Clock, Kind, Lane, Reader, Trigger, layout};
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_pci::msi::Mechanism;
use std::sync::mpsc;
use std::time::Duration;
use vmm_sys_util::eventfd::EventFd;

const ADDRESS: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 3 << 3 };
const ID: WindowId = WindowId { device: 0, window: 0 };

/// A device whose reset takes as long as the test wants it to.
struct SlowDevice {
    entered: mpsc::SyncSender<()>,
    leave: Mutex<mpsc::Receiver<()>>,
}

impl Exporter for SlowDevice {
    fn let_through(&self, passage: &Passage) -> Result<(), Errno> {
        if *passage == Passage::DeviceReset {
            self.entered.send(()).unwrap();
            self.leave.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }

    fn find_out(&self) -> Result<Found, Errno> {
        Ok(Found { decode: true, power: 0, low_power: false, addresses: vec![Some(0xe000_0000)] })
    }

    fn reset_along(&self) {}
}

struct Obliging;

impl Importer for Obliging {
    fn map(&self, _: WindowId, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn unmap(&self, _: WindowId, _: u64) -> Result<u64, Errno> {
        Ok(0x1000)
    }
}

fn driver() -> (Arc<Driver>, std::fs::File, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
    let (journal, file) = Journal::in_memory(200, Lane::Model, Clock::Virtual).unwrap();
    let (entered, has_entered) = mpsc::sync_channel(1);
    let (leave, may_leave) = mpsc::sync_channel(1);
    let mut driver = Driver::new(journal, Arc::new(|_, _| ()));
    let window = Window { bar: 0, offset: 0, size: 0x1000, p2p: true };
    let exporter = Arc::new(SlowDevice { entered, leave: Mutex::new(may_leave) });
    let parties = Parties { exporter, slots: Arc::new(Obliging), ioas: Arc::new(Obliging) };
    driver.add(ADDRESS, &[window], parties);
    driver.handle(0, Cause::START, (Actor::Vmm, 0)).unwrap();
    (Arc::new(driver), file, has_entered, leave)
}

#[test]
fn accesses_are_answered_and_a_second_write_waits_during_a_reset() {
    let (driver, _file, has_entered, leave) = driver();
    assert_eq!(driver.answer(ID), Answer::AskDevice);
    let resetting = Arc::clone(&driver);
    let first = std::thread::spawn(move || resetting.handle(0, Cause::DEVICE_RESET, (Actor::Vcpu, 0)));
    has_entered.recv().unwrap();
    // The reset is in the kernel now. Nobody is held up by a lock.
    assert_eq!(driver.answer(ID), Answer::AllOnes);
    assert!(driver.resetting(0));
    let (done, is_done) = mpsc::channel();
    let waiting = Arc::clone(&driver);
    let second = std::thread::spawn(move || {
        let result = waiting.handle(0, Cause::SUSPECT, (Actor::Vcpu, 1));
        done.send(()).unwrap();
        result
    });
    assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err(), "the second event did not wait");
    leave.send(()).unwrap();
    first.join().unwrap().unwrap();
    second.join().unwrap().unwrap();
    assert_eq!(driver.answer(ID), Answer::AskDevice);
}

#[test]
fn an_outage_is_in_the_journal_before_and_after_all_of_its_steps() {
    let (driver, file, has_entered, leave) = driver();
    leave.send(()).unwrap();
    driver.handle(0, Cause::DEVICE_RESET, (Actor::Vmm, 0)).unwrap();
    has_entered.recv().unwrap();
    let size = layout::HEADER_SIZE + 200 * layout::RECORD_SIZE;
    let mut reader = Reader::open(file, size).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| reader.next_event())
        .skip_while(|e| e.trigger != Trigger::DeviceReset)
        .filter(|e| e.phase != journal::Phase::End || e.kind == Kind::Outage)
        .map(|e| e.kind)
        .collect();
    assert_eq!(
        events,
        [
            Kind::Outage,
            Kind::SlotRemove,
            Kind::Trigger,
            Kind::FindOut,
            Kind::P2pUnmap,
            Kind::P2pMap,
            Kind::SlotAdd,
            Kind::Outage,
            Kind::Expect
        ]
    );
}

/// One of two functions behind a port; says what happens to it.
struct Twin {
    name: &'static str,
    told: mpsc::Sender<(&'static str, &'static str)>,
}

impl Exporter for Twin {
    fn let_through(&self, passage: &Passage) -> Result<(), Errno> {
        assert_eq!(*passage, Passage::HotReset);
        self.told.send((self.name, "resets")).unwrap();
        Err(Errno::NOTTY)
    }

    fn find_out(&self) -> Result<Found, Errno> {
        self.told.send((self.name, "is looked at")).unwrap();
        Ok(Found { decode: true, power: 0, low_power: false, addresses: vec![Some(0xe000_0000)] })
    }

    fn reset_along(&self) {
        self.told.send((self.name, "is reset along")).unwrap();
    }
}

#[test]
fn a_hot_reset_is_one_call_between_all_slots_out_and_all_devices_looked_at() {
    let (journal, file) = Journal::in_memory(200, Lane::Model, Clock::Virtual).unwrap();
    let (told, tells) = mpsc::channel();
    let mut driver = Driver::new(journal, Arc::new(|_, _| ()));
    let window = Window { bar: 0, offset: 0, size: 0x1000, p2p: true };
    for (slot, name) in [(3, "a"), (4, "b")] {
        let exporter = Arc::new(Twin { name, told: told.clone() });
        let parties = Parties { exporter, slots: Arc::new(Obliging), ioas: Arc::new(Obliging) };
        driver.add(DeviceAddress { devfn: slot << 3, ..ADDRESS }, &[window], parties);
    }
    for device in 0..2 {
        driver.handle(device, Cause::START, (Actor::Vmm, 0)).unwrap();
    }
    let before = tells.try_iter().count();
    assert_eq!(before, 2, "each was looked at when it was first mapped");
    let result = driver.handle_together(1, &[0, 1], Cause::HOT_RESET, (Actor::Vmm, 0));
    assert_eq!(result, Err(Errno::NOTTY), "and a reset that fails has revoked all the same");
    let told: Vec<_> = tells.try_iter().collect();
    assert_eq!(
        told,
        [("b", "resets"), ("a", "is reset along"), ("a", "is looked at"), ("b", "is looked at")]
    );
    let mut reader = Reader::open(file, layout::HEADER_SIZE + 200 * layout::RECORD_SIZE).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| reader.next_event())
        .skip_while(|e| e.trigger != Trigger::HotReset)
        .filter(|e| e.phase != journal::Phase::End && e.kind != Kind::Outage)
        .map(|e| (e.kind, e.device.unwrap().devfn >> 3))
        .collect();
    let each =
        |n| [Kind::FindOut, Kind::P2pUnmap, Kind::P2pMap, Kind::SlotAdd, Kind::Expect].map(|kind| (kind, n));
    let expected = [
        vec![(Kind::SlotRemove, 3), (Kind::SlotRemove, 4), (Kind::Trigger, 3), (Kind::Trigger, 4)],
        each(3).to_vec(),
        each(4).to_vec(),
    ];
    assert_eq!(events, expected.concat());
    assert!(!driver.busy(0) && !driver.busy(1));
}

/// Config space of 256 bytes, kept as written; a write of COMMAND with decode off takes as long
/// as the test wants it to.
struct SlowRegisters {
    layout: Layout,
    image: Mutex<[u8; 256]>,
    entered: mpsc::SyncSender<()>,
    leave: Mutex<mpsc::Receiver<()>>,
}

impl RawDevice for SlowRegisters {
    fn address(&self) -> DeviceAddress {
        ADDRESS
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno> {
        let start = usize::from(offset);
        bytes.copy_from_slice(&self.image.lock().unwrap()[start..start + bytes.len()]);
        Ok(())
    }

    fn config_write(&self, offset: u16, bytes: &[u8]) -> Result<(), Errno> {
        let start = usize::from(offset);
        self.image.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
        if offset == header::COMMAND && u16::from(bytes[0]) & header::COMMAND_MEMORY == 0 {
            self.entered.send(()).unwrap();
            self.leave.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }

    fn region_read(&self, _: u8, _: u64, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    fn region_write(&self, _: u8, _: u64, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    fn hot_reset(&self) -> Result<(), Errno> {
        Err(Errno::NODEV)
    }

    fn hot_reset_members(&self) -> Result<Vec<DeviceAddress>, Errno> {
        Err(Errno::NODEV)
    }

    fn low_power(&self, _: LowPower) -> Result<(), Errno> {
        Ok(())
    }

    fn signal_error(&self) -> Result<(), Errno> {
        Err(Errno::INVAL)
    }

    fn vectors(&self, _: Mechanism) -> VectorCount {
        VectorCount { most: 0, grows: false }
    }

    fn set_vectors(&self, _: Mechanism, _: u16, _: &[Option<&EventFd>]) -> Result<(), Errno> {
        Err(Errno::INVAL)
    }

    fn disable_vectors(&self, _: Mechanism) -> Result<(), Errno> {
        Err(Errno::INVAL)
    }

    fn take_request(&self) -> bool {
        false
    }

    fn hold(&self, _: Holder) -> Result<Held, Errno> {
        Err(Errno::NODEV)
    }

    fn reset(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn close(&self) {}
}

fn image() -> [u8; 256] {
    let mut image = [0; 256];
    image[..4].copy_from_slice(&[0x34, 0x12, 0xe8, 0x11]);
    image[4] = 6;
    image[0x10..0x14].copy_from_slice(&0xe000_0000u32.to_le_bytes());
    image
}

/// Decode is off only once vCPU 0's write is over: what vCPU 1 writes meanwhile would otherwise
/// be taken for a write that keeps decode on, which concerns nobody, and the BAR would stay away.
#[test]
fn what_a_write_does_is_asked_when_its_turn_has_come() {
    let (journal, _file) = Journal::in_memory(200, Lane::Model, Clock::Virtual).unwrap();
    let (entered, has_entered) = mpsc::sync_channel(1);
    let (leave, may_leave) = mpsc::sync_channel(1);
    let image = image();
    let layout = Layout::parse(&image, &[0x1000, 0, 0, 0, 0, 0]).unwrap();
    let device = SlowRegisters { layout, image: Mutex::new(image), entered, leave: Mutex::new(may_leave) };
    let window = Window { bar: 0, offset: 0, size: 0x1000, p2p: true };
    let holes = [0xe000_0000u64].map(|start| start..start + 0x1000_0000).to_vec();
    let function = Arc::new(Passthrough::new(Arc::new(device), vec![window], holes).unwrap());
    let mut driver = Driver::new(journal, Arc::new(|_, _| ()));
    let exporter = Arc::clone(&function) as Arc<dyn Exporter>;
    let parties = Parties { exporter, slots: Arc::new(Obliging), ioas: Arc::new(Obliging) };
    driver.add(ADDRESS, &[window], parties);
    driver.handle(0, Cause::START, (Actor::Vmm, 0)).unwrap();
    let write = |command| ConfigWrite::word(header::COMMAND, command);
    std::thread::scope(|threads| {
        let (driver, function) = (&driver, &*function);
        threads.spawn(move || driver.write(0, function, &write(4), (Actor::Vcpu, 0)).unwrap());
        has_entered.recv().unwrap();
        let second = threads.spawn(move || driver.write(0, function, &write(6), (Actor::Vcpu, 1)).unwrap());
        // Time enough to do it wrong.
        std::thread::sleep(Duration::from_millis(50));
        leave.send(()).unwrap();
        second.join().unwrap();
    });
    assert_eq!(driver.keeper(0).windows()[0].slot, Slot::In(0xe000_0000));
}

/// Others may meet an event between any two of its steps, and nothing pauses that was not asked to.
#[test]
fn an_event_pauses_before_each_step_and_after_the_last_one() {
    const STEPS: usize = 6;
    let (driver, _file, has_entered, leave) = driver();
    let reset = || {
        leave.send(()).unwrap();
        driver.handle(0, Cause::DEVICE_RESET, (Actor::Vmm, 0)).unwrap();
        has_entered.recv().unwrap();
    };
    let phases: Arc<Mutex<Vec<Phase>>> = Arc::default();
    let (told, own) = (Arc::clone(&phases), Arc::downgrade(&driver));
    driver.between_steps(Some(Arc::new(move || {
        let driver = own.upgrade().unwrap();
        assert!(driver.busy(0));
        told.lock().unwrap().push(driver.outage(ID).phase());
    })));
    reset();
    let seen = phases.lock().unwrap().clone();
    assert_eq!(seen.len(), STEPS + 1);
    let [Phase::Live, out @ .., Phase::Live] = &seen[..] else { panic!("{seen:?}") };
    assert!(out.iter().all(|phase| *phase == Phase::Out), "{seen:?}");
    driver.between_steps(None);
    reset();
    assert_eq!(phases.lock().unwrap().len(), STEPS + 1);
}

#[test]
fn a_device_is_closed_once() {
    let (driver, file, _entered, _leave) = driver();
    for _ in 0..2 {
        driver.handle(0, Cause::CLOSE, (Actor::Vmm, 0)).unwrap();
    }
    let size = layout::HEADER_SIZE + 200 * layout::RECORD_SIZE;
    let mut reader = Reader::open(file, size).unwrap();
    let events = std::iter::from_fn(|| reader.next_event());
    assert_eq!(events.filter(|event| event.kind == Kind::DeviceClose).count(), 1);
}
