//! The simulated kernel of a VM, and what its devices hold, behind one lock.
//!
//! Every call of user space goes through the specification, section by section. The lock is held
//! from section to section and given back only where the kernel sleeps, or where a call waits for
//! another one's lock: there other threads come in, as they do in Linux.

use crate::bar_memory::{BarMemory, MemoryError};
use crate::clock::Clock;
use crate::cpu::Map;
use crate::engine::Engine;
use crate::operations::Operations;
use crate::parts::{self, Named, Part};
use crate::planted;
use crate::second::Second;
use barkeep_export::{Errno, Fault, WindowId};
use barkeep_model::kernel::{Call, ExportId, FileId, Progress, Section, Task};
use barkeep_model::op::{PAGE, RAM_IOVA};
use barkeep_model::{Kernel, Profile};
use barkeep_pci::layout::LayoutError;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The I/O address space all devices of a VM share, among the specification's.
pub(crate) const SPACE: usize = 0;
/// See [`SimHost::grace`].
const GRACE: u64 = 2_000_000_000;
/// The iommufd context it belongs to.
pub(crate) const CONTEXT: u8 = 0;

/// The kernel version that the simulated kernel is.
pub const PROFILE: Profile = Profile::V7_3;

/// Why there is no simulated kernel.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// More devices than bus 0 has numbers for.
    #[error("{0} simulated devices; {most} are possible", most = parts::MOST_DEVICES)]
    TooMany(usize),
    /// A config space that is none: an error of this crate.
    #[error("the config space of a simulated device makes no sense")]
    Layout(#[from] LayoutError),
    /// No memory for a BAR.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// What a device holds.
pub(crate) enum Holding {
    /// A BAR that is memory.
    Memory {
        /// Which BAR.
        bar: u8,
        /// What is in it.
        memory: BarMemory,
    },
    /// A DMA engine, whose registers are BAR 0.
    Engine(Engine),
}

/// A dma-buf this process has a descriptor of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    pub export: ExportId,
    pub size: u64,
}

/// All that the lock is about.
pub(crate) struct State {
    pub kernel: Kernel,
    pub holdings: Vec<Holding>,
    /// The memfd behind guest memory, once it is mapped for DMA.
    pub ram: Option<File>,
    /// The open device files.
    pub files: Vec<Option<FileId>>,
    /// The mappings of BARs.
    pub maps: Vec<Map>,
    pub buffers: BTreeMap<WindowId, Buffer>,
    /// Of a process beside the VMM.
    pub second: Second,
    /// The IOMMU's records nobody has taken yet.
    pub faults: Vec<Fault>,
    /// For each device, whether the kernel has asked for it and nobody has heard of it.
    pub requests: Vec<bool>,
    /// Something was revoked, and the engines have not made use of it yet.
    strike: bool,
    /// Nobody wants DMAs any more.
    pub ended: bool,
    /// How much was asked so far.
    pub operations: Operations,
}

/// The kernel and the devices of a VM.
pub struct SimHost {
    state: Mutex<State>,
    /// Told whenever the lock is given back with something changed that others may wait for.
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

impl SimHost {
    /// A kernel with these devices, none open yet.
    ///
    /// # Errors
    /// See [`SimError`].
    pub fn new(devices: &[Named], clock: Arc<dyn Clock>) -> Result<Arc<Self>, SimError> {
        if devices.len() > parts::MOST_DEVICES {
            return Err(SimError::TooMany(devices.len()));
        }
        let mut kernel = planted::in_kernel(Kernel::new(&parts::hardware(devices), PROFILE)?);
        // The page of RAM every space of the specification begins with: a VM brings its own.
        let unmap = Call::Unmap { space: SPACE, iova: RAM_IOVA, length: PAGE };
        let unmapped = kernel.call(&unmap);
        debug_assert_eq!(unmapped, Some(Ok(PAGE)));
        let holdings = devices.iter().map(|named| Holding::new(named.kind.part()));
        let state = State {
            kernel,
            holdings: holdings.collect::<Result<_, _>>()?,
            ram: None,
            files: vec![None; devices.len()],
            maps: Vec::new(),
            buffers: BTreeMap::new(),
            second: Second::default(),
            faults: Vec::new(),
            requests: vec![false; devices.len()],
            strike: false,
            ended: false,
            operations: Operations::default(),
        };
        Ok(Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), clock }))
    }

    /// The time, nanoseconds by the journal's clock.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Lets time pass, as the simulated kernel does when it sleeps.
    pub fn sleep(&self, time: std::time::Duration) {
        self.clock.sleep(time.as_nanos() as u64);
    }

    /// When the next DMA is due; `None` while none is under way. Where time is planned, whoever
    /// lets it pass stops there and calls [`Self::catch_up`].
    pub fn next_due(&self) -> Option<u64> {
        self.lock_state().next_due()
    }

    /// Carries out the DMAs that are due by now.
    pub fn catch_up(&self) {
        drop(self.lock());
    }

    /// What the kernel and the devices were asked so far; `slots` is 0.
    pub fn operations(&self) -> Operations {
        self.lock_state().operations
    }

    /// What the kernel still has that somebody opened or made, each by its name.
    pub fn left(&self) -> [(&'static str, u64); 3] {
        let [files, maps, exports, _, _, _] = self.lock().kernel.census();
        [
            ("simulated device files", files as u64),
            ("simulated mappings of BARs", maps as u64),
            ("simulated dma-bufs", exports as u64),
        ]
    }

    /// What is left of a VMM's own context once its devices and dma-bufs are given up: the mappings in
    /// its I/O address space, which go with its last descriptor (`iommufd_fops_release`).
    pub fn close_context(&self) {
        let areas: Vec<(u64, u64)> =
            self.lock().kernel.spaces()[SPACE].areas.iter().map(|area| (area.iova, area.length)).collect();
        for (iova, length) in areas {
            // All of them are there, and whole.
            let _ = self.call(&Call::Unmap { space: SPACE, iova, length });
        }
    }

    /// Whether a device is in the machine.
    pub(crate) fn is_there(&self, device: usize) -> bool {
        !self.lock().kernel.is_gone(device)
    }

    /// Looks at a BAR from outside, as nobody in the machine could: nothing is waited for, and no DMA carried out.
    /// `None` where somebody is inside of the kernel, or the device has no such BAR.
    pub fn peek(&self, device: usize, bar: u8, offset: u64, bytes: &mut [u8]) -> Option<()> {
        let state = self.state.try_lock().ok()?;
        match state.holdings.get(device)? {
            Holding::Memory { bar: there, memory } if *there == bar => memory.read(offset, bytes),
            Holding::Engine(engine) if bar == 0 => engine.read(offset, bytes),
            Holding::Memory { .. } | Holding::Engine(_) => return None,
        }
        Some(())
    }

    /// The lock, with every DMA carried out that is overdue.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock_state();
        state.catch_up(self.now().saturating_sub(self.grace()));
        state
    }

    /// How long after it is due a DMA is carried out that no revoke meets and whose engine nobody
    /// asks, nanoseconds. Where time goes on by itself a guest may be kept from its next instruction
    /// for longer than a DMA takes, and what it does next is still what happens next.
    pub(crate) fn grace(&self) -> u64 {
        if self.clock.flows() { GRACE } else { 0 }
    }

    pub(crate) fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells others that something they may wait for has changed. Where there is one thread nobody
    /// waits, and what would wake nobody is a system call all the same.
    pub(crate) fn tell(&self) {
        if self.clock.flows() {
            self.changed.notify_all();
        }
    }

    /// Waits for others, with the lock given back; `limit` in nanoseconds.
    pub(crate) fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Option<u64>) -> MutexGuard<'a, State> {
        match limit {
            Some(ns) => {
                let limit = std::time::Duration::from_nanos(ns);
                let waited = self.changed.wait_timeout(state, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The lock, once `held` does not hold any more: a lock of the kernel's that another call has.
    ///
    /// # Errors
    /// EDEADLK where nobody else can give it back.
    pub(crate) fn lock_without(
        &self,
        held: impl Fn(&Kernel) -> bool,
    ) -> Result<MutexGuard<'_, State>, Errno> {
        let mut state = self.lock();
        while held(&state.kernel) {
            state = self.wait_for_others(state)?;
        }
        Ok(state)
    }

    fn wait_for_others<'a>(&self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Errno> {
        if self.clock.flows() { Ok(self.wait(state, None)) } else { Err(Errno::DEADLK) }
    }

    /// A call of user space, from its first section to its answer. Takes the time it takes.
    ///
    /// # Errors
    /// The call's own; EDEADLK where it waits for what only its own thread could give.
    pub(crate) fn call(&self, call: &Call) -> Result<u64, Errno> {
        let mut state = self.lock();
        state.operations.calls += 1;
        let mut task = state.kernel.start(call);
        loop {
            match state.step(&mut task, self.clock.now()) {
                Progress::More => {}
                Progress::Blocked => state = self.wait_for_others(state)?,
                Progress::Sleep(ns) => {
                    self.tell();
                    drop(state);
                    self.clock.sleep(ns);
                    state = self.lock();
                }
                Progress::Done(answer) => {
                    self.tell();
                    return answer.map_err(errno);
                }
            }
        }
    }
}

impl Holding {
    fn new(part: Part) -> Result<Self, MemoryError> {
        Ok(match part {
            Part::Memory { bar, size } => Self::Memory { bar, memory: BarMemory::new(size)? },
            Part::Engine { delay } => Self::Engine(Engine::new(delay.as_nanos() as u64)),
        })
    }
}

impl State {
    /// Does the next section, and what hangs on it.
    fn step(&mut self, task: &mut Task, now: u64) -> Progress {
        self.strike |= self.revokes(task.upcoming());
        let progress = self.kernel.step(task);
        // A device's windows are revoked one after the other: all of them first.
        let more = matches!(
            task.upcoming(),
            Some(Section::Move { revoked: true, .. } | Section::WaitForImporters(_))
        );
        if self.strike && !more {
            self.strike = false;
            self.strike_now(now);
        }
        self.show_and_hide();
        progress
    }

    /// Whether a section revokes a dma-buf that is not revoked yet.
    fn revokes(&self, section: Option<&Section>) -> bool {
        let Some(&Section::Move { device, revoked: true, at }) = section else {
            return false;
        };
        let id = self.kernel.functions()[device].exports.get(at);
        id.and_then(|id| self.kernel.export(*id)).is_some_and(|export| !export.revoked)
    }

    /// The file of a device.
    ///
    /// # Errors
    /// ENODEV once closed.
    pub fn file(&self, device: usize) -> Result<FileId, Errno> {
        self.files[device].ok_or(Errno::NODEV)
    }
}

/// The same number, as the contract has it.
pub(crate) fn errno(errno: barkeep_model::Errno) -> Errno {
    Errno::from_raw_os_error(errno.number())
}
