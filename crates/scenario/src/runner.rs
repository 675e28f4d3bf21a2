//! Carries a scenario out, one action after the other, and writes what was observed.

mod attaching;
mod beside;
mod error;
mod flying;
mod importing;
mod outside;
mod reading;
mod reboot;
mod removal;
mod scribbling;
mod second;
mod triggers;
mod watching;

use crate::deed::Deed;
use crate::dma::{Dmas, Wish};
use crate::draw::Draw;
use crate::expectation::{expect_errno, judged};
use crate::guest_cpu::{GuestCpu, nanoseconds};
use crate::hammer::Hammering;
use crate::language::{Action, Place, Purpose, Scenario};
use crate::nearest::nearest;
use crate::perturb;
use crate::world::World;
use attaching::Observer;
use barkeep_export::{Errno, Function};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind};
use barkeep_probe::Command;
use beside::Meanwhile;
pub use error::RunError;
use removal::Removal;
use std::collections::{BTreeMap, BTreeSet};
use std::thread::Scope;
use triggers::Written;
use watching::Watching;

/// Carries a scenario out. What was not as expected is in the journal; its random times are drawn
/// from `seed`.
///
/// # Errors
/// See [`RunError`]; the run is over then.
pub fn run(scenario: &Scenario, world: &dyn World, seed: u64) -> Result<(), RunError> {
    perturb::pauses(&scenario.perturb, world, seed);
    std::thread::scope(|scope| {
        let mut runner = Runner::new(world, scope, seed);
        let result = runner.actions(&scenario.actions).and_then(|()| runner.join());
        if let Err(error) = &result
            && error.is_hang()
        {
            // Here, for what hangs may keep the run from ever saying anything else.
            let event = Event::new(Kind::Degraded, Actor::Scenario).text(error.to_string());
            world.board().journal().emit(event);
        }
        runner.wind_up();
        match result {
            // As it was asked to.
            Err(RunError::Killed) => Ok(()),
            result => result,
        }
    })
}

/// A device of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRef {
    /// The driver's number.
    pub index: u16,
    pub address: DeviceAddress,
}

/// A place in a BAR, found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub device: DeviceRef,
    pub bar: u8,
    pub offset: u64,
    /// Guest physical address and IOVA.
    pub address: u64,
}

pub(crate) struct Runner<'scope, 'env> {
    pub world: &'env dyn World,
    pub dmas: Dmas,
    scope: &'scope Scope<'scope, 'env>,
    draw: Draw,
    background: Vec<Observer<'scope>>,
    hammering: Hammering,
    watching: Vec<Watching>,
    removals: Vec<Removal<'scope>>,
    meanwhile: Vec<Meanwhile<'scope>>,
    /// vCPUs that carry out a config write in the background.
    writing: BTreeSet<usize>,
    written: Written,
    neighbour: second::Neighbour,
    importer: importing::Importer,
    /// Where BARs were before their last move, by device and BAR.
    moved: BTreeMap<(u16, u8), u64>,
}

impl<'scope, 'env> Runner<'scope, 'env> {
    fn new(world: &'env dyn World, scope: &'scope Scope<'scope, 'env>, seed: u64) -> Self {
        Self {
            world,
            dmas: Dmas::default(),
            scope,
            draw: Draw::new(seed),
            background: Vec::new(),
            hammering: Hammering::default(),
            watching: Vec::new(),
            removals: Vec::new(),
            meanwhile: Vec::new(),
            writing: BTreeSet::new(),
            written: Written::default(),
            neighbour: second::Neighbour::default(),
            importer: importing::Importer::default(),
            moved: BTreeMap::new(),
        }
    }

    fn actions(&mut self, actions: &[Action]) -> Result<(), RunError> {
        for action in actions {
            if let Action::Repeat { times, actions } = action {
                for _ in 0..*times {
                    self.actions(actions)?;
                }
                continue;
            }
            let action = action.drawn(&mut self.draw);
            let event = self.begun(&action, Actor::Scenario);
            let step = self.world.board().journal().begin(event);
            let met = self.action(&action)?;
            if self.world.board().is_killed() {
                return Err(RunError::Killed);
            }
            self.world.board().journal().end(step, i32::from(!met));
        }
        Ok(())
    }

    /// The begin of an action. A device that is not in the VM is no device of the journal.
    fn begun(&self, action: &Action, actor: Actor) -> Event {
        let event = Event::new(Kind::Action, actor).text(action.to_string());
        match action.asks_for().map(|(trigger, name)| (trigger, self.device(name))) {
            Some((trigger, Ok(device))) => event.trigger(trigger).device(device.address),
            Some((_, Err(_))) | None => event,
        }
    }

    /// Whether the action was as expected.
    fn action(&mut self, action: &Action) -> Result<bool, RunError> {
        let world = self.world;
        let board = world.board();
        if let Some(deed) = Deed::of(action, self)? {
            return Ok(deed.carry_out(world));
        }
        // One that is asked what it saw has nothing else to do.
        if let Some(vcpu) = action.vcpu().filter(|_| !matches!(action, Action::Watched { .. })) {
            self.free(vcpu)?;
        }
        match action {
            Action::Fill { to, size, pattern, vcpu } => {
                let spot = self.spot(to)?;
                self.cpu(*vcpu).fill(spot.address, *size, *pattern)?;
                self.written_over(spot, *vcpu).map(|()| true)
            }
            Action::Verify { at, size, pattern, vcpu, expect } => {
                self.verify(at, *size, *pattern, *vcpu, *expect)
            }
            Action::Dma { engine, to, size, pattern, expect } => {
                self.dma_start(Wish { engine, to, size: *size, pattern: *pattern })?;
                self.dma_finish(engine, *expect)
            }
            Action::DmaPrepare { engine, to, size, pattern } => {
                self.dma_prepare(Wish { engine, to, size: *size, pattern: *pattern }).map(|()| true)
            }
            Action::DmaStart { engine, to, size, pattern } => {
                self.dma_start(Wish { engine, to, size: *size, pattern: *pattern }).map(|()| true)
            }
            Action::DmaFinish { engine, expect } => self.dma_finish(engine, *expect),
            Action::Flr { device, vcpu, background }
            | Action::AfFlr { device, vcpu, background }
            | Action::DecodeOff { device, vcpu, background }
            | Action::DecodeOn { device, vcpu, background }
            | Action::D3hot { device, vcpu, background }
            | Action::D0 { device, vcpu, background }
            | Action::ConfigWrite { device, register: _, set: _, clear: _, vcpu, background } => {
                self.trigger(action, device, *vcpu, *background).map(|()| true)
            }
            Action::BarMove { device, bar, vcpu } => self.move_bar(device, *bar, *vcpu),
            Action::Remove { device, release, functions_of, unbind } => {
                self.remove(device, *release, functions_of.as_deref(), *unbind)
            }
            Action::Removed { device } => self.removed(device),
            Action::Second { what, of, engine, expect } => {
                self.second(*what, of.as_ref(), engine.as_deref(), expect)
            }
            Action::Importer { what, of, engine, hold, expect } => {
                let attach = of.as_ref().zip(engine.as_deref());
                self.import(*what, attach.map(|(of, engine)| (of, engine, hold.longest())), expect)
            }
            Action::ResetMethods { device, present } => self.reset_methods(device, *present),
            Action::Attach { to, after, background: _, expect } => {
                self.attach_behind(to, after.longest(), expect).map(|()| true)
            }
            Action::Meanwhile { after, action } => self.meanwhile(after.longest(), action).map(|()| true),
            Action::Join => self.join().map(|()| true),
            Action::Reboot => self.reboot().map(|()| true),
            Action::Hammer { at, vcpu, pause } => {
                let spot = self.spot(at)?;
                self.hammering.start(world, spot, at, *vcpu, pause.longest()).map(|()| true)
            }
            Action::HammerStop { answered } => {
                let verdict = self.hammering.stop(world, *answered)?;
                Ok(verdict.iter().all(|(what, held)| self.expectation(what, *held)))
            }
            Action::Scribble { vcpus, accesses } => self.scribble(*vcpus, *accesses).map(|()| true),
            Action::Watch { at, vcpu, engine } => self.watch(at, *vcpu, engine.as_deref()),
            Action::Watched { vcpu, expect } => self.watched(*vcpu, *expect),
            Action::Linger { time } => {
                board.linger(time.longest());
                Ok(true)
            }
            Action::Sleep { purpose: Purpose::FaultLog, .. } if !board.faults_get_lost() => Ok(true),
            Action::Sleep { time, vcpu, purpose: _ } => {
                self.cpu(*vcpu).call(Command::Sleep { ns: nanoseconds(time.longest()) }).map(|_| true)
            }
            Action::Idle { time, vcpu } => self.idle(time.longest(), *vcpu),
            Action::Repeat { .. } => unreachable!("`actions` takes repeats apart"),
            Action::DeviceReset { .. }
            | Action::HotReset { .. }
            | Action::LowPowerEntry { .. }
            | Action::LowPowerExit { .. }
            | Action::Close { .. }
            | Action::Release { .. }
            | Action::SysfsReset { .. }
            | Action::Hold { .. }
            | Action::LetGo { .. }
            | Action::KillVmm
            | Action::SignalError { .. }
            | Action::InjectError { .. }
            | Action::Unseen { .. }
            | Action::Suspect { .. } => unreachable!("it is a deed"),
        }
    }

    /// Ends what still goes on, whatever came of the scenario.
    fn wind_up(&mut self) {
        self.join_background();
        self.end_removals();
        // The counts of a hammering nobody ended are of no interest; its end is.
        let _ = self.hammering.stop(self.world, 0);
        self.end_watching();
    }

    /// A vCPU to be asked for something.
    pub fn cpu(&self, vcpu: usize) -> GuestCpu<'env> {
        GuestCpu { world: self.world, vcpu }
    }

    pub fn device(&self, name: &str) -> Result<DeviceRef, RunError> {
        let board = self.world.board();
        let nearest = || nearest(name, board.names());
        let index = board.names().position(|known| known == name);
        let index = index.ok_or_else(|| RunError::NoDevice { name: name.into(), nearest: nearest() })?;
        let index = index as u16;
        Ok(DeviceRef { index, address: board.function(index).address() })
    }

    pub fn spot(&self, place: &Place) -> Result<Spot, RunError> {
        let Place { device, bar, offset, moved_from } = place;
        let (device, bar, offset) = (self.device(device)?, *bar, *offset);
        let address = if *moved_from {
            let before = self.moved.get(&(device.index, bar));
            before.ok_or_else(|| RunError::NotMoved(place.to_string()))? + offset
        } else {
            let address = self.world.board().bar_address(device.index, bar, offset);
            address.ok_or_else(|| RunError::NoWindow(place.to_string()))?
        };
        Ok(Spot { device, bar, offset, address })
    }

    /// The place of an exported window, found.
    pub fn window(&self, place: &Place) -> Result<Spot, RunError> {
        let spot = self.spot(place)?;
        let window = self.world.board().window(spot.device.index, spot.bar, spot.offset);
        window.map(|_| spot).ok_or_else(|| RunError::NoWindow(place.to_string()))
    }

    /// Of a device of this machine, in the VM or not.
    pub fn host_address(&self, name: &str) -> Result<DeviceAddress, RunError> {
        self.world.board().host_address(name).ok_or_else(|| RunError::NotHere(name.to_owned()))
    }

    pub fn expectation(&self, what: &str, held: bool) -> bool {
        judged(self.world, what, held)
    }

    fn expect_errno(&self, what: &str, expect: &str, result: Result<(), Errno>) -> bool {
        expect_errno(self.world, what, expect, result)
    }
}
