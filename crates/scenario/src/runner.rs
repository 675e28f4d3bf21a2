//! Carries a scenario out, one action after the other, and writes what was observed.

use crate::attach::{Attach, Background};
use crate::dma::Dma;
use crate::hammer::Hammering;
use crate::language::{Action, Content, Place, Purpose, Scenario, Unseen};
use crate::nearest::{nearest, with_suggestion};
use crate::unseen;
use crate::world::{World, WorldError};
use barkeep_export::{Errno, Function};
use barkeep_journal::{Actor, Clock, DeviceAddress, Event, Kind, SeenBy, Trigger, json};
use barkeep_pci::header;
use barkeep_platform::pci_root::PciRoot;
use barkeep_probe::{Command, Reply, Width};
use std::thread::Scope;
use std::time::Duration;

/// Why a scenario was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A device is not in this VM.
    #[error("{}", with_suggestion(format!("the scenario names a device `{name}`, which this VM does not have"), nearest.clone()))]
    NoDevice {
        /// Its name.
        name: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// A device has no such BAR, or it is not exported.
    #[error("{0} is no exported window of this VM")]
    NoWindow(String),
    /// A device lacks a capability.
    #[error("{device} has no {capability} capability, which `{action}` needs")]
    NoCapability {
        /// Which device.
        device: String,
        /// What it lacks.
        capability: &'static str,
        /// What needs it.
        action: String,
    },
    /// The guest gave no answer to something else than it was asked.
    #[error("the probe answered {0:?} to something else")]
    Confused(Reply),
    /// The lane failed.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl RunError {
    /// Whether the scenario, not the run, is to blame.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::NoDevice { .. } | Self::NoWindow(_) | Self::NoCapability { .. })
    }

    /// Whether something hung.
    pub fn is_hang(&self) -> bool {
        matches!(self, Self::World(WorldError::Hang(_)))
    }
}

/// Carries a scenario out. What was not as expected is in the journal.
///
/// # Errors
/// See [`RunError`]; the run is over then.
pub fn run(scenario: &Scenario, world: &dyn World) -> Result<(), RunError> {
    std::thread::scope(|scope| {
        let mut runner = Runner::new(world, scope);
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

/// A register a scenario writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Command,
    /// Device Control of the PCIe capability.
    DeviceControl,
    /// Control of the AF capability.
    AfControl,
    Pmcsr,
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

/// An attach that goes on in the background.
struct Observer<'scope> {
    place: String,
    expect: String,
    attach: Background<'scope>,
}

pub(crate) struct Runner<'scope, 'env> {
    pub world: &'env dyn World,
    scope: &'scope Scope<'scope, 'env>,
    background: Vec<Observer<'scope>>,
    pub dma: Option<Dma>,
    /// DMAs whose target could not be read when they were over.
    pub undecided: Vec<Dma>,
    hammering: Hammering,
}

impl<'scope, 'env> Runner<'scope, 'env> {
    fn new(world: &'env dyn World, scope: &'scope Scope<'scope, 'env>) -> Self {
        let hammering = Hammering::default();
        Self { world, scope, background: Vec::new(), dma: None, undecided: Vec::new(), hammering }
    }

    fn actions(&mut self, actions: &[Action]) -> Result<(), RunError> {
        for action in actions {
            if let Action::Repeat { times, actions } = action {
                for _ in 0..*times {
                    self.actions(actions)?;
                }
                continue;
            }
            let event = Event::new(Kind::Action, Actor::Scenario).text(action.to_string());
            let step = self.world.board().journal().begin(event);
            let met = self.action(action)?;
            self.world.board().journal().end(step, i32::from(!met));
        }
        Ok(())
    }

    /// Whether the action was as expected.
    fn action(&mut self, action: &Action) -> Result<bool, RunError> {
        match action {
            Action::Fill { to, size, pattern, vcpu } => {
                let address = self.spot(to)?.address;
                let fill = Command::Fill { address, length: *size, pattern: *pattern, step: 0 };
                self.call(*vcpu, fill).map(|_| true)
            }
            Action::Verify { at, size, pattern, vcpu, expect } => {
                self.verify(at, *size, *pattern, *vcpu, *expect)
            }
            Action::Dma { engine, to, size, pattern, expect } => {
                self.dma_start(engine, to, *size, *pattern)?;
                self.dma_finish(engine, *expect)
            }
            Action::DmaStart { engine, to, size, pattern } => {
                self.dma_start(engine, to, *size, *pattern).map(|()| true)
            }
            Action::DmaFinish { engine, expect } => self.dma_finish(engine, *expect),
            Action::Flr { device, vcpu }
            | Action::AfFlr { device, vcpu }
            | Action::DecodeOff { device, vcpu }
            | Action::DecodeOn { device, vcpu }
            | Action::D3hot { device, vcpu }
            | Action::D0 { device, vcpu } => self.trigger(action, device, *vcpu).map(|()| true),
            Action::DeviceReset { device, expect } => {
                let device = self.device(device)?;
                let result = self.world.board().reset(device.index);
                Ok(self.expect_errno("device reset", expect, result))
            }
            Action::Close { device } => {
                let device = self.device(device)?;
                self.world.board().close(device.index);
                Ok(true)
            }
            Action::Unseen { device, what } => {
                let device = self.device(device)?;
                let trigger = match what {
                    Unseen::DecodeOff => Trigger::DecodeOff,
                    Unseen::DecodeOn => Trigger::DecodeOn,
                    Unseen::DeviceReset => Trigger::DeviceReset,
                };
                let event =
                    Event::new(Kind::Trigger, Actor::Observer).device(device.address).trigger(trigger);
                let step = self.world.board().journal().begin(event);
                let result = unseen::happens(&**self.world.board().function(device.index).device(), *what);
                self.world.board().journal().end(step, result.map_or_else(|e| -e.raw_os_error(), |()| 0));
                Ok(self.expect_errno("unseen", "ok", result))
            }
            Action::Suspect { device } => {
                let device = self.device(device)?;
                self.world.board().suspect(device.index);
                Ok(true)
            }
            Action::Attach { to, after, background, expect } => self.attach(to, *after, *background, expect),
            Action::Hammer { at, vcpu, pause } => {
                let spot = self.spot(at)?;
                self.hammering.start(self.world, spot, at, *vcpu, *pause).map(|()| true)
            }
            Action::HammerStop { answered } => {
                let verdict = self.hammering.stop(self.world, *answered)?;
                Ok(verdict.iter().all(|(what, held)| self.expectation(what, *held)))
            }
            Action::Sleep { purpose: Purpose::FaultLog, .. } if !self.world.board().faults_get_lost() => {
                Ok(true)
            }
            Action::Sleep { time, vcpu, purpose: _ } => {
                self.call(*vcpu, Command::Sleep { ns: time.as_nanos() as u64 }).map(|_| true)
            }
            Action::Idle { time, vcpu } => self.idle(*time, *vcpu),
            Action::Repeat { .. } => unreachable!("`actions` takes repeats apart"),
        }
    }

    /// Ends what still goes on, whatever came of the scenario.
    fn wind_up(&mut self) {
        self.join_background();
        // The counts of a hammering nobody ended are of no interest; its end is.
        let _ = self.hammering.stop(self.world, 0);
    }

    pub fn call(&self, vcpu: usize, command: Command) -> Result<Reply, RunError> {
        self.world.send(vcpu, command)?;
        Ok(self.world.receive(vcpu)?)
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
        let device = self.device(&place.device)?;
        let address = self.world.board().bar_address(device.index, place.bar, place.offset);
        let address = address.ok_or_else(|| RunError::NoWindow(place.to_string()))?;
        Ok(Spot { device, bar: place.bar, offset: place.offset, address })
    }

    pub fn expectation(&self, what: &str, held: bool) -> bool {
        let event = Event::new(Kind::Expectation, Actor::Scenario).text(what).result(i32::from(!held));
        self.world.board().journal().emit(event);
        held
    }

    fn verify(
        &mut self,
        at: &Place,
        size: u64,
        pattern: u32,
        vcpu: usize,
        expect: Content,
    ) -> Result<bool, RunError> {
        let spot = self.spot(at)?;
        let reply =
            self.call(vcpu, Command::Verify { address: spot.address, length: size, pattern, step: 0 })?;
        let Reply::Verified { mismatch } = reply else {
            return Err(RunError::Confused(reply));
        };
        let found = mismatch.map_or(pattern, |m| m.first_value);
        let words = mismatch.map_or(0, |m| m.words);
        if found != u32::MAX {
            self.decide(spot, found);
        }
        let held = match expect {
            Content::Holds => mismatch.is_none(),
            Content::Ones => words == size / 4 && found == u32::MAX,
            Content::Differs => mismatch.is_some() && found != u32::MAX,
        };
        if expect == Content::Holds && held {
            let landed = Event::new(Kind::Landed, Actor::Guest).index(vcpu as u16);
            let landed = landed.device(spot.device.address).bar(spot.bar).range(spot.offset, size);
            self.world
                .board()
                .journal()
                .emit(landed.value(pattern.into()).seen_by(SeenBy::GuestRead).text("cpu"));
        }
        let what = format!("{at} {expect:?} {pattern:#010x}: first other word {found:#010x}, {words} in all");
        Ok(self.expectation(&what, held))
    }

    fn trigger(&mut self, action: &Action, name: &str, vcpu: usize) -> Result<(), RunError> {
        let device = self.device(name)?;
        let (register, clear, set, what) = match action {
            Action::Flr { .. } => (Register::DeviceControl, 0, header::PCIE_DEVCTL_FLR, "PCIe"),
            Action::AfFlr { .. } => (Register::AfControl, 0, u16::from(header::AF_CTRL_FLR), "AF"),
            Action::DecodeOff { .. } => (Register::Command, header::COMMAND_MEMORY, 0, "COMMAND"),
            Action::DecodeOn { .. } => (Register::Command, 0, header::COMMAND_MEMORY, "COMMAND"),
            Action::D3hot { .. } => (Register::Pmcsr, 0, header::PM_PMCSR_STATE, "power management"),
            Action::D0 { .. } => (Register::Pmcsr, header::PM_PMCSR_STATE, 0, "power management"),
            _ => unreachable!("not a config write: {action}"),
        };
        let missing =
            || RunError::NoCapability { device: name.into(), capability: what, action: action.to_string() };
        let layout = self.world.board().function(device.index).layout();
        let (offset, width) = match register {
            Register::Command => (header::COMMAND, Width::Two),
            Register::DeviceControl => {
                (layout.pcie.as_ref().ok_or_else(missing)?.offset + header::PCIE_DEVCTL, Width::Two)
            }
            // A register of one byte, and its neighbour is status.
            Register::AfControl => {
                (layout.af.as_ref().ok_or_else(missing)?.offset + header::AF_CTRL, Width::One)
            }
            Register::Pmcsr => {
                (layout.pm.as_ref().ok_or_else(missing)?.offset + header::PM_PMCSR, Width::Two)
            }
        };
        let address = PciRoot::ecam_address(device.index, offset);
        let reply = self.call(vcpu, Command::Read { address, width })?;
        let Reply::Value(before) = reply else {
            return Err(RunError::Confused(reply));
        };
        let value = before & !u64::from(clear) | u64::from(set);
        self.call(vcpu, Command::Write { address, width, value })?;
        self.join_background();
        Ok(())
    }

    fn attach(
        &mut self,
        to: &Place,
        after: Duration,
        background: bool,
        expect: &str,
    ) -> Result<bool, RunError> {
        let spot = self.spot(to)?;
        if self.world.board().window(spot.device.index, spot.bar, spot.offset).is_none() {
            return Err(RunError::NoWindow(to.to_string()));
        }
        if background {
            let attach = Background::start(Attach::once_out(spot, after), self.world, self.scope);
            self.background.push(Observer { place: to.to_string(), expect: expect.to_owned(), attach });
            return Ok(true);
        }
        let outcome = Attach::now(spot, after).carry_out(self.world);
        Ok(self.expect_errno(&format!("attach {to}"), expect, outcome))
    }

    fn join_background(&mut self) {
        for Observer { place, expect, attach } in std::mem::take(&mut self.background) {
            let outcome = attach.join(self.world);
            self.expect_errno(&format!("attach {place}"), &expect, outcome);
        }
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

    fn idle(&mut self, time: Duration, vcpu: usize) -> Result<bool, RunError> {
        let before = self.world.cpu_time();
        self.call(vcpu, Command::Sleep { ns: time.as_nanos() as u64 })?;
        let used = self.world.cpu_time().saturating_sub(before);
        // An emulator whose CPU threads compete for the host's counts waiting as CPU time.
        let share = match self.world.board().journal().clock() {
            Clock::Virtual | Clock::Hardware => 100,
            Clock::Emulated => 4,
        };
        let (allowed, used) = (time / share, used.as_micros());
        let held = used < allowed.as_micros();
        let what = format!(
            "idle for {} us: under {} us of CPU time, {used} us used",
            time.as_micros(),
            allowed.as_micros()
        );
        Ok(self.expectation(&what, held))
    }
}
