//! A scenario, put together: what is the same in all cells stands here.

use crate::column::{Column, Machine};
use crate::device::{Device, Target};
use barkeep_lab::topology::Engine;
use barkeep_scenario::language::{Content, Fate, Guest, Place, Purpose, Sight, Spaces};
use barkeep_scenario::units::Lapse;
use barkeep_scenario::{Action, Scenario};
use std::time::Duration;

/// The vCPU that acts, and the first of those that watch it.
const ACTING: usize = 0;
const WATCHING: usize = 1;
/// Longer than an edu's 100 ms from command to DMA, so that an event that lingers so long meets it.
const LINGER: Duration = Duration::from_millis(150);
/// The kernel's log takes three fault records in five seconds.
const FAULT_LOG: Duration = Duration::from_secs(5);
/// Long enough for a device to be suspended, or to be woken up and mapped.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a DMA at the most.
const DMA: u64 = 256;
/// Fills are numbered from here, so that none is taken for another.
const FILLED: u32 = 0x1111_0000;

/// How long an event takes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// At least as long as an edu needs to get to its DMA.
    Long,
    /// Too short for that: it is made to linger, and done once more without.
    Short,
}

/// What a register is set to that a reset clears: in an NVMe's CC the sizes of queue entries, without
/// the bit that enables the controller.
const REGISTER: u32 = 0x0046_0000;

/// What an edu's first register holds (QEMU, `docs/specs/edu.rst`).
const EDU_IDENTIFICATION: u32 = 0x0100_00ed;
/// The NVMe register VS (NVM Express, "Version"): offset, and version 1.4 as QEMU's controller has it.
const NVME_VERSION: (u64, u32) = (8, 0x0001_0400);

/// A scenario being written.
pub struct Story<'a> {
    column: &'a Column,
    /// What is watched beside the victim: it goes through the same.
    beside: Vec<&'a Target>,
    actions: Vec<Action>,
    /// How many fills there were, and what the last one of each place was.
    fills: u32,
    filled: Vec<(Place, u32)>,
    gone: Vec<String>,
}

impl<'a> Story<'a> {
    /// Begins: every CPU access lands, and every peer's.
    pub fn begin(column: &'a Column) -> Self {
        let mut story = Self {
            column,
            beside: Vec::new(),
            actions: Vec::new(),
            fills: 0,
            filled: Vec::new(),
            gone: Vec::new(),
        };
        story.all_land();
        story
    }

    /// Has these watched as well from now on, each by a vCPU of its own.
    pub fn watch_beside(&mut self, targets: impl Iterator<Item = &'a Target>) {
        self.beside.extend(targets);
    }

    /// The text.
    pub fn end(self, name: String) -> Scenario {
        let topology = match self.column.machine {
            Machine::Lab => Some(self.column.name.clone()),
            Machine::Model(_) => None,
        };
        let watching = 1 + self.beside.len() as u16;
        // Virtual functions are made to be kept apart.
        let apart = self.column.devices.iter().any(|device| device.function_of.is_some());
        let spaces = if apart { Spaces::Each } else { Spaces::Shared };
        let guest = Guest { vcpus: 1 + watching, spaces, ..Guest::default() };
        Scenario { topology, guest, ..Scenario::of(name, self.actions) }
    }

    /// Does this.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// A guest CPU writes every target that is left and reads it back, and every engine that is left
    /// puts something there. At the end it is the CPU's: an NVMe's data is always the same, and a DMA
    /// of what stands there already would show nothing.
    pub fn all_land(&mut self) {
        let column = self.column;
        for (device, target) in column.targets() {
            if self.is_gone(device) {
                continue;
            }
            for engine in column.engines() {
                if target.peers && engine.name != device.name && !self.is_gone(engine) {
                    self.cpu_lands(target);
                    self.dma(engine, target, Fate::Lands);
                }
            }
            self.cpu_lands(target);
        }
    }

    /// A guest CPU writes and reads back.
    pub fn cpu_lands(&mut self, target: &Target) {
        self.fills += 1;
        let (pattern, Target { place, size, .. }) = (FILLED + self.fills, target);
        self.filled.retain(|(other, _)| other != place);
        self.filled.push((place.clone(), pattern));
        self.act(Action::Fill { to: place.clone(), size: *size, pattern, vcpu: ACTING });
        self.verify(target, Content::Holds);
    }

    /// A guest CPU reads: what it wrote last, or all ones.
    pub fn verify(&mut self, target: &Target, expect: Content) {
        self.verify_at(target.place.clone(), target.size, expect);
    }

    /// The same, elsewhere.
    pub fn verify_at(&mut self, at: Place, size: u64, expect: Content) {
        let last = self.filled.iter().find(|(place, _)| *place == at).map_or(0, |(_, pattern)| *pattern);
        self.act(Action::Verify { at, size, pattern: last, vcpu: ACTING, expect });
    }

    /// An engine puts something there, or not.
    pub fn dma(&mut self, engine: &Device, target: &Target, expect: Fate) {
        let (engine, to, size) = (engine.name.clone(), target.place.clone(), target.size.min(DMA));
        self.act(Action::Dma { engine, to, size, pattern: None, expect });
    }

    /// A guest CPU gives a register a value that a reset takes away.
    pub fn set(&mut self, register: &Place) {
        let (to, size, pattern, vcpu) = (register.clone(), 4, REGISTER, ACTING);
        // Twice: a controller that was enabled takes the first as the end of it, and clears all.
        for _ in 0..2 {
            self.act(Action::Fill { to: to.clone(), size, pattern, vcpu });
        }
        self.act(Action::Verify { at: to, size, pattern, vcpu, expect: Content::Holds });
    }

    /// The register is as after a reset: nothing was revoked, and the device's state is gone.
    pub fn is_cleared(&mut self, register: &Place) {
        let (at, size, vcpu) = (register.clone(), 4, ACTING);
        self.act(Action::Verify { at, size, pattern: 0, vcpu, expect: Content::Holds });
    }

    /// Until fault records are logged again.
    pub fn fault_log(&mut self) {
        let time = Lapse::Exactly(FAULT_LOG);
        self.act(Action::Sleep { time, vcpu: ACTING, purpose: Purpose::FaultLog });
    }

    /// A while for others: what the VMM is told of is done on a thread of its own.
    pub fn pause(&mut self) {
        let time = Lapse::Exactly(PAUSE);
        self.act(Action::Sleep { time, vcpu: ACTING, purpose: Purpose::Itself });
    }

    /// Neither way lands for as long as this lasts.
    pub fn away(&mut self, engine: &Device, target: &Target) {
        self.verify(target, Content::Ones);
        self.fault_log();
        self.dma(engine, target, Fate::Faults);
    }

    /// An event that is over within one instruction of the guest's, or one call of the VMM's. Another
    /// vCPU reads inside the outage, and a DMA meets it.
    pub fn through(&mut self, engine: &Device, target: &Target, lasts: Lasts, event: &[Action]) {
        self.fault_log();
        let flies = engine.engine == Some(Engine::Edu);
        let (to, size) = (target.place.clone(), target.size.min(DMA));
        let name = engine.name.clone();
        for (n, target) in self.beside.clone().into_iter().enumerate() {
            self.watch(target, WATCHING + 1 + n, None);
        }
        if flies {
            self.watch(target, WATCHING, None);
            self.act(Action::DmaStart { engine: name, to, size, pattern: None });
        } else {
            self.act(Action::DmaPrepare { engine: name.clone(), to, size, pattern: None });
            self.watch(target, WATCHING, Some(name));
        }
        if lasts == Lasts::Short {
            self.act(Action::Linger { time: Lapse::Exactly(LINGER) });
        }
        self.actions.extend_from_slice(event);
        for n in 0..=self.beside.len() {
            self.act(Action::Watched { vcpu: WATCHING + n, expect: Sight::Ones });
        }
        self.act(Action::DmaFinish { engine: engine.name.clone(), expect: Fate::Faults });
        if lasts == Lasts::Short {
            self.act(Action::Linger { time: Lapse::Exactly(Duration::ZERO) });
        }
    }

    fn watch(&mut self, target: &Target, vcpu: usize, engine: Option<String>) {
        self.act(Action::Watch { at: target.place.clone(), vcpu, engine });
    }

    /// An engine's registers answer a guest CPU: another device than the one that is gone. An edu's
    /// identification and an NVMe's version are the same whenever they are read.
    pub fn engine_answers(&mut self, engine: &Device) {
        let (offset, pattern) = match engine.engine {
            Some(Engine::Edu) => (0, EDU_IDENTIFICATION),
            Some(Engine::Nvme) => (NVME_VERSION.0, NVME_VERSION.1),
            None => return,
        };
        let at = Place { offset, ..Place::bar(&engine.name, 0) };
        self.act(Action::Verify { at, size: 4, pattern, vcpu: ACTING, expect: Content::Holds });
    }

    /// A device is not there any more: what is left works on.
    pub fn gone(&mut self, device: &Device) {
        self.gone.push(device.name.clone());
    }

    fn is_gone(&self, device: &Device) -> bool {
        self.gone.contains(&device.name)
    }
}
