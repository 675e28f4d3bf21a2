//! Events in, what they come to out.

use crate::device::Device;
use crate::engines::Engines;
use crate::handled::{Handled, Open, Outcome};
use crate::moments::{Steps, Tick};
use crate::{ENOENT, Edge, OK, Outage, Slice, Taken, Told, What};
use barkeep_check::revokes;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};
use std::collections::BTreeMap;

/// Devices that are followed.
const DEVICES: usize = 256;

/// Follows a journal, one event at a time, and tells what is over.
#[derive(Default)]
pub struct Follower {
    tick: Tick,
    steps: Steps,
    devices: BTreeMap<DeviceAddress, Device>,
    engines: Engines,
    handlings: u64,
    revokes: u64,
    /// Of the event being looked at, if it is a revoke.
    revoke: Option<u64>,
}

impl Follower {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many revokes have begun.
    pub fn revokes(&self) -> u64 {
        self.revokes
    }

    /// How many windows are away by each way, of [`crate::Way::ALL`], of those that are `about` what is asked.
    pub fn away(&self, about: impl Fn(DeviceAddress, u8) -> bool) -> [usize; 2] {
        let mut count = [0; 2];
        for (address, device) in &self.devices {
            for window in device.windows.iter().filter(|window| about(*address, window.bar)) {
                count[0] += usize::from(window.cpu_away.is_some());
                count[1] += usize::from(window.p2p_away.is_some());
            }
        }
        count
    }

    /// The next event.
    pub fn event(&mut self, event: &Event, told: &mut impl Told) {
        let observed_from = self.steps.observed_from(event, self.tick);
        self.number(event, told);
        self.step(event, told);
        self.dma(event, told);
        if is_vmm_killed(event) {
            self.vmm_died(event, told);
        } else if let Some(address) = event.device {
            self.of_device(address, event, observed_from, told);
        }
        self.tick += 1;
    }

    /// No event follows: tells what was left open.
    pub fn finish(mut self, told: &mut impl Told) {
        self.steps.cut_off(false).into_iter().for_each(|slice| told.slice(slice));
        self.engines.cut_off().into_iter().for_each(|slice| told.slice(slice));
        for (address, device) in &mut self.devices {
            device
                .windows
                .iter_mut()
                .flat_map(|w| w.cut_off(*address))
                .for_each(|outage| told.outage(outage));
            if let Some(open) = device.open.take() {
                tell_handled(open.cut_off(), told);
            }
        }
    }

    fn number(&mut self, event: &Event, told: &mut impl Told) {
        self.revoke = None;
        if (event.kind, event.phase) == (Kind::Trigger, Phase::Begin) && revokes(event.trigger) {
            self.revokes += 1;
            self.revoke = Some(self.revokes);
            told.revoke(self.revokes, event);
        }
    }

    fn step(&mut self, event: &Event, told: &mut impl Told) {
        let slice = match event.phase {
            Phase::Begin => {
                let device = event.device.and_then(|address| self.devices.get(&address));
                self.steps.begin(event, self.tick, device.map_or(0, Device::handling))
            }
            Phase::End => self.steps.end(event),
            Phase::Point => None,
        };
        slice.into_iter().for_each(|slice| told.slice(slice));
    }

    fn dma(&mut self, event: &Event, told: &mut impl Told) {
        let over = match event.kind {
            Kind::DmaStart => self.engines.start(event),
            Kind::Faulted => {
                self.engines.faulted(event);
                None
            }
            Kind::Landed | Kind::NotLanded if event.text == "dma" => {
                let device = event.device.and_then(|address| self.devices.get(&address));
                let windows = device.map_or(&[][..], |device| &device.windows);
                let over = self.engines.seen(event, |address| windows.iter().any(|w| w.holds(address)));
                self.first_dma(event, told);
                over
            }
            _ => None,
        };
        over.into_iter().for_each(|slice| told.slice(slice));
    }

    fn first_dma(&mut self, event: &Event, told: &mut impl Told) {
        let device = event.device.and_then(|address| self.devices.get_mut(&address));
        if event.kind == Kind::Landed
            && let Some(since) = device.and_then(|device| device.restored_ns.take())
        {
            told.first_dma(since, event);
        }
    }

    fn of_device(&mut self, address: DeviceAddress, event: &Event, from: Tick, told: &mut impl Told) {
        if !self.devices.contains_key(&address) && self.devices.len() == DEVICES {
            return;
        }
        let device = self.devices.entry(address).or_default();
        if is_handling(event) && device.open.is_none() {
            self.handlings += 1;
            device.open = Some(Open::new(self.handlings, address, event));
        }
        if let Some(open) = device.open.as_mut().filter(|_| event.actor != Actor::Observer) {
            self.revoke.into_iter().for_each(|number| open.is_revoke(number));
            open.line(event);
        }
        let mut at = At { address, device, event, revoke: self.revoke, tick: self.tick, told };
        match event.kind {
            Kind::DeviceOpen => at.device.state = None,
            Kind::DeviceClose => at.closed(),
            Kind::Hold => at.device.holders.event(event),
            Kind::Trigger => at.trigger(),
            Kind::Revoked => at.seen_revoked(from),
            Kind::P2pMap | Kind::P2pUnmap | Kind::SlotAdd | Kind::SlotRemove | Kind::Outage => at.window(),
            Kind::Expect => at.settled(),
            _ => {}
        }
    }

    /// The kernel has taken all that the process had: nothing of it is under way any more.
    fn vmm_died(&mut self, event: &Event, told: &mut impl Told) {
        self.steps.cut_off(true).into_iter().for_each(|slice| told.slice(slice));
        for (&address, device) in &mut self.devices {
            device.windows.iter_mut().flat_map(|w| w.cut_off(address)).for_each(|outage| told.outage(outage));
            device.windows.iter_mut().for_each(|window| window.vmm_died());
            if let Some(open) = device.open.take() {
                tell_handled(open.cut_off(), told);
            }
            for edge in device.closes(Trigger::None).into_iter().flatten() {
                told.edge(address, edge, event);
            }
        }
    }
}

/// An event, beside the device it is about.
struct At<'a, T: Told> {
    address: DeviceAddress,
    device: &'a mut Device,
    event: &'a Event,
    revoke: Option<u64>,
    tick: Tick,
    told: &'a mut T,
}

impl<T: Told> At<'_, T> {
    fn taken(&self) -> Taken {
        let Event { seq, time_ns, trigger, actor, .. } = *self.event;
        let by_others = actor == Actor::Observer;
        Taken { seq, time_ns, trigger, actor, by_others, revoke: self.revoke }
    }

    fn edge(&mut self, edge: Option<Edge>) {
        edge.into_iter().for_each(|edge| self.told.edge(self.address, edge, self.event));
    }

    fn outage(&mut self, outage: Option<Outage>) {
        outage.into_iter().for_each(|outage| self.told.outage(outage));
    }

    fn trigger(&mut self) {
        let (event, taken) = (self.event, self.taken());
        let others = event.actor == Actor::Observer;
        match event.phase {
            Phase::Begin if revokes(event.trigger) => {
                self.device.windows.iter_mut().for_each(|window| window.revoke_begins(taken));
                if !others {
                    let edge = self.device.goes(event.trigger);
                    self.edge(edge);
                }
            }
            Phase::End => {
                if event.result == Some(OK) {
                    self.let_through(taken);
                }
                if others {
                    self.past_the_vmm();
                }
            }
            Phase::Begin | Phase::Point => {}
        }
    }

    /// It was done.
    fn let_through(&mut self, taken: Taken) {
        let trigger = self.event.trigger;
        let closes = matches!(trigger, Trigger::Close | Trigger::Remove);
        if revokes(trigger) && !(closes && self.device.holders.any()) {
            self.device.windows.iter_mut().for_each(crate::window::Window::revoked);
            let edge = self.device.goes(trigger);
            self.edge(edge);
        }
        if trigger == Trigger::Unmap
            && let Some(window) = self.device.known_window(self.event.bar, self.event.address)
        {
            window.unmapped_by_others(taken);
        }
        if closes {
            self.closed();
        }
    }

    fn closed(&mut self) {
        self.device.closes(self.event.trigger).into_iter().for_each(|edge| self.edge(edge));
    }

    /// It is over for whoever did it; the VMM has yet to notice.
    fn past_the_vmm(&mut self) {
        let mut handled = Open::new(0, self.address, self.event).cut_off();
        let done = self.event.result == Some(OK);
        handled.result = self.event.result;
        handled.outcome = if done { Outcome::Unseen } else { Outcome::Refused };
        handled.ended = Some((self.event.seq, self.event.time_ns));
        self.told.handled(handled);
    }

    /// Somebody has looked.
    fn seen_revoked(&mut self, observed_from: Tick) {
        let (taken, event) = (Taken { by_others: true, ..self.taken() }, self.event);
        let mut news = false;
        for window in &mut self.device.windows {
            let named = event.bar.is_none_or(|bar| bar == window.bar)
                && event.address.is_none_or(|address| window.holds(address));
            news |= named && window.seen_revoked(taken, observed_from);
        }
        if news {
            let edge = self.device.goes(event.trigger);
            self.edge(edge);
        }
    }

    fn window(&mut self) {
        let (taken, event, address, tick) = (self.taken(), self.event, self.address, self.tick);
        let done = event.result == Some(OK);
        let Some(window) = self.device.window(event) else { return };
        let mut goes = false;
        let outage = match (event.kind, event.phase) {
            (Kind::P2pMap, Phase::End) => window.mapped(done, address, event, tick),
            (Kind::P2pUnmap, Phase::Begin) => {
                goes = true;
                window.unmap_begins(taken);
                None
            }
            (Kind::P2pUnmap, Phase::End) => {
                if done || event.result == Some(ENOENT) {
                    window.unmapped();
                }
                None
            }
            (Kind::SlotAdd | Kind::SlotRemove, Phase::Begin) => {
                window.slot_moves();
                None
            }
            (Kind::SlotAdd, Phase::End) => {
                window.slot_added(done);
                None
            }
            (Kind::SlotRemove, Phase::End) => {
                window.slot_removed(done);
                None
            }
            (Kind::Outage, Phase::Begin) => {
                goes = true;
                window.cpu_goes(taken, address)
            }
            (Kind::Outage, Phase::End) => window.cpu_back(address, event),
            _ => None,
        };
        self.outage(outage);
        if goes {
            let edge = self.device.goes(event.trigger);
            self.edge(edge);
        }
    }

    /// The keeper's word: what was handled is over.
    fn settled(&mut self) {
        let live = self.event.value.map(|value| value == 1);
        self.device.windows.iter_mut().for_each(|window| window.settled(live));
        let Some(open) = self.device.open.take() else { return };
        if live == Some(true) && !open.refused() {
            let edge = self.device.comes_back(self.event);
            self.edge(edge);
        }
        tell_handled(open.over(self.event), self.told);
    }
}

/// The event, and the slice of it.
fn tell_handled(handled: Handled, told: &mut impl Told) {
    told.slice(Slice {
        party: Open::party(&handled),
        what: What::Handling,
        seq: handled.begun.0,
        begin_ns: handled.begun.1,
        end_ns: handled.ended.map(|(_, end)| end.max(handled.begun.1)),
        device: Some(handled.device),
        bar: None,
        address: None,
        trigger: handled.trigger,
        result: handled.result,
        handling: handled.number,
        text: String::new(),
    });
    told.handled(handled);
}

/// Whether an event is one of those by which the keeper handles something.
fn is_handling(event: &Event) -> bool {
    let kind = matches!(
        event.kind,
        Kind::Trigger | Kind::FindOut | Kind::P2pMap | Kind::P2pUnmap | Kind::SlotAdd | Kind::SlotRemove
    );
    let begins = kind && event.phase == Phase::Begin && event.actor != Actor::Observer;
    begins || (event.kind, event.phase) == (Kind::Outage, Phase::Begin)
}

/// Whether an event says that the VMM's process was ended by SIGKILL.
fn is_vmm_killed(event: &Event) -> bool {
    (event.kind, event.phase, event.actor) == (Kind::Process, Phase::End, Actor::Vmm)
        && event.text == "SIGKILL"
}

#[cfg(test)]
#[path = "follower_test.rs"]
mod tests;
