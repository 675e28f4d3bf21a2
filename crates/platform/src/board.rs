//! A VM's RAM, I/O address space and devices, joined by the driver of their mappings: all of it
//! but the CPUs. It is made of what a lane has opened, and given back in one go.

use crate::bus::{Bus, Doorbell};
use crate::console::Ends;
use crate::faults::Faults;
use crate::firmware::{self, FirmwareError};
use crate::importer::Attached;
use crate::interrupts::{Interrupts, Routes, RoutesThere};
use crate::map::{CONTROL_WORDS, MMIO64, OUTAGE_WORD_COUNT, OUTAGE_WORDS};
use crate::memory::Ram;
use crate::outsiders::Outsiders;
use crate::pci_root::PciRoot;
use crate::second::Beside;
use barkeep_export::FaultSource;
use barkeep_export::driver::OutageSink;
use barkeep_export::{
    Administrator, Cause, Driver, Errno, Function, Importer, Importers, IoSpace, LowPower, OutageWord,
    Parties, Passthrough, Phase, SecondEnd, Seconds, WindowId, result_number,
};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind, Trigger};
use barkeep_planted::{Fault, is_planted};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// Why these devices make no VM.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// There is no outage word for each window.
    #[error("{0} windows of BARs; {OUTAGE_WORD_COUNT} are possible")]
    Windows(u64),
    /// Guest memory refused.
    #[error("cannot write the outage words")]
    OutageWords(#[source] GuestMemoryError),
}

/// What a board is made of.
pub struct BoardParts {
    /// The journal.
    pub journal: Journal,
    /// Guest memory.
    pub ram: Arc<Ram>,
    /// The I/O address space, with the windows' dma-bufs.
    pub space: Arc<dyn IoSpace>,
    /// Guest memory slots, with the windows' memory.
    pub slots: Arc<dyn Importer>,
    /// The devices and their names, in the order of the driver's numbers.
    pub devices: Vec<(String, Arc<Passthrough>)>,
    /// The IOMMU's faults, where they can be read.
    pub faults: Option<Box<dyn FaultSource>>,
    /// Who administers the machine the devices are of.
    pub administrator: Arc<dyn Administrator>,
    /// Devices of that machine that are not in the VM, by name: a physical function, say.
    pub others: BTreeMap<String, DeviceAddress>,
    /// Lets time pass, as the lane's time goes.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
    /// Who starts second processes.
    pub seconds: Arc<dyn Seconds>,
    /// Who has importing devices attach, where that is wanted: it has a look before some of the journal's events.
    pub importers: Option<Arc<dyn Importers>>,
}

/// A device in its place.
pub(crate) struct Seat {
    name: String,
    pub(crate) function: Arc<Passthrough>,
    /// The number of its first window, over all devices.
    first_window: u64,
    pub(crate) outsiders: Outsiders,
    interrupts: Arc<Interrupts>,
}

/// Gives the next pause, if there is to be one.
pub type Draw = Box<dyn FnMut() -> Option<Duration> + Send>;

/// A VM without its CPUs.
pub struct Board {
    pub(crate) journal: Journal,
    ram: Arc<Ram>,
    space: Arc<dyn IoSpace>,
    pub(crate) seats: Vec<Seat>,
    routes: RoutesThere,
    pub(crate) driver: Arc<Driver>,
    pub(crate) faults: Option<Faults>,
    administrator: Arc<dyn Administrator>,
    others: BTreeMap<String, DeviceAddress>,
    sleep: Arc<dyn Fn(Duration) + Send + Sync>,
    seconds: Arc<dyn Seconds>,
    pub(crate) beside: Beside,
    pub(crate) attached: Option<Attached>,
    /// The VMM has been killed, as far as that is simulated.
    killed: AtomicBool,
    /// One attach at a time: they share an IOVA.
    attaching: Mutex<()>,
}

impl Board {
    /// Joins the parts; nothing is mapped yet.
    ///
    /// # Errors
    /// See [`BoardError`].
    pub fn new(parts: BoardParts) -> Result<Self, BoardError> {
        let BoardParts { journal, ram, space, slots, devices, faults, .. } = parts;
        let BoardParts { administrator, others, sleep, seconds, importers, .. } = parts;
        let (attached, journal) = match importers {
            Some(importers) => {
                let (attached, journal) = Attached::none(importers, &journal);
                (Some(attached), journal)
            }
            None => (None, journal),
        };
        let (mut seats, mut count) = (Vec::new(), 0);
        let (routes, claims) = (RoutesThere::default(), Arc::default());
        for (name, function) in devices {
            function.share_places(&claims);
            let windows = function.windows().len() as u64;
            let raw = Arc::clone(function.device());
            let interrupts = Arc::new(Interrupts::new(
                raw,
                PciRoot::slot(seats.len() as u16),
                Arc::clone(&routes),
                journal.clone(),
            ));
            let outsiders = Outsiders::default();
            seats.push(Seat { name, function, first_window: count, outsiders, interrupts });
            count += windows;
        }
        if count > OUTAGE_WORD_COUNT {
            return Err(BoardError::Windows(count));
        }
        let first_windows = seats.iter().map(|seat| seat.first_window).collect();
        let sink = outage_sink(&ram, first_windows, count).map_err(BoardError::OutageWords)?;
        let mut driver = Driver::new(journal.clone(), sink);
        for Seat { function, .. } in &seats {
            let parties =
                Parties { exporter: function.clone(), slots: Arc::clone(&slots), ioas: space.clone() };
            driver.add(function.address(), function.windows(), parties);
        }
        let (driver, faults) = (Arc::new(driver), faults.map(Faults::new));
        let attaching = Mutex::new(());
        Ok(Self {
            journal,
            ram,
            space,
            seats,
            routes,
            driver,
            faults,
            administrator,
            others,
            sleep,
            seconds,
            beside: Beside::default(),
            attached,
            killed: AtomicBool::new(false),
            attaching,
        })
    }

    /// Does what firmware does and maps every device for the first time. What could not be
    /// mapped is in the journal.
    ///
    /// # Errors
    /// See [`FirmwareError`].
    pub fn start(&self) -> Result<(), FirmwareError> {
        let functions = self.functions();
        firmware::set_up(&functions, &|device, write| functions[device].plain_write(write))?;
        for device in 0..self.driver.devices() {
            let _ = self.driver.handle(device, Cause::START, (Actor::Vmm, 0));
        }
        Ok(())
    }

    /// Names the guest's interrupt controllers. Without them a guest may turn interrupts on, and gets
    /// none; the journal says so.
    pub fn deliver_interrupts(&self, routes: Arc<dyn Routes>) {
        // Said once, by whoever makes the machine.
        let _ = self.routes.set(routes);
        self.seats.iter().for_each(|seat| seat.interrupts.begin());
    }

    /// The interrupts of a device.
    pub fn interrupts(&self, device: u16) -> &Arc<Interrupts> {
        &self.seats[usize::from(device)].interrupts
    }

    /// What is behind its vCPUs' exits. `doorbell` is the probe's, if that is the guest;
    /// `console` are the serial port's ends.
    pub fn bus(&self, doorbell: Option<Arc<dyn Doorbell>>, console: Ends) -> Bus {
        let functions = self.functions();
        let interrupts = self.seats.iter().map(|seat| Arc::clone(&seat.interrupts)).collect();
        let root =
            PciRoot::new(functions.clone(), interrupts, Arc::clone(&self.driver), self.journal.clone());
        Bus::new(root, functions, Arc::clone(&self.driver), doorbell, console)
    }

    /// Gives everything back, in the order in which it holds on to each other: slots and
    /// mappings (by closing each device), then dma-bufs. Guest RAM goes with the board.
    pub fn take_apart(&self) {
        self.driver.linger(None);
        self.driver.between_steps(None);
        // There is none where nobody has started or attached one, or somebody has ended it.
        let _ = self.end_second(SecondEnd::Exit);
        let _ = self.detach_importer();
        for (device, Seat { function, .. }) in (0..).zip(&self.seats) {
            self.let_go(device, None, None);
            if !self.driver.keeper(device).closed() {
                self.close(device);
            }
            for (number, window) in (0..).zip(function.windows()) {
                if self.space.remove_buffer(WindowId { device, window: number }) {
                    let event = Event::new(Kind::DmabufClose, Actor::Vmm).device(function.address());
                    self.journal.emit(event.bar(window.bar).range(window.offset, window.size));
                }
            }
        }
    }

    /// Notes that the VMM is killed, where its machine is simulated in this very process: whoever
    /// carries a scenario out ends it here, and calls [`Self::abandon`] instead of
    /// [`Self::take_apart`] once no CPU runs any more.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Whether it was.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Gives everything back as the kernel does for a process that is killed: without the keeper, and
    /// without a word. References of others that were this process's own go too.
    pub fn abandon(&self) {
        let event = Event::new(Kind::Process, Actor::Vmm);
        let lifetime = self.journal.begin(event.text("vmm"));
        self.journal.end_with(lifetime, |event| event.text("SIGKILL").result(0));
        for (device, Seat { function, outsiders, .. }) in (0..).zip(&self.seats) {
            outsiders.forget();
            function.device().close();
            for window in 0..function.windows().len() as u16 {
                self.space.remove_buffer(WindowId { device, window });
            }
        }
    }

    /// The journal of the run.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Guest memory.
    pub fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }

    /// The driver of all mappings.
    pub fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    /// The names of all devices, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.seats.iter().map(|seat| seat.name.as_str())
    }

    /// A device of this board, by the driver's number.
    pub fn function(&self, device: u16) -> &Arc<Passthrough> {
        &self.seats[usize::from(device)].function
    }

    pub(crate) fn functions(&self) -> Vec<Arc<dyn Function>> {
        self.seats.iter().map(|seat| Arc::clone(&seat.function) as Arc<dyn Function>).collect()
    }

    /// Guest physical address (and IOVA) of a place in a BAR, wherever its registers put it.
    pub fn bar_address(&self, device: u16, bar: u8, offset: u64) -> Option<u64> {
        let function = &self.seats.get(usize::from(device))?.function;
        let size = function.layout().bars.get(usize::from(bar))?.as_ref()?.size;
        Some(function.bar_address(bar)? + (offset < size).then_some(offset)?)
    }

    /// The window at a place in a BAR.
    pub fn window(&self, device: u16, bar: u8, offset: u64) -> Option<WindowId> {
        let windows = self.seats.get(usize::from(device))?.function.windows();
        let found =
            windows.iter().position(|w| w.bar == bar && (w.offset..w.offset + w.size).contains(&offset));
        Some(WindowId { device, window: found? as u16 })
    }

    /// Guest physical address of the outage word of the window at a place.
    pub fn outage_word(&self, device: u16, bar: u8, offset: u64) -> Option<u64> {
        let id = self.window(device, bar, offset)?;
        Some(OUTAGE_WORDS + 8 * (self.seats[usize::from(id.device)].first_window + u64::from(id.window)))
    }

    /// Whether CPU access to the window at a place is away at this moment.
    pub fn is_out(&self, device: u16, bar: u8, offset: u64) -> bool {
        let phase = self.window(device, bar, offset).map(|id| self.driver.outage(id).phase());
        phase == Some(Phase::Out)
    }

    /// Guest physical address of a word that tells a vCPU to stop what it is at.
    pub fn stop_word(vcpu: usize) -> u64 {
        CONTROL_WORDS + 8 * vcpu as u64
    }

    /// Sets that word.
    pub fn set_stop_word(&self, vcpu: usize, value: u64) {
        let at = GuestAddress(Self::stop_word(vcpu));
        let stored = self.ram.memory().store(value, at, Ordering::Release);
        debug_assert!(stored.is_ok());
    }

    /// `VFIO_DEVICE_RESET`, through the driver.
    ///
    /// # Errors
    /// The reset's errno.
    pub fn reset(&self, device: u16) -> Result<(), Errno> {
        self.driver.handle(device, Cause::DEVICE_RESET, (Actor::Vmm, 0))
    }

    /// Gives up the device file, through the driver.
    pub fn close(&self, device: u16) {
        // Eventfds and routes go before the file, while there is a device to tell.
        self.interrupts(device).let_go();
        // Closing has no result; what went wrong around it is in the journal.
        let _ = self.driver.handle(device, Cause::CLOSE, (Actor::Vmm, 0));
    }

    /// Tells the driver that something may have happened unseen.
    pub fn suspect(&self, device: u16) {
        // What it comes to is in the journal.
        let _ = self.driver.handle(device, Cause::SUSPECT, (Actor::Vmm, 0));
    }

    /// Tries to map the window at a place at an IOVA nobody uses, and unmaps it.
    ///
    /// # Errors
    /// What the kernel says to an importer; ENOENT where there is no window.
    pub fn attach(&self, device: u16, bar: u8, offset: u64) -> Result<(), Errno> {
        let window = self.window(device, bar, offset).ok_or(Errno::NOENT)?;
        let _one_at_a_time = self.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        // Above everything a guest can reach, and still inside 39 bits.
        self.space.attach_probe(window, MMIO64.end)
    }

    /// `VFIO_DEVICE_PCI_HOT_RESET`, through the drivers of all functions it resets that are in
    /// this VM.
    ///
    /// # Errors
    /// The hot reset's errno.
    pub fn hot_reset(&self, device: u16) -> Result<(), Errno> {
        // On the root bus there are none to be asked for; the reset itself says so.
        let mut members = self.function(device).device().hot_reset_members().unwrap_or_default();
        if is_planted(Fault::SiblingForgotten) {
            members.clear();
        }
        let ours: Vec<u16> =
            (0..self.driver.devices()).filter(|n| members.contains(&self.driver.address(*n))).collect();
        self.driver.handle_together(device, &ours, Cause::HOT_RESET, (Actor::Vmm, 0))
    }

    /// Puts a device into low power or takes it out, through the driver.
    ///
    /// # Errors
    /// EINVAL for a second entry; ENOTTY without runtime power management.
    pub fn low_power(&self, device: u16, which: LowPower) -> Result<(), Errno> {
        self.driver.handle(device, Cause::low_power(which), (Actor::Vmm, 0))
    }

    /// From now on each event pauses so long between dropping mappings and making new ones; zero
    /// for no more.
    pub fn linger(&self, time: Duration) {
        let sleep = Arc::clone(&self.sleep);
        let pause: Option<barkeep_export::driver::Pause> =
            if time.is_zero() { None } else { Some(Arc::new(move || sleep(time))) };
        self.driver.linger(pause);
    }

    /// From now on each event pauses between its steps as long as `draw` says, which is asked each time,
    /// in the order in which the steps are taken.
    pub fn pauses(&self, draw: Draw) {
        let sleep = Arc::clone(&self.sleep);
        let draw = Mutex::new(draw);
        self.driver.between_steps(Some(Arc::new(move || {
            let time = draw.lock().unwrap_or_else(PoisonError::into_inner)();
            if let Some(time) = time {
                sleep(time);
            }
        })));
    }

    /// Unmaps a window past its keeper: what a second holder of the iommufd context can do.
    ///
    /// # Errors
    /// ENOENT where there is no window, or nothing mapped.
    pub fn unmap_unseen(&self, device: u16, bar: u8, offset: u64) -> Result<(), Errno> {
        let id = self.window(device, bar, offset).ok_or(Errno::NOENT)?;
        let window = self.function(device).windows()[usize::from(id.window)];
        let address = self.bar_address(device, bar, window.offset).ok_or(Errno::NOENT)?;
        let event = Event::new(Kind::Trigger, Actor::Observer).device(self.driver.address(device));
        let event = event.trigger(Trigger::Unmap).bar(bar).range(address, window.size);
        let step = self.journal.begin(event);
        let result = self.space.unmap(id, address).map(drop);
        self.journal.end(step, result_number(result));
        result
    }

    /// The I/O address space.
    pub(crate) fn space(&self) -> &Arc<dyn IoSpace> {
        &self.space
    }

    /// Who starts second processes.
    pub fn seconds(&self) -> &Arc<dyn Seconds> {
        &self.seconds
    }

    /// Who administers the machine the devices are of.
    pub fn administrator(&self) -> &Arc<dyn Administrator> {
        &self.administrator
    }

    /// Where a device is on the host, also one that is not in this VM.
    pub fn host_address(&self, name: &str) -> Option<DeviceAddress> {
        let seat = self.seats.iter().find(|seat| seat.name == name);
        seat.map(|seat| seat.function.address()).or_else(|| self.others.get(name).copied())
    }

    /// The names of the devices that are not in this VM.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.others.keys().map(String::as_str)
    }
}

/// Every change of an outage word goes to guest memory as well, where the probe reads it.
fn outage_sink(ram: &Arc<Ram>, first_windows: Vec<u64>, count: u64) -> Result<OutageSink, GuestMemoryError> {
    let store = |ram: &Ram, window: u64, word: u64| {
        ram.memory().store(word, GuestAddress(OUTAGE_WORDS + 8 * window), Ordering::Release)
    };
    for window in 0..count {
        store(ram, window, OutageWord::default().get())?;
    }
    let ram = Arc::clone(ram);
    Ok(Arc::new(move |id: WindowId, word| {
        let window = first_windows[usize::from(id.device)] + u64::from(id.window);
        // Inside RAM, as the first store has shown.
        let _ = store(&ram, window, word);
    }))
}
