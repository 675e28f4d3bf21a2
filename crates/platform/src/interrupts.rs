//! Interrupts of a passed-through function: MSI, MSI-X and [`intx`], from the guest's registers to an eventfd
//! that the kernel signals and KVM delivers, without this process.
//!
//! What a guest writes is kept by [`Msi`] and [`Msix`]; [`Vectors`] says which steps it takes. A
//! masked vector has its eventfd and no irqfd on it: what is signalled is counted there, which is the
//! pending bit, and is delivered once when the irqfd is back (`kvm_irqfd_assign` injects what it
//! finds; `irqfd_shutdown` takes what is left of that out again).
//!
//! Resets leave all of it alone, as they do with the rest of the function's config space: the host
//! restores a function's interrupts with its other registers (`pci_restore_msi_state`), so whatever
//! the guest had set up goes on working. What ends them is the guest, its reboot, and the close.

pub mod intx;
mod registers;
mod vectors;

use barkeep_export::{Errno, RawDevice, result_number};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_pci::header;
use barkeep_pci::msi::Mechanism;
pub use barkeep_pci::msi::Message;
use barkeep_pci::write::ConfigWrite;
use intx::Intx;
use registers::Registers;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use vectors::{Step, Vectors, Wanted};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// The guest's interrupt controllers, as far as messages go to them. A GSI is the number of a route.
pub trait Routes: Send + Sync {
    /// A GSI nobody has.
    ///
    /// # Errors
    /// ENOSPC when there is none left.
    fn reserve(&self) -> Result<u32, Errno>;

    /// Routes GSIs to messages, or to nothing and gives them back, all at once.
    ///
    /// # Errors
    /// The errno of `KVM_SET_GSI_ROUTING`; the routes are as they were.
    fn route(&self, changes: &[(u32, Option<Message>)]) -> Result<(), Errno>;

    /// From now on a signal of the eventfd is the GSI's message; one that was signalled before is
    /// delivered at once.
    ///
    /// # Errors
    /// The errno of `KVM_IRQFD`: EBUSY where it is attached already.
    fn attach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno>;

    /// Whether pins of PCI slots are wired to the controllers as [`intx::gsi`] has it, and the guest knows.
    fn has_pins(&self) -> bool {
        false
    }

    /// From now on a signal of the first eventfd raises a pin, and once the guest has ended the interrupt
    /// the pin is lowered and the second one signalled.
    ///
    /// # Errors
    /// The errno of `KVM_IRQFD`; EOPNOTSUPP without pins.
    fn attach_level(&self, _gsi: u32, _raise: &EventFd, _ended: &EventFd) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// From now on the eventfd counts. Nothing is delivered once this has returned.
    ///
    /// # Errors
    /// The errno of `KVM_IRQFD`.
    fn detach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno>;
}

/// What the routes of a VM are said to be, once there is somebody to say it.
pub(crate) type RoutesThere = Arc<OnceLock<Arc<dyn Routes>>>;

/// A vector's way into the guest.
struct Line {
    event: EventFd,
    gsi: u32,
}

/// The interrupts of one function.
pub struct Interrupts {
    device: Arc<dyn RawDevice>,
    routes: RoutesThere,
    journal: Journal,
    /// Held over system calls: the steps of two vCPUs must not mix. One of those waits where the
    /// device is being reset; whoever only reads memory does not come here then.
    state: Mutex<State>,
    /// A step has failed that is to be tried again: asked without the lock, after every config write.
    unfinished: AtomicBool,
}

struct State {
    registers: Registers,
    vectors: Vectors,
    lines: BTreeMap<u16, Line>,
    intx: Intx,
    /// The device is given up, or about to be.
    closed: bool,
    /// What cannot be delivered has been told; a guest that goes on writing does not fill the journal.
    told: bool,
}

impl Interrupts {
    /// As after a reset: nothing is on.
    pub(crate) fn new(device: Arc<dyn RawDevice>, slot: u8, routes: RoutesThere, journal: Journal) -> Self {
        let registers = Registers::of(device.layout());
        let (vectors, lines) = (Vectors::default(), BTreeMap::new());
        let intx = Intx::of(&*device, slot);
        let state = Mutex::new(State { registers, vectors, lines, intx, closed: false, told: false });
        Self { device, routes, journal, state, unfinished: AtomicBool::new(false) }
    }

    /// Puts what a guest shall see over what was read of config space.
    pub fn config_read(&self, offset: u16, bytes: &mut [u8]) {
        if !self.concerns(offset) {
            return;
        }
        let state = self.state();
        state.registers.show(offset, bytes, |vector| state.is_pending(vector));
    }

    /// Takes what of a config write is about interrupts; gives what is left of it for the device.
    pub fn config_write(&self, write: &ConfigWrite) -> Option<ConfigWrite> {
        if !self.concerns(write.offset) {
            return Some(*write);
        }
        let mut state = self.state();
        if !state.registers.write(write) {
            return Some(*write);
        }
        let rest = state.registers.rest(write);
        self.follow(&mut state);
        rest
    }

    /// Whether an access inside of a dword may meet one of the registers. Asked without the lock, so that
    /// no other register waits for it.
    fn concerns(&self, offset: u16) -> bool {
        let layout = self.device.layout();
        let dword = offset & !3;
        let msi =
            layout.msi.is_some_and(|msi| (msi.offset..msi.offset + header::MSI_MOST_SIZE).contains(&dword));
        msi || layout.msix.is_some_and(|msix| msix.offset == dword)
    }

    /// Whether a place in a BAR is the MSI-X table's or the pending bits'.
    pub fn covers(&self, bar: u8, offset: u64) -> bool {
        // Asked at every exit, and without the lock: this never changes.
        self.device.layout().msix.is_some_and(|msix| msix.has(bar, offset))
    }

    /// Reads the table or the pending bits.
    pub fn read(&self, bar: u8, offset: u64, bytes: &mut [u8]) {
        let state = self.state();
        if let Some(msix) = &state.registers.msix {
            msix.bar_read(bar, offset, bytes, |vector| state.is_pending(vector));
        }
    }

    /// Writes the table; the pending bits cannot be written.
    pub fn write(&self, bar: u8, offset: u64, bytes: &[u8]) {
        let mut state = self.state();
        let msix = state.registers.msix.as_mut();
        if msix.is_some_and(|msix| msix.bar_write(bar, offset, bytes)) {
            self.follow(&mut state);
        }
    }

    /// The function may have changed: what could not be done is tried again.
    pub fn try_again(&self) {
        if self.unfinished.load(Ordering::Acquire) {
            let mut state = self.state();
            self.follow(&mut state);
        }
    }

    /// The guest's machine is reset: as at the start, and nothing of before is delivered any more.
    pub fn reset(&self) {
        let mut state = self.state();
        state.registers.reset();
        state.told = false;
        // What it has raised and nobody has ended is of before.
        self.pin(&mut state, None);
        self.follow(&mut state);
    }

    /// The guest's interrupt controllers are there: a pin is on from the start.
    pub(crate) fn begin(&self) {
        self.follow(&mut self.state());
    }

    /// The device is about to be given up: its eventfds and routes go first, and no write of the
    /// guest's brings any back.
    pub fn let_go(&self) {
        let mut state = self.state();
        state.closed = true;
        self.follow(&mut state);
    }

    /// Carries out what the registers have come to. A step that fails is told, and tried again with the
    /// next write: MSI and MSI-X cannot be turned on in a lower power state (`pci_msi_supported`), and a
    /// guest may do that before it wakes the function up.
    fn follow(&self, state: &mut State) {
        let wanted = if state.closed { Wanted::default() } else { state.registers.wanted() };
        let Some(routes) = self.routes.get() else {
            if let Some((mechanism, _)) = wanted.on {
                self.tell(
                    state,
                    &format!("the guest enables {}; nothing here delivers it", mechanism.name()),
                    None,
                );
            }
            return;
        };
        let before = state.vectors.on();
        // Never two: the kernel has one sort of interrupt on for a device.
        let pin = state.intx.gsi(&**routes).filter(|_| wanted.on.is_none() && !state.closed);
        if pin.is_none() {
            self.pin(state, None);
        }
        self.unfinished.store(false, Ordering::Release);
        for step in state.vectors.plan(&wanted) {
            if let Err(errno) = self.take(state, &**routes, &step) {
                // What is ended is ended: the device may be gone, and there is nothing else to try.
                let ends = matches!(step, Step::Disable(_) | Step::Detach(_) | Step::GiveUp);
                if !(ends && errno == Errno::NODEV) {
                    self.tell(state, &failure(&step), Some(errno));
                }
                if !ends {
                    self.unfinished.store(true, Ordering::Release);
                    break;
                }
            }
            state.vectors.done(&step);
        }
        if state.vectors.is_empty() && !state.lines.is_empty() {
            // Made for a step that failed.
            let _ = give_up(state, &**routes);
        }
        self.tell_change(before, state.vectors.on());
        if pin.is_some() && state.vectors.on().is_none() {
            self.pin(state, pin);
        }
    }

    /// Turns the pin on, by a GSI, or off.
    fn pin(&self, state: &mut State, on: Option<u32>) {
        let Some(routes) = self.routes.get().filter(|_| state.intx.is_on() != on.is_some()) else { return };
        let (result, what) = match on {
            Some(gsi) => (state.intx.turn_on(&*self.device, &**routes, gsi), "on"),
            None => (state.intx.turn_off(&*self.device, &**routes), "off"),
        };
        match result {
            Ok(()) => {
                let event = self.event(Kind::Interrupts).value(u64::from(on.is_some()));
                self.journal.emit(event.text("INTx"));
            }
            Err(errno) => self.tell(state, &format!("INTx cannot be turned {what}"), Some(errno)),
        }
    }

    fn take(&self, state: &mut State, routes: &dyn Routes, step: &Step) -> Result<(), Errno> {
        match step {
            Step::Disable(mechanism) => self.device.disable_vectors(*mechanism),
            Step::Detach(vector) => {
                let Line { event, gsi } = state.line(*vector, routes)?;
                routes.detach(*gsi, event)
            }
            Step::GiveUp => give_up(state, routes),
            Step::Route(wanted) => {
                let gsi = |(vector, message): &(u16, Message)| {
                    Ok((state.line(*vector, routes)?.gsi, Some(*message)))
                };
                let changes: Result<Vec<_>, Errno> = wanted.iter().map(gsi).collect();
                routes.route(&changes?)
            }
            Step::Attach(vector) => {
                let Line { event, gsi } = state.line(*vector, routes)?;
                routes.attach(*gsi, event)
            }
            Step::Enable(mechanism, count) => self.enable(state, routes, *mechanism, *count),
            Step::Signal(vector) => {
                let line = state.line(*vector, routes)?;
                self.device.set_vectors(Mechanism::MsiX, *vector, &[Some(&line.event)])
            }
        }
    }

    fn enable(
        &self,
        state: &mut State,
        routes: &dyn Routes,
        mechanism: Mechanism,
        count: u16,
    ) -> Result<(), Errno> {
        match mechanism {
            Mechanism::Msi => {
                for vector in 0..count {
                    state.line(vector, routes)?;
                }
                let events: Vec<_> =
                    (0..count).map(|n| state.lines.get(&n).map(|line| &line.event)).collect();
                self.enable_some(&events)
            }
            Mechanism::MsiX => {
                // Where the host cannot add vectors later, all are there from the start, silent ones too.
                let count = if self.device.vectors(mechanism).grows { 1 } else { count };
                self.device.set_vectors(mechanism, 0, &vec![None; usize::from(count)])
            }
        }
    }

    /// A host without interrupt remapping has one vector of MSI for a function and no more: then it
    /// signals by fewer, and the device is told so, as by any system that is short of them (PCI Express
    /// Base 6.0, 7.7.1.2).
    fn enable_some(&self, events: &[Option<&EventFd>]) -> Result<(), Errno> {
        let mut count = events.len();
        loop {
            match self.device.set_vectors(Mechanism::Msi, 0, &events[..count]) {
                Err(Errno::NOSPC) if count > 1 => count /= 2,
                Ok(()) if count < events.len() => {
                    let text = format!("MSI: the host has {count} vectors of {} for it", events.len());
                    self.journal.emit(self.event(Kind::Degraded).text(text));
                    return Ok(());
                }
                result => return result,
            }
        }
    }

    /// Once until the next reset.
    fn tell(&self, state: &mut State, what: &str, errno: Option<Errno>) {
        if !std::mem::replace(&mut state.told, true) {
            let event = self.event(Kind::Degraded).text(what);
            self.journal.emit(match errno {
                Some(errno) => event.result(result_number(Err(errno))),
                None => event,
            });
        }
    }

    fn tell_change(&self, before: Option<(Mechanism, u16)>, now: Option<(Mechanism, u16)>) {
        let (mechanism, count) = match (before, now) {
            _ if before == now => return,
            (_, Some(on)) => on,
            (Some((mechanism, _)), None) => (mechanism, 0),
            (None, None) => return,
        };
        self.journal.emit(self.event(Kind::Interrupts).value(count.into()).text(mechanism.name()));
    }

    fn event(&self, kind: Kind) -> Event {
        Event::new(kind, Actor::Vmm).device(self.device.address())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A vector's line, made where there is none.
    fn line(&mut self, vector: u16, routes: &dyn Routes) -> Result<&Line, Errno> {
        use std::collections::btree_map::Entry;
        match self.lines.entry(vector) {
            Entry::Occupied(line) => Ok(line.into_mut()),
            Entry::Vacant(free) => {
                let event = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK);
                let event = event.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
                Ok(free.insert(Line { event, gsi: routes.reserve()? }))
            }
        }
    }

    /// Whether a vector has signalled while nobody took it. Looks without taking.
    fn is_pending(&self, vector: u16) -> bool {
        self.vectors.holds(vector) && self.lines.get(&vector).is_some_and(|line| is_signalled(&line.event))
    }
}

/// The routes first, then the eventfds, when nobody knows them any more.
fn give_up(state: &mut State, routes: &dyn Routes) -> Result<(), Errno> {
    let lines = std::mem::take(&mut state.lines);
    routes.route(&lines.values().map(|line| (line.gsi, None)).collect::<Vec<_>>())
}

/// Whether an eventfd that nobody waits on has been signalled. What is taken out to see it is put back:
/// signals add up, and nobody else looks meanwhile.
fn is_signalled(event: &EventFd) -> bool {
    event.read().is_ok_and(|count| event.write(count).is_ok())
}

fn failure(step: &Step) -> String {
    let what = match step {
        Step::Disable(mechanism) => return format!("{} cannot be turned off", mechanism.name()),
        Step::Detach(vector) => ("taken from KVM", vector),
        Step::GiveUp => return "interrupts cannot be unrouted".to_owned(),
        Step::Route(_) => return "interrupts cannot be routed".to_owned(),
        Step::Attach(vector) => ("given to KVM", vector),
        Step::Enable(mechanism, _) => return format!("{} cannot be turned on", mechanism.name()),
        Step::Signal(vector) => ("had of the device", vector),
    };
    format!("interrupt vector {} cannot be {}", what.1, what.0)
}
