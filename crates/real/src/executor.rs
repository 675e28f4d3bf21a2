//! The running kernel as a [`Subject`].

use crate::abilities;
use crate::discover::{self, DiscoverError};
use crate::hands::Hands;
use crate::importer::DRIVER;
use crate::patience::PATIENCE;
use crate::places::Place;
use crate::spaces::Probe;
use crate::sysfs::Folder;
use barkeep_model::{Abilities, Answer, Errno, Hardware, Op, Seen, Subject};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Beyond [`PATIENCE`], which the calls that are known to hang have already had.
const GRACE: Duration = Duration::from_secs(5);

/// Why there is no executor.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What the devices are could not be found out.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// One of the things an episode starts with could not be made.
    #[error(
        "cannot make address spaces, sockets and memory ({0}); the kernel needs CONFIG_IOMMUFD and \
         CONFIG_UDMABUF, and you read and write access to /dev/iommu and /dev/udmabuf"
    )]
    Resources(Errno),
    /// The device of the test importer's is not to be had, or does not map.
    #[error("cannot import by the device of {DRIVER} ({0}); is it in use, and can peers reach each other?")]
    Importer(Errno),
}

/// Why an episode did not begin as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Something could not be put back: a device did not come back from its removal, or could not
    /// be opened to clear its memory; or fresh address spaces were not to be had.
    #[error("{0}")]
    Failed(Errno),
    /// A call of the episode before it has still not come back.
    #[error("a call of it does not come back")]
    Hangs,
}

enum Order {
    Begin,
    Apply(Op),
    Look,
}

enum Report {
    Begun(Result<(), Errno>),
    Applied(Answer),
    Seen(Seen),
}

/// Carries operations out on the running kernel.
///
/// One thread does it, another waits: a call that does not come back in 70 s is
/// [`Answer::Hung`], and so is every one after it until it does come back, which
/// [`Subject::begin`] waits for once more. Resets and removals through sysfs, which may wait for
/// something the next operation gives up, have a thread each.
///
/// Beside what [`Subject::begin`] promises: the registers of a device that cannot be reset (edu)
/// stay as they are, and memory of a BAR is zero only where an episode's own operations wrote.
pub struct Executor {
    hardware: Hardware,
    abilities: Abilities,
    orders: Option<Sender<Order>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    /// Reports that have not come.
    owed: usize,
    broken: Option<Broken>,
}

impl Executor {
    /// Finds out what the devices are, and starts with nothing open. Places that vfio-pci does
    /// not have (ports, functions that others drive) are left out; nobody may have the rest open.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(places: &[Place]) -> Result<Self, SetupError> {
        let probe = Probe::new().map_err(SetupError::Resources)?;
        let bound = |place: &&Place| Folder::of(place.address).is_bound();
        let session = abilities::session(places).map_err(SetupError::Importer)?;
        let places: Vec<_> = places.iter().filter(bound).cloned().collect();
        let hardware = discover::hardware(&places, &probe)?;
        let abilities = abilities::found(&places, &hardware, &probe, session.as_ref());
        let abilities = abilities.map_err(SetupError::Importer)?;
        let hands = Hands::new(&places, &hardware, probe, session).map_err(SetupError::Resources)?;
        let (orders, taken) = channel();
        let (given, reports) = channel();
        let thread = thread::spawn(move || serve(hands, &taken, &given));
        Ok(Self {
            hardware,
            abilities,
            orders: Some(orders),
            reports,
            thread: Some(thread),
            owed: 0,
            broken: None,
        })
    }

    /// What the devices are, in the order they were named; their numbers are of this list.
    #[must_use]
    pub fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// What the kernel can do beside what its release says.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Why the last [`Subject::begin`] did not bring everything back to its start; what is asked
    /// from then on proves nothing.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    fn order(&mut self, order: Order) -> Option<Report> {
        // What an order before this one came to is nobody's answer any longer.
        while self.owed > 0 {
            self.reports.recv_timeout(PATIENCE + GRACE).ok()?;
            self.owed -= 1;
        }
        self.orders.as_ref()?.send(order).ok()?;
        let report = self.reports.recv_timeout(PATIENCE + GRACE);
        self.owed += usize::from(report.is_err());
        report.ok()
    }
}

fn serve(mut hands: Hands, orders: &Receiver<Order>, reports: &Sender<Report>) {
    for order in orders {
        let report = match order {
            Order::Begin => Report::Begun(hands.begin()),
            Order::Apply(op) => Report::Applied(hands.carry_out(&op)),
            Order::Look => Report::Seen(hands.look()),
        };
        if reports.send(report).is_err() {
            break;
        }
    }
    // Leaves the devices as they were found.
    let _ = hands.begin();
}

impl Subject for Executor {
    fn begin(&mut self) {
        self.broken = match self.order(Order::Begin) {
            Some(Report::Begun(begun)) => begun.err().map(Broken::Failed),
            Some(Report::Applied(_) | Report::Seen(_)) | None => Some(Broken::Hangs),
        };
    }

    fn apply(&mut self, op: &Op) -> Answer {
        match self.order(Order::Apply(op.clone())) {
            Some(Report::Applied(answer)) => answer,
            Some(Report::Begun(_) | Report::Seen(_)) | None => Answer::Hung,
        }
    }

    fn seen(&mut self) -> Seen {
        match self.order(Order::Look) {
            Some(Report::Seen(seen)) => seen,
            Some(Report::Begun(_) | Report::Applied(_)) | None => Seen::default(),
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        drop(self.orders.take());
        // A thread that hangs is left behind: waiting for it would hang as well.
        if let Some(thread) = self.thread.take().filter(|_| self.owed == 0) {
            let _ = thread.join();
        }
    }
}
