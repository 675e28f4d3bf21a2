//! One device: its registers as they were last found, its exports, its windows.

use super::window::Outage;
use super::{Exports, P2p, Slot, Tick, Window, revokes};
use crate::errno::{ENOENT, OK};
use barkeep_journal::{Actor, Event, Kind, Phase, Trigger};

/// What `find_out` read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub decode: bool,
    pub power: u8,
    /// The VMM has put the device into low power, and has not read its registers.
    pub low_power: bool,
    /// BARs that decode where none may be, or where another one was first; a bit each.
    pub nowhere: u8,
}

impl Found {
    pub fn of(value: u64) -> Self {
        let (decode, power, low_power) = (value & 1 != 0, (value >> 8 & 3) as u8, value >> 16 & 1 != 0);
        Self { decode, power, low_power, nowhere: (value >> 24 & 0x3f) as u8 }
    }

    /// Memory accesses are answered, as far as a VMM may rely on it.
    pub fn live(self) -> bool {
        self.decode && self.power == 0 && !self.low_power
    }

    /// The kernel revokes in D3hot and without decode; D1 and D2 it lets pass. In low power it has
    /// revoked, and may have taken that back (a COMMAND write does): nothing is certain.
    pub fn revoked(self) -> bool {
        !self.decode || self.power == 3
    }
}

/// A file opened once more, which is bound to nothing.
const REOPENED: &str = "reopened";

/// Whether a hold keeps the device file open, and not a dma-buf or a file of its own.
fn holds_file(event: &Event) -> bool {
    event.bar.is_none() && event.text != REOPENED
}

/// Windows of a device that are followed.
pub(crate) const WINDOWS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Device {
    /// Opened and not closed.
    pub open: bool,
    /// Closed and not opened since.
    pub closed: bool,
    /// `None` while an event is under way that may change it.
    pub found: Option<Found>,
    /// BARs that had no place when the registers were last found to decode; a bit each.
    pub nowhere: u8,
    /// The kernel has told of an error, and nothing has been let through since. It may have reset the device then, and
    /// vfio-pci is not told: no decode, and dma-bufs that nobody revoked.
    pub after_error: bool,
    /// Its dma-bufs are certainly revoked since then.
    pub revoked_since: Option<Tick>,
    /// The keeper's last belief.
    pub expect: Option<bool>,
    /// When it was told.
    pub expected_at: Tick,
    /// An event was let through, and no belief has followed it yet.
    pub unsettled: Option<Trigger>,
    /// Something is being let through at this moment.
    pub passing: bool,
    /// What others do past the VMM at this moment.
    others_passing: u32,
    /// Others did something since the registers were last read, or while they were: what was found
    /// may be no longer so, and the keeper cannot know.
    pub disturbed: bool,
    /// The registers were read since something was let through.
    pub asked: bool,
    /// When what is being handled was over, or the VMM began to look: from then on restoring is
    /// the VMM's own time.
    pub over_ns: Option<u64>,
    /// A reset has failed, and no belief has followed it yet.
    pub reset_failed: bool,
    /// Others who hold its file open.
    pub holders: u64,
    /// Others who have imported a window of it.
    pub imported: u64,
    pub exports: Exports,
    pub windows: Vec<Window>,
}

impl Device {
    pub fn window(&self, bar: u8, address: u64) -> Option<&Window> {
        self.windows.iter().find(|w| w.bar == bar && w.address == address)
    }

    pub fn windows_of(&self, bar: u8) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |w| w.bar == bar)
    }

    /// Whether peers are to reach a window: it was exported, or somebody tried to map it.
    pub fn is_p2p(&self, window: &Window) -> bool {
        let exported =
            self.exports.iter().any(|((bar, _, size), _)| bar == window.bar && size == window.size);
        exported || window.p2p != P2p::Never
    }

    /// Whether nothing is being let through that has not been settled.
    pub fn at_rest(&self) -> bool {
        !self.passing && self.unsettled.is_none()
    }

    /// Takes in an event about this device. False if it is about a window that there is no
    /// room for.
    pub fn absorb(&mut self, event: &Event, tick: Tick, observed_from: Tick) -> bool {
        match (event.kind, event.phase) {
            (Kind::DeviceOpen, _) => self.opened(),
            (Kind::DeviceClose, _) => {
                self.open = false;
                self.gone(tick);
            }
            (Kind::BarExport, Phase::End | Phase::Point) if event.result == Some(OK) => {
                self.exports.add(event);
            }
            (Kind::DmabufClose, _) => self.exports.close(event),
            (Kind::Hold, Phase::Begin) if holds_file(event) => self.holders += 1,
            // Its text stands at the begin: a hold that never counted takes nothing away.
            (Kind::Hold, Phase::End) if event.bar.is_none() && event.text != REOPENED => {
                self.holders = self.holders.saturating_sub(1);
                if self.closed {
                    self.gone(tick);
                }
            }
            (Kind::Trigger, phase) => self.trigger(event, phase, tick),
            (Kind::FindOut, phase) => self.find_out(event, phase, tick),
            (Kind::Expect, _) => self.settled(event, tick),
            (Kind::DeviceError, _) => self.after_error = true,
            (Kind::Revoked, _) => self.seen_revoked(event, tick, observed_from),
            (Kind::P2pMap | Kind::P2pUnmap | Kind::SlotAdd | Kind::SlotRemove | Kind::Outage, _) => {
                return self.window_event(event, tick);
            }
            _ => {}
        }
        true
    }

    fn settled(&mut self, event: &Event, tick: Tick) {
        self.expect = event.value.map(|value| value == 1);
        self.expected_at = tick;
        (self.unsettled, self.over_ns, self.reset_failed) = (None, None, false);
        for window in &mut self.windows {
            window.put_in = false;
            window.settled();
            if self.expect == Some(false) || is_nowhere(self.nowhere, window.bar) {
                window.left_away();
            }
        }
    }

    fn opened(&mut self) {
        self.open = true;
        self.closed = false;
        self.after_error = false;
        self.revoked_since = None;
        self.found = None;
        self.expect = None;
    }

    /// The VMM was killed: the kernel has closed the file, and taken away what was mapped.
    pub fn vmm_died(&mut self, tick: Tick) {
        self.open = false;
        self.gone(tick);
        // Who else held it was in the same process, or ends with it.
        self.holders = 0;
        (self.passing, self.unsettled, self.over_ns, self.expect) = (false, None, None, Some(false));
        self.exports = Exports::default();
        self.windows.iter_mut().for_each(|window| window.vmm_died(tick));
    }

    /// The VMM has given the device file up: revoked for ever, once nobody else holds it.
    fn gone(&mut self, tick: Tick) {
        self.closed = true;
        if self.holders == 0 {
            self.revoked_since.get_or_insert(tick);
        }
    }

    fn trigger(&mut self, event: &Event, phase: Phase, tick: Tick) {
        match phase {
            Phase::Begin => {
                let by_others = event.actor == Actor::Observer;
                self.passing = true;
                self.after_error = false;
                self.others_passing += u32::from(by_others);
                self.disturbed |= by_others;
                self.asked &= by_others;
                self.nothing_is_known();
                if revokes(event.trigger) {
                    self.windows.iter_mut().for_each(|window| window.revoke_begins(event.time_ns, by_others));
                }
            }
            Phase::End => {
                self.passing = false;
                // What others did past the keeper is nothing it could settle before it knows.
                if event.actor == Actor::Observer {
                    self.others_passing = self.others_passing.saturating_sub(1);
                    self.nothing_is_known();
                } else {
                    self.unsettled = Some(event.trigger);
                    self.over_ns = Some(event.time_ns);
                    let resets = matches!(event.trigger, Trigger::DeviceReset | Trigger::HotReset);
                    self.reset_failed |= resets && event.result != Some(OK);
                }
                // One that failed may have revoked or not (EINVAL: there is no reset).
                if event.result != Some(OK) {
                    return;
                }
                let closes = matches!(event.trigger, Trigger::Close | Trigger::Remove);
                if revokes(event.trigger) && !(closes && self.holders > 0) {
                    self.windows.iter_mut().for_each(|window| window.revoked(tick));
                }
                if closes {
                    self.gone(tick);
                }
                if event.trigger == Trigger::Unmap {
                    self.unmapped_by_others(event, tick);
                }
            }
            Phase::Point => {}
        }
    }

    /// Something may change what the registers say.
    fn nothing_is_known(&mut self) {
        self.found = None;
        if !self.closed {
            self.revoked_since = None;
        }
    }

    fn unmapped_by_others(&mut self, event: &Event, tick: Tick) {
        let (Some(bar), Some(address)) = (event.bar, event.address) else { return };
        let named = self.windows.iter_mut().find(|window| window.bar == bar && window.address == address);
        if let Some(window) = named {
            window.unmapped_by_others(tick, event.time_ns);
        }
    }

    fn find_out(&mut self, event: &Event, phase: Phase, tick: Tick) {
        if phase != Phase::End {
            self.over_ns.get_or_insert(event.time_ns);
            self.disturbed = self.others_passing > 0;
            self.windows.iter_mut().for_each(|window| window.put_in = false);
            return;
        }
        self.asked = true;
        self.found = event.value.filter(|_| event.result == Some(OK)).map(Found::of);
        self.nowhere = self.found.map_or(0, |found| found.nowhere);
        match self.found {
            Some(found) if found.revoked() && !self.after_error => {
                self.revoked_since.get_or_insert(tick);
            }
            _ if self.closed => {}
            Some(_) | None => self.revoked_since = None,
        }
    }

    /// Kills the mappings it names, unless it was made before they were.
    fn seen_revoked(&mut self, event: &Event, tick: Tick, observed_from: Tick) {
        for window in &mut self.windows {
            let named = event.bar.is_none_or(|bar| bar == window.bar)
                && event.address.is_none_or(|address| window.holds(address));
            if named && matches!(window.p2p, P2p::Live(since) if since < observed_from) {
                window.seen_revoked(tick, event.time_ns);
            }
        }
    }

    fn window_event(&mut self, event: &Event, tick: Tick) -> bool {
        let (Some(bar), Some(address)) = (event.bar, event.address) else { return true };
        let done = event.result == Some(OK);
        let Some(window) = self.at(bar, address, event.size.unwrap_or(0)) else { return false };
        window.put_in |= (event.kind, event.phase) == (Kind::SlotAdd, Phase::Begin);
        match (event.kind, event.phase) {
            (Kind::P2pMap, Phase::Begin) => window.map_begins(),
            (Kind::P2pMap, Phase::End) => window.map_ends(done, tick),
            (Kind::P2pUnmap, Phase::Begin) => window.unmap_begins(event.time_ns),
            (Kind::P2pUnmap, Phase::End) if done || event.result == Some(ENOENT) => window.unmapped(tick),
            (Kind::SlotAdd | Kind::SlotRemove, Phase::Begin) => window.slot_is(Slot::Moving),
            (Kind::SlotAdd, Phase::End) => window.slot_is(if done { Slot::In } else { Slot::Failed(tick) }),
            (Kind::SlotRemove, Phase::End) if done => window.slot_is(Slot::Out(tick)),
            (Kind::Outage, Phase::Begin) => {
                let generation = event.value.unwrap_or(0);
                let noticed = event.trigger == Trigger::Suspect;
                window.outage =
                    Some(Outage { generation, time_ns: event.time_ns, noticed, left_away: false });
            }
            (Kind::Outage, Phase::End) => window.outage = None,
            _ => {}
        }
        true
    }

    /// The window at an address. A new address of a BAR whose window was taken away is that
    /// window, moved with its BAR. `None` for one window too many.
    fn at(&mut self, bar: u8, address: u64, size: u64) -> Option<&mut Window> {
        let there = |w: &Window| w.bar == bar && w.address == address;
        let moved = |w: &Window| w.bar == bar && w.size == size && w.may_have_moved();
        if let Some(place) = self.windows.iter().position(there) {
            return Some(&mut self.windows[place]);
        }
        let place = match self.windows.iter().position(moved) {
            Some(place) => place,
            None if self.windows.len() == WINDOWS => return None,
            None => {
                self.windows.push(Window::new(bar, address, size));
                self.windows.len() - 1
            }
        };
        let window = &mut self.windows[place];
        (window.address, window.put_in) = (address, false);
        Some(window)
    }
}

/// Whether a BAR decodes where none may be, or where another was first. A journal may name BARs that no function has.
pub(crate) fn is_nowhere(nowhere: u8, bar: u8) -> bool {
    nowhere.checked_shr(bar.into()).unwrap_or(0) & 1 != 0
}
