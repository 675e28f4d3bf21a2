//! A whole machine: made, started, stopped.

use crate::boot;
use crate::cpuid;
use crate::gate::Gate;
use crate::injection::{self, ExitsBehindInjections};
use crate::probe_link::ProbeLink;
use crate::registers::Registers;
use crate::routing::Routing;
use crate::slots::Slots;
use crate::vcpu::{Reset, Vcpu, VcpuEnd};
use barkeep_boot::{BootError, Entry, Guest};
use barkeep_export::Errno;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_platform::console::{Console, Ends, Line};
use barkeep_platform::firmware::FirmwareError;
use barkeep_platform::{Board, Bus, Doorbell, Ram, map};
use kvm_bindings::KVM_MAX_CPUID_ENTRIES;
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// No KVM.
    #[error("cannot open /dev/kvm; is KVM there, and may you read and write it (group kvm)?")]
    Open(#[source] kvm_ioctls::Error),
    /// KVM refused a part.
    #[error("KVM cannot make {0}")]
    Make(&'static str, #[source] kvm_ioctls::Error),
    /// A slot for RAM was refused.
    #[error("KVM cannot take guest memory")]
    Ram(#[source] Errno),
    /// The devices could not be set up.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// The guest could not be loaded.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A thread or an event file descriptor could not be made.
    #[error("cannot start {0}")]
    Start(&'static str, #[source] std::io::Error),
    /// A vCPU does not come out of what it is at, for as long as anything may take.
    #[error("the vCPUs did not stop for {0} s")]
    Hangs(u64),
}

/// How long vCPUs may take to stop: one may be in the middle of a reset, of 60 s at the most.
const PATIENCE: Duration = Duration::from_secs(200);

/// KVM's VM, before it has vCPUs: slots and RAM.
pub struct Shell {
    kvm: Kvm,
    vm: Arc<VmFd>,
    slots: Arc<Slots>,
    exits: ExitsBehindInjections,
}

/// Whether there is a KVM to be had.
///
/// # Errors
/// [`MachineError::Open`].
pub fn kvm_is_here() -> Result<(), MachineError> {
    Kvm::new().map(drop).map_err(MachineError::Open)
}

impl Shell {
    /// A VM with RAM and interrupt controllers.
    ///
    /// # Errors
    /// See [`MachineError`].
    pub fn new(ram: &Ram) -> Result<Self, MachineError> {
        let kvm = Kvm::new().map_err(MachineError::Open)?;
        let vm = Arc::new(kvm.create_vm().map_err(|e| MachineError::Make("a VM", e))?);
        vm.set_tss_address(map::KVM_TSS).map_err(|e| MachineError::Make("a TSS", e))?;
        vm.create_irq_chip().map_err(|e| MachineError::Make("interrupt controllers", e))?;
        let slots = Arc::new(Slots::new(Arc::clone(&vm)));
        for range in ram.ranges() {
            slots.add_ram(range.start, range.host, range.size).map_err(MachineError::Ram)?;
        }
        Ok(Self { kvm, vm, slots, exits: ExitsBehindInjections::default() })
    }

    /// Gets what an emulated CPU needs so that a guest with interrupts meets each of them once; nothing on any
    /// other. Before the process is confined, and by the thread that will start the machine.
    pub fn expect_interrupts(&mut self, journal: &Journal) {
        if !injection::comes_twice() {
            return;
        }
        match ExitsBehindInjections::new() {
            Ok(exits) => self.exits = exits,
            Err(error) => {
                let text =
                    format!("QEMU's CPU may deliver an interrupt twice, and the guest stand still: {error}");
                journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
            }
        }
    }

    /// The slots, to be told of the windows.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// KVM's VM, for devices that want to know it.
    pub fn vm(&self) -> &Arc<VmFd> {
        &self.vm
    }
}

/// Confines the thread of a vCPU, which calls it; where it cannot, the vCPU does not run.
pub type Confine = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a machine consists of besides KVM.
pub struct Parts {
    /// RAM, devices and their driver; the RAM and the slots are the shell's.
    pub board: Arc<Board>,
    /// The link to the probe, if that is the guest.
    pub probe: Option<Arc<ProbeLink>>,
    /// vCPUs, at least 1.
    pub vcpus: u16,
    /// Where the serial port writes to.
    pub console: Box<dyn Write + Send>,
    /// What each vCPU's thread does first.
    pub confine: Confine,
}

impl Parts {
    /// Whether the guest has interrupts: the probe polls.
    fn has_interrupts(&self) -> bool {
        self.probe.is_none()
    }
}

/// A machine that runs.
pub struct Machine {
    threads: Mutex<Vec<JoinHandle<VcpuEnd>>>,
    stop: Arc<AtomicBool>,
    gate: Arc<Gate>,
    probe: Option<Arc<ProbeLink>>,
    ended: EventFd,
    board: Arc<Board>,
    bus: Arc<Bus>,
    /// For as long as vCPUs run.
    _exits: ExitsBehindInjections,
}

impl Shell {
    /// Sets the devices up, maps them, loads the guest and starts its vCPUs' threads. The machine is paused:
    /// [`Machine::resume`] lets it go.
    ///
    /// # Errors
    /// See [`MachineError`].
    pub fn start(self, parts: Parts, guest: &Guest) -> Result<Machine, MachineError> {
        let line = if parts.has_interrupts() { Some(self.line(map::SERIAL_GSI)?) } else { None };
        let Parts { board, probe, vcpus, console, confine } = parts;
        board.start()?;
        let routing = Routing::new(Arc::clone(&self.vm)).with_pins(line.is_some());
        board.deliver_interrupts(Arc::new(routing));
        let entry = guest.load(board.ram())?;
        let doorbell = probe.clone().map(|link| link as Arc<dyn Doorbell>);
        let bus = Arc::new(board.bus(doorbell, Ends { output: console, line }));
        let (stop, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::new(vcpus)));
        let ended = EventFd::new(EFD_CLOEXEC).map_err(|e| MachineError::Start("an event", e))?;
        handle_kicks()?;
        let mut fds = Vec::new();
        for index in 0..vcpus {
            fds.push(self.vcpu(index, entry)?);
        }
        let mut threads = Vec::new();
        for (index, fd) in fds.into_iter().enumerate() {
            let (bus, driver, journal) =
                (Arc::clone(&bus), Arc::clone(board.driver()), board.journal().clone());
            let index = index as u16;
            let (probe, confine) = (probe.clone(), Arc::clone(&confine));
            let registers = Registers::of(&fd).map_err(|e| MachineError::Make("a vCPU's registers", e))?;
            let reset = Reset { gate: Arc::clone(&gate), registers };
            let vcpu = Vcpu::new(fd, index, bus, driver, journal.clone(), Arc::clone(&stop), reset);
            let told = ended.try_clone().map_err(|e| MachineError::Start("an event", e))?;
            let thread = std::thread::Builder::new()
                .name(format!("vcpu{index}"))
                .spawn(move || {
                    let end = run_and_tell(vcpu, index, &confine, &journal, &told);
                    if let Some(probe) = probe {
                        probe.gone(usize::from(index));
                    }
                    end
                })
                .map_err(|e| MachineError::Start("a vCPU's thread", e))?;
            threads.push(thread);
        }
        let (threads, _exits) = (Mutex::new(threads), self.exits);
        Ok(Machine { threads, stop, gate, probe, ended, board, bus, _exits })
    }

    /// An interrupt line, by its number at the I/O interrupt controller: an edge, each time it is raised.
    fn line(&self, gsi: u32) -> Result<Line, MachineError> {
        let event =
            EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(|e| MachineError::Start("an event", e))?;
        self.vm.register_irqfd(&event, gsi).map_err(|e| MachineError::Make("an interrupt line", e))?;
        // Only fails when as many edges wait as the counter can hold: one more is none.
        Ok(Box::new(move || drop(event.write(1))))
    }

    fn vcpu(&self, index: u16, entry: Entry) -> Result<VcpuFd, MachineError> {
        let make = |what| move |e| MachineError::Make(what, e);
        let fd = self.vm.create_vcpu(index.into()).map_err(make("a vCPU"))?;
        let mut cpuid = self.kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(make("a CPUID"))?;
        cpuid::set_index(&mut cpuid, index);
        fd.set_cpuid2(&cpuid).map_err(make("a vCPU with its CPUID"))?;
        boot::set_memory_type(&fd).map_err(make("a vCPU's memory type"))?;
        if index == 0 {
            boot::set_registers(&fd, entry).map_err(make("the first vCPU's registers"))?;
        }
        Ok(fd)
    }
}

impl Machine {
    /// Readable once a vCPU has come to an end that nobody asked it for.
    pub fn ended(&self) -> &EventFd {
        &self.ended
    }

    /// The serial port.
    pub fn console(&self) -> &Console {
        self.bus.console()
    }

    /// Pauses it: once this is over no vCPU runs an instruction of the guest. One that carries out what the guest
    /// has asked for (a reset, say) is not waited for; it stops before its next instruction. False if it was
    /// paused already.
    ///
    /// # Errors
    /// [`MachineError::Hangs`]: a vCPU does not come out of the guest.
    pub fn pause(&self) -> Result<bool, MachineError> {
        let changed = self.gate.pause();
        let threads = self.threads();
        match self.gate.wait_for_all_outside(PATIENCE, || kick(&threads)) {
            true => Ok(changed),
            false => Err(MachineError::Hangs(PATIENCE.as_secs())),
        }
    }

    /// Ends the pause; false if there was none.
    pub fn resume(&self) -> bool {
        self.gate.resume()
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.gate.is_paused()
    }

    /// Resets all of it: the vCPUs stop wherever they are, the devices are reset and set up as
    /// firmware does, `guest` is loaded again, and its vCPUs start from the beginning. RAM is
    /// kept. What the probe was told and has not answered is forgotten.
    ///
    /// # Errors
    /// A vCPU does not stop; the devices or the guest cannot be set up again.
    pub fn reboot(&self, guest: &Guest) -> Result<(), MachineError> {
        self.gate.close();
        let stopped = self.stop_all();
        let reset = stopped.and_then(|()| self.reset(guest));
        self.gate.open();
        reset
    }

    fn reset(&self, guest: &Guest) -> Result<(), MachineError> {
        if let Some(probe) = &self.probe {
            probe.begin_again();
        }
        self.bus.reset();
        self.board.reboot()?;
        guest.load(self.board.ram())?;
        Ok(())
    }

    /// Waits until every vCPU is at the gate. One that has ended is nobody to wait for.
    fn stop_all(&self) -> Result<(), MachineError> {
        if let Some(probe) = &self.probe {
            probe.interrupt();
        }
        let threads = self.threads();
        let running = threads.iter().filter(|thread| !thread.is_finished()).count();
        let stopped = self.gate.wait_for(running, PATIENCE, || kick(&threads));
        if stopped { Ok(()) } else { Err(MachineError::Hangs(PATIENCE.as_secs())) }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<VcpuEnd>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops every vCPU and waits for it; gives how each ended.
    pub fn stop(&self) -> Vec<VcpuEnd> {
        self.stop.store(true, Ordering::Release);
        self.gate.resume();
        self.bus.console().close();
        if let Some(probe) = &self.probe {
            probe.hang_up();
        }
        let mut ends = Vec::new();
        for thread in self.threads().drain(..) {
            // A kick that comes just before KVM_RUN is lost: kicked until it has gone.
            while !thread.is_finished() {
                let _ = thread.kill(SIGRTMIN());
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            ends.push(thread.join().unwrap_or_else(|_| VcpuEnd::Failed("its thread panicked".into())));
        }
        ends
    }
}

/// Has every vCPU come out of the guest.
fn kick(threads: &[JoinHandle<VcpuEnd>]) {
    for thread in threads {
        let _ = thread.kill(SIGRTMIN());
    }
}

fn run_and_tell(vcpu: Vcpu, index: u16, confine: &Confine, journal: &Journal, told: &EventFd) -> VcpuEnd {
    let end = confine().map_or_else(VcpuEnd::Failed, |()| vcpu.run());
    match &end {
        VcpuEnd::Stopped => return end,
        VcpuEnd::Asked(_) => {}
        VcpuEnd::GuestEnd(why) | VcpuEnd::Failed(why) => {
            let event = Event::new(Kind::Degraded, Actor::Vcpu).index(index);
            journal.emit(event.text(format!("vCPU ended: {why}")));
        }
    }
    // Only fails when the counter is full, and then it is readable already.
    let _ = told.write(1);
    end
}

/// The signal that makes `KVM_RUN` return; its handler has nothing to do.
fn handle_kicks() -> Result<(), MachineError> {
    extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| result = register_signal_handler(SIGRTMIN(), nothing));
    result.map_err(|e| MachineError::Start("a signal handler", e.into()))
}
