//! What others have to do with a VM's device: those who hold its file or a window's dma-buf, and the
//! kernel that wants it back.

use crate::board::Board;
use barkeep_export::{Cause, Errno, Function, Held, Holder, LowPower, WindowId, result_number};
use barkeep_journal::{Actor, Event, Kind, SeenBy, Step};
use barkeep_planted::{Fault, is_planted};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the VMM does once the kernel asks for a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRequest {
    /// Gives it up at once.
    #[default]
    Release,
    /// Goes on using it, until [`Board::release`].
    Wait,
}

/// What somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The device file.
    File,
    /// The dma-buf of a window, which is of this device.
    Buffer(WindowId),
}

/// A reference of somebody else's, with its step in the journal.
struct Reference {
    holding: Holding,
    by: Holder,
    held: Held,
    step: Step,
}

/// Of one device.
#[derive(Default)]
pub(crate) struct Outsiders {
    /// In the order in which they were made.
    held: Mutex<Vec<Reference>>,
    /// Times the kernel has asked.
    requests: AtomicU64,
    waits: AtomicBool,
}

impl Outsiders {
    /// All references go without a word.
    pub(crate) fn forget(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Board {
    /// Has somebody else hold the device file open, or a window's dma-buf.
    ///
    /// # Errors
    /// ENODEV once closed; ENOENT without a dma-buf; the others of [`barkeep_export::RawDevice::hold`]
    /// and [`barkeep_export::IoSpace::hold_buffer`].
    pub fn hold(&self, device: u16, holding: Holding, by: Holder) -> Result<(), Errno> {
        let event = Event::new(Kind::Hold, Actor::Observer).device(self.driver().address(device));
        let event = match holding {
            Holding::File => event,
            Holding::Buffer(window) => {
                let window = self.function(device).windows()[usize::from(window.window)];
                event.bar(window.bar).range(window.offset, window.size)
            }
        };
        // Before there is a reference: from here on access may outlive the close.
        let step = self.journal().begin(event.text(by.name()));
        let held = match holding {
            Holding::File => self.function(device).device().hold(by),
            Holding::Buffer(window) => self.space().hold_buffer(window, by),
        };
        match held {
            Ok(held) => self.held(device).push(Reference { holding, by, held, step }),
            Err(errno) => {
                self.end_hold(step, by, result_number(Err(errno)));
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Has others let go: of the device file and its dma-bufs, or of one of them; all, or those who hold
    /// it in one way.
    pub fn let_go(&self, device: u16, holding: Option<Holding>, by: Option<Holder>) {
        let named = |reference: &mut Reference| {
            holding.is_none_or(|holding| holding == reference.holding)
                && by.is_none_or(|by| by == reference.by)
        };
        // Given up outside of the lock: the last reference to a device file takes a reset's time.
        let gone: Vec<Reference> = self.held(device).extract_if(.., named).collect();
        for Reference { holding: _, by, held, step } in gone {
            drop(held);
            self.end_hold(step, by, 0);
        }
    }

    fn end_hold(&self, step: Step, by: Holder, result: i32) {
        self.journal().end_with(step, |event| event.text(by.name()).result(result));
    }

    fn held(&self, device: u16) -> MutexGuard<'_, Vec<Reference>> {
        self.outsiders(device).held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to be done when the kernel asks for the device.
    pub fn answer_requests(&self, device: u16, how: OnRequest) {
        self.outsiders(device).waits.store(how == OnRequest::Wait, Ordering::Release);
    }

    /// How often the kernel has asked for the device so far.
    pub fn requests(&self, device: u16) -> u64 {
        self.outsiders(device).requests.load(Ordering::Acquire)
    }

    /// Hears whether the kernel asks for the device, and answers as [`Self::answer_requests`] has it.
    /// Gives whether the device was given up for that.
    pub fn notice_request(&self, device: u16) -> bool {
        let asked = self.function(device).device().take_request();
        if !asked || self.driver().keeper(device).closed() {
            return false;
        }
        let event = Event::new(Kind::Request, Actor::Kernel).device(self.driver().address(device));
        self.journal().emit(event.seen_by(SeenBy::Eventfd));
        let outsiders = self.outsiders(device);
        outsiders.requests.fetch_add(1, Ordering::AcqRel);
        let deaf = is_planted(Fault::RequestUnheard) && self.requests(device) == 1;
        let waits = deaf || outsiders.waits.load(Ordering::Acquire);
        if !waits {
            self.release(device);
        }
        !waits
    }

    /// Gives a device up because the kernel wants it back.
    pub fn release(&self, device: u16) {
        if !self.driver().keeper(device).closed() {
            self.interrupts(device).let_go();
            // Giving up has no result; what went wrong around it is in the journal.
            let _ = self.driver().handle(device, Cause::REMOVE, (Actor::Vmm, 0));
        }
    }

    /// The kernel tells of an uncorrectable error of the device: what became of it and of its
    /// mappings has to be looked at.
    pub fn errored(&self, device: u16) {
        let event = Event::new(Kind::DeviceError, Actor::Kernel).device(self.driver().address(device));
        self.journal().emit(event.seen_by(SeenBy::Eventfd));
        self.suspect(device);
    }

    /// Something has woken the device, and by that ended its stay in low power: CPU access is
    /// there again, and only the exit brings peers' back.
    pub fn woken(&self, device: u16) {
        // Its own failures are in the journal.
        let _ = self.low_power(device, LowPower::Exit);
    }

    fn outsiders(&self, device: u16) -> &Outsiders {
        &self.seats[usize::from(device)].outsiders
    }
}
