//! What others have to do with a VM's device: those who hold its file, and the kernel that wants it
//! back.

use crate::board::Board;
use barkeep_export::{Cause, Errno, Held, Holder, LowPower};
use barkeep_journal::{Actor, Event, Kind, SeenBy, Step};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the VMM does once the kernel asks for a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRequest {
    /// Gives it up at once.
    #[default]
    Release,
    /// Goes on using it, until [`Board::release`].
    Wait,
}

/// Of one device.
#[derive(Default)]
pub(crate) struct Outsiders {
    /// References of others, each with its step in the journal.
    held: Mutex<Vec<(Step, Held)>>,
    /// Times the kernel has asked.
    requests: AtomicU64,
    waits: AtomicBool,
}

impl Board {
    /// Has somebody else hold the device file open.
    ///
    /// # Errors
    /// ENODEV once closed; EMFILE; EINVAL where no BAR can be mapped.
    pub fn hold(&self, device: u16, by: Holder) -> Result<(), Errno> {
        let what = match by {
            Holder::Duplicate => "duplicate",
            Holder::Mapping => "mapping",
            Holder::Passed => "passed",
            Holder::Kvm => "kvm",
        };
        let held = self.function(device).device().hold(by)?;
        let event = Event::new(Kind::Hold, Actor::Observer).device(self.driver().address(device));
        let step = self.journal().begin(event.text(what));
        self.outsiders(device).held.lock().unwrap_or_else(PoisonError::into_inner).push((step, held));
        Ok(())
    }

    /// Has all others let go of the device file.
    pub fn let_go(&self, device: u16) {
        let held =
            std::mem::take(&mut *self.outsiders(device).held.lock().unwrap_or_else(PoisonError::into_inner));
        for (step, held) in held {
            drop(held);
            self.journal().end(step, 0);
        }
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
        let waits = outsiders.waits.load(Ordering::Acquire);
        if !waits {
            self.release(device);
        }
        !waits
    }

    /// Gives a device up because the kernel wants it back.
    pub fn release(&self, device: u16) {
        if !self.driver().keeper(device).closed() {
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
