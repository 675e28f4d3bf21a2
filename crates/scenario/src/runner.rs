//! Carries a scenario out, one action after the other, and writes what was observed.

mod attaching;
mod error;
mod outside;
mod reading;
mod removal;
mod triggers;
mod watching;

use crate::dma::{Dmas, Wish};
use crate::draw::Draw;
use crate::guest_cpu::{GuestCpu, nanoseconds};
use crate::hammer::Hammering;
use crate::language::{Action, Place, Purpose, Scenario};
use crate::nearest::nearest;
use crate::world::World;
use attaching::Observer;
use barkeep_export::{Errno, Function, LowPower};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, json};
use barkeep_probe::Command;
pub use error::RunError;
use removal::Removal;
use std::collections::BTreeMap;
use std::thread::Scope;
use watching::Watching;

/// Carries a scenario out. What was not as expected is in the journal; its random times are drawn
/// from `seed`.
///
/// # Errors
/// See [`RunError`]; the run is over then.
pub fn run(scenario: &Scenario, world: &dyn World, seed: u64) -> Result<(), RunError> {
    std::thread::scope(|scope| {
        let mut runner = Runner::new(world, scope, seed);
        let result = runner.actions(&scenario.actions);
        runner.wind_up();
        result
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
            let event = Event::new(Kind::Action, Actor::Scenario).text(action.to_string());
            let step = self.world.board().journal().begin(event);
            let met = self.action(&action)?;
            self.world.board().journal().end(step, i32::from(!met));
        }
        Ok(())
    }

    /// Whether the action was as expected.
    fn action(&mut self, action: &Action) -> Result<bool, RunError> {
        let world = self.world;
        let board = world.board();
        match action {
            Action::Fill { to, size, pattern, vcpu } => {
                let spot = self.spot(to)?;
                self.cpu(*vcpu).fill(spot.address, *size, *pattern)?;
                self.written_over(spot).map(|()| true)
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
            Action::Flr { device, vcpu }
            | Action::AfFlr { device, vcpu }
            | Action::DecodeOff { device, vcpu }
            | Action::DecodeOn { device, vcpu }
            | Action::D3hot { device, vcpu }
            | Action::D0 { device, vcpu } => self.trigger(action, device, *vcpu).map(|()| true),
            Action::BarMove { device, bar, vcpu } => self.move_bar(device, *bar, *vcpu),
            Action::DeviceReset { device, expect } => {
                let result = board.reset(self.device(device)?.index);
                Ok(self.expect_errno("device reset", expect, result))
            }
            Action::HotReset { device, expect } => {
                let result = board.hot_reset(self.device(device)?.index);
                Ok(self.expect_errno("hot reset", expect, result))
            }
            Action::LowPowerEntry { device, wakes, expect } => {
                let entry = LowPower::Entry { wakes: *wakes };
                let result = board.low_power(self.device(device)?.index, entry);
                Ok(self.expect_errno("low power", expect, result))
            }
            Action::LowPowerExit { device, expect } => {
                let result = board.low_power(self.device(device)?.index, LowPower::Exit);
                Ok(self.expect_errno("out of low power", expect, result))
            }
            Action::Close { device } => {
                board.close(self.device(device)?.index);
                Ok(true)
            }
            Action::Remove { device, release, functions_of } => {
                self.remove(device, *release, functions_of.as_deref())
            }
            Action::Release { device } => {
                board.release(self.device(device)?.index);
                Ok(true)
            }
            Action::Removed { device } => self.removed(device),
            Action::ResetMethods { device, present } => self.reset_methods(device, *present),
            Action::SysfsReset { device, expect } => self.sysfs_reset(device, expect),
            Action::Hold { device, what } => self.hold(device, *what),
            Action::SignalError { device, expect } => self.signal_error(device, expect),
            Action::LetGo { device } => {
                board.let_go(self.device(device)?.index);
                Ok(true)
            }
            Action::Unseen { device, what, bar, offset, expect } => {
                let result = self.unseen(device, *what, *bar, *offset)?;
                Ok(self.expect_errno("unseen", expect, result))
            }
            Action::Suspect { device } => {
                board.suspect(self.device(device)?.index);
                Ok(true)
            }
            Action::Attach { to, after, background, expect } => {
                self.attach(to, after.longest(), *background, expect)
            }
            Action::Hammer { at, vcpu, pause } => {
                let spot = self.spot(at)?;
                self.hammering.start(world, spot, at, *vcpu, pause.longest()).map(|()| true)
            }
            Action::HammerStop { answered } => {
                let verdict = self.hammering.stop(world, *answered)?;
                Ok(verdict.iter().all(|(what, held)| self.expectation(what, *held)))
            }
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

    pub fn expectation(&self, what: &str, held: bool) -> bool {
        let event = Event::new(Kind::Expectation, Actor::Scenario).text(what).result(i32::from(!held));
        self.world.board().journal().emit(event);
        held
    }

    fn expect_errno(&self, what: &str, expect: &str, result: Result<(), Errno>) -> bool {
        let got = match result {
            Ok(()) => "ok".to_owned(),
            Err(errno) => {
                let number = -errno.raw_os_error();
                json::errno_name(number).map_or_else(|| number.to_string(), str::to_owned)
            }
        };
        self.expectation(&format!("{what}: {expect} expected, {got} found"), got == expect)
    }
}
