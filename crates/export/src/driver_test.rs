use super::*;
use barkeep_journal::{Clock, Lane, Reader, layout};
use std::sync::mpsc;
use std::time::Duration;

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
        Ok(Found { decode: true, power: 0, addresses: vec![Some(0xe000_0000)] })
    }
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
