//! I3: after every revoke the VMM can know of, CPU access and P2P are back, or the failure is
//! loud. A loud failure is a failure all the same; the finding says that it was told.
//!
//! Judged where the keeper says that an event is over (`expect`) and once more at the end.
//! The keeper's belief itself is held against what the registers said, or a keeper that never
//! expects anything would always be right. No bound is set for an outage: it is the reset's
//! own time, up to 60 s, or as long as the guest likes. What is bound is the VMM's own part: from the
//! end of what was let through, or from when it began to look, to its word that all is back.

use crate::errno::ENODEV;
use crate::findings::Findings;
use crate::verdict::{Finding, Invariant::I3};
use crate::words::place;
use crate::world::{Device, Found, P2p, Slot, Window, World, is_nowhere};
use barkeep_journal::{Actor, DeviceAddress, Event, Trigger};
use std::collections::BTreeSet;

/// One of a window's two ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Cpu,
    P2p,
}

/// Something that is not back, told once the events behind the `expect` have shown whether
/// the failure was loud.
struct Pending {
    finding: Finding,
    bar: u8,
    way: Way,
}

/// What was told that is remembered without asking whether it still stands.
const TOLD: usize = 256;

/// Nanoseconds that restoring may take. Milliseconds are usual; a scenario can have the VMM linger.
pub(crate) const BOUND: u64 = 30_000_000_000;

pub(crate) struct Restores {
    /// Nanoseconds that restoring may take.
    bound: u64,
    pending: Vec<Pending>,
    /// Told already, and not back since.
    told: BTreeSet<(DeviceAddress, u8, u64, Way)>,
}

impl Default for Restores {
    fn default() -> Self {
        Self::within(BOUND)
    }
}

impl Restores {
    /// None yet, with so many nanoseconds for each.
    pub fn within(bound: u64) -> Self {
        Self { bound, pending: Vec::new(), told: BTreeSet::new() }
    }

    /// The keeper says that an event is over.
    pub fn settled(&mut self, world: &World, event: &Event, out: &mut Findings) {
        self.told_all(event.device, out);
        let (Some(device), Some(live)) = (world.device(event), event.value.map(|value| value == 1)) else {
            return;
        };
        if device.disturbed {
            // The keeper believes what it found, and others have acted since. When it notices, it
            // looks again.
            return;
        }
        let found = device.found.map(|found| found.live() && !device.closed);
        match (live, found) {
            (true, Some(false)) => {
                let what = format!("{} is expected live although its registers say it is not", place(event));
                out.add(I3, event, what);
            }
            (false, Some(true)) => {
                let what = format!("{} decodes, and is not expected live", place(event));
                out.add(I3, event, what);
            }
            (true, Some(true) | None) => {
                self.in_time(device, event, out);
                self.look(device, event, event.trigger);
            }
            (false, Some(false) | None) => {}
        }
    }

    fn in_time(&self, device: &Device, event: &Event, out: &mut Findings) {
        let since = device.over_ns.map_or(0, |over| event.time_ns.saturating_sub(over));
        if since > self.bound {
            let (after, bound) = (event.trigger, self.bound);
            let what = format!(
                "{} was back {since} ns after {after} had let it, which may take {bound} ns",
                place(event)
            );
            out.add(I3, event, what);
        }
    }

    /// Something that did not come back was told.
    pub fn degraded(&mut self, event: &Event) {
        let way = match event.text.as_str() {
            "P2P mapping not restored" => Way::P2p,
            "memory slot not restored" => Way::Cpu,
            _ => return,
        };
        let named = self.pending.iter_mut().find(|pending| {
            pending.finding.device == event.device && Some(pending.bar) == event.bar && pending.way == way
        });
        if let Some(pending) = named {
            pending.finding.what += "; this was told";
        }
    }

    /// An event is let through: the one before it must be over.
    pub fn let_through(&mut self, world: &World, event: &Event, out: &mut Findings) {
        if event.actor == Actor::Observer {
            // Past the VMM: at any time.
            return;
        }
        self.told_all(event.device, out);
        if let Some(before) = world.device(event).and_then(|device| device.unsettled) {
            out.add(I3, event, format!("{before} of {} was never settled", place(event)));
        }
    }

    /// The run is over. What is not back now never came back.
    pub fn end(&mut self, world: &World, out: &mut Findings) {
        let (seq, time_ns) = world.last;
        for (address, device) in world.devices.iter() {
            let mut event =
                Event::new(barkeep_journal::Kind::RunEnd, barkeep_journal::Actor::Lab).device(address);
            (event.seq, event.time_ns) = (seq, time_ns);
            match (device.unsettled, device.expect) {
                (Some(before), _) if world.run_ended => {
                    out.add(I3, &event, format!("{before} of {address} was never settled"));
                }
                (None, Some(true)) if world.run_ended => self.look(device, &event, Trigger::None),
                _ => {}
            }
        }
        self.told_all(None, out);
    }

    /// Entries of memory it holds.
    pub fn footprint(&self) -> usize {
        self.pending.len() + self.told.len()
    }

    fn look(&mut self, device: &Device, event: &Event, after: Trigger) {
        let Some(address) = event.device else { return };
        if self.told.len() >= TOLD {
            // A window that has moved with its BAR is no longer where it was told of.
            self.told.retain(|&(of, bar, at, _)| of != address || device.window(bar, at).is_some());
        }
        // One whose BAR the guest has put where it cannot be is not to come back.
        let placed = |window: &&Window| !is_nowhere(device.nowhere, window.bar);
        for window in device.windows.iter().filter(placed) {
            self.judge(address, window, Way::Cpu, cpu_back(window), event, after);
            let p2p_back = !device.is_p2p(window) || matches!(window.p2p, P2p::Live(_));
            let p2p_back = p2p_back || unseen_still(window, after);
            self.judge(address, window, Way::P2p, p2p_back, event, after);
        }
    }

    fn judge(
        &mut self,
        device: DeviceAddress,
        window: &Window,
        way: Way,
        back: bool,
        event: &Event,
        after: Trigger,
    ) {
        let key = (device, window.bar, window.address, way);
        if back {
            self.told.remove(&key);
        } else if self.told.insert(key) {
            let what = match way {
                Way::Cpu => "CPU access",
                Way::P2p => "peer-to-peer DMA",
            };
            let after =
                if after == Trigger::None { "at the end".to_owned() } else { format!("after {after}") };
            let what = format!(
                "{what} to BAR {} of {device} at {:#x} is not back {after} although the function decodes",
                window.bar, window.address
            );
            let Event { seq, time_ns, .. } = *event;
            let device = Some(device);
            let finding = Finding { invariant: I3, seq, time_ns, device, what, unfinished: false };
            self.pending.push(Pending { finding, bar: window.bar, way });
        }
    }

    /// No word on these can follow any more: those of one device, or of all.
    fn told_all(&mut self, device: Option<DeviceAddress>, out: &mut Findings) {
        if self.pending.is_empty() {
            return;
        }
        let (ready, wait) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|pending| device.is_none() || device == pending.finding.device);
        self.pending = wait;
        ready.into_iter().for_each(|pending| out.push(pending.finding));
    }
}

/// An importing device was told to map. Where nothing goes on and the function decodes, it can.
pub(crate) fn imported(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(begin)) = (world.device(event), world.steps.begin_event(event)) else { return };
    let from = world.steps.begun(event).unwrap_or(0);
    let back = device.expect == Some(true) && device.expected_at < from && device.at_rest();
    let undisturbed = !device.disturbed && device.found.is_some_and(Found::live);
    if event.result == Some(ENODEV)
        && matches!(begin.text.as_str(), "map" | "use")
        && back
        && undisturbed
        && !device.closed
    {
        let what = format!(
            "the importer's {} of {} gave ENODEV although the function decodes",
            begin.text,
            place(event)
        );
        out.add(I3, event, what);
    }
}

/// Somebody else has revoked it, and what was let through revokes nothing: the keeper has a mapping,
/// the registers say that it is live, and nothing has told that it is dead.
fn unseen_still(window: &Window, after: Trigger) -> bool {
    let gives_back = matches!(after, Trigger::DecodeOn | Trigger::D0 | Trigger::LowPowerExit);
    gives_back && window.mapped && window.p2p_away.is_some_and(|away| away.by_others)
}

/// A window that never had a slot is peers' alone. One whose withdrawal failed still has it.
fn cpu_back(window: &Window) -> bool {
    let there = match window.slot {
        Slot::Never | Slot::In => true,
        Slot::Moving | Slot::Out(_) | Slot::Failed(_) => false,
    };
    there && window.outage.is_none()
}
