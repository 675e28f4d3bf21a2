//! One device: its registers as they were last found, its exports, its windows.

use super::{P2p, Slot, Tick, Window, revokes, window::Outage};
use crate::errno::{ENOENT, OK};
use barkeep_journal::{Event, Kind, Phase, Trigger};

/// What `find_out` read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub decode: bool,
    pub power: u8,
}

impl Found {
    pub fn of(value: u64) -> Self {
        Self { decode: value & 1 != 0, power: (value >> 8 & 3) as u8 }
    }

    /// Memory accesses are answered, as far as a VMM may rely on it.
    pub fn live(self) -> bool {
        self.decode && self.power == 0
    }

    /// The kernel revokes in D3hot and without decode; D1 and D2 it lets pass.
    pub fn revoked(self) -> bool {
        !self.decode || self.power == 3
    }
}

/// A window that was exported as a dma-buf: BAR, offset in it, size.
pub(crate) type Export = (u8, u64, u64);

#[derive(Debug, Default)]
pub(crate) struct Device {
    /// Opened and not closed.
    pub open: bool,
    /// Closed and not opened since.
    pub closed: bool,
    /// `None` while an event is under way that may change it.
    pub found: Option<Found>,
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
    pub exports: Vec<Export>,
    /// Something was exported, perhaps closed since.
    pub exported_once: bool,
    pub windows: Vec<Window>,
    /// Windows whose slot was put in since the registers were last looked at.
    pub slots_put_in: Vec<(u8, u64)>,
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
        let exported = self.exports.iter().any(|&(bar, _, size)| bar == window.bar && size == window.size);
        exported || window.p2p != P2p::Never
    }

    /// Whether nothing is being let through that has not been settled.
    pub fn at_rest(&self) -> bool {
        !self.passing && self.unsettled.is_none()
    }

    /// Takes in an event about this device.
    pub fn absorb(&mut self, event: &Event, tick: Tick, observed_from: Tick) {
        match (event.kind, event.phase) {
            (Kind::DeviceOpen, _) => self.opened(),
            (Kind::DeviceClose, _) => {
                self.open = false;
                self.gone(tick);
            }
            (Kind::BarExport, Phase::End | Phase::Point) if event.result == Some(OK) => {
                self.exports.extend(export_of(event));
                self.exported_once = true;
            }
            (Kind::DmabufClose, _) => {
                let closed = export_of(event);
                if let Some(at) = self.exports.iter().position(|export| Some(*export) == closed) {
                    self.exports.swap_remove(at);
                }
            }
            (Kind::Trigger, phase) => self.trigger(event, phase, tick),
            (Kind::FindOut, phase) => self.find_out(event, phase, tick),
            (Kind::Expect, _) => {
                self.expect = event.value.map(|value| value == 1);
                self.expected_at = tick;
                self.unsettled = None;
                self.slots_put_in.clear();
            }
            (Kind::Revoked, _) => self.seen_revoked(event, tick, observed_from),
            (Kind::P2pMap | Kind::P2pUnmap | Kind::SlotAdd | Kind::SlotRemove | Kind::Outage, _) => {
                self.window_event(event, tick);
            }
            _ => {}
        }
    }

    fn opened(&mut self) {
        self.open = true;
        self.closed = false;
        self.revoked_since = None;
        self.found = None;
        self.expect = None;
    }

    /// The device file is given up: revoked for ever.
    fn gone(&mut self, tick: Tick) {
        self.closed = true;
        self.revoked_since.get_or_insert(tick);
    }

    fn trigger(&mut self, event: &Event, phase: Phase, tick: Tick) {
        match phase {
            Phase::Begin => {
                self.passing = true;
                self.found = None;
                if !self.closed {
                    self.revoked_since = None;
                }
                if revokes(event.trigger) {
                    self.windows.iter_mut().for_each(Window::revoke_begins);
                }
            }
            Phase::End => {
                self.passing = false;
                self.unsettled = Some(event.trigger);
                // One that failed may have revoked or not (EINVAL: there is no reset).
                if revokes(event.trigger) && event.result == Some(OK) {
                    self.windows.iter_mut().for_each(|window| window.revoked(tick));
                }
                if event.trigger == Trigger::Close && event.result == Some(OK) {
                    self.gone(tick);
                }
            }
            Phase::Point => {}
        }
    }

    fn find_out(&mut self, event: &Event, phase: Phase, tick: Tick) {
        if phase != Phase::End {
            self.slots_put_in.clear();
            return;
        }
        self.found = event.value.filter(|_| event.result == Some(OK)).map(Found::of);
        match self.found {
            Some(found) if found.revoked() => {
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
                window.p2p = P2p::Dead(tick);
            }
        }
    }

    fn window_event(&mut self, event: &Event, tick: Tick) {
        let (Some(bar), Some(address)) = (event.bar, event.address) else { return };
        let done = event.result == Some(OK);
        if (event.kind, event.phase) == (Kind::SlotAdd, Phase::Begin) {
            self.slots_put_in.push((bar, address));
        }
        let window = self.at(bar, address, event.size.unwrap_or(0));
        match (event.kind, event.phase) {
            (Kind::P2pMap, Phase::Begin) => window.map_begins(),
            (Kind::P2pMap, Phase::End) => window.map_ends(done, tick),
            (Kind::P2pUnmap, Phase::End) if done || event.result == Some(ENOENT) => window.unmapped(tick),
            (Kind::SlotAdd | Kind::SlotRemove, Phase::Begin) => window.slot = Slot::Moving,
            (Kind::SlotAdd, Phase::End) => window.slot = if done { Slot::In } else { Slot::Failed(tick) },
            (Kind::SlotRemove, Phase::End) if done => window.slot = Slot::Out(tick),
            (Kind::Outage, Phase::Begin) => {
                let generation = event.value.unwrap_or(0);
                window.outage = Some(Outage { generation, time_ns: event.time_ns });
            }
            (Kind::Outage, Phase::End) => window.outage = None,
            _ => {}
        }
    }

    /// The window at an address. A new address of a BAR whose window was taken away is that
    /// window, moved with its BAR.
    fn at(&mut self, bar: u8, address: u64, size: u64) -> &mut Window {
        let there = |w: &Window| w.bar == bar && w.address == address;
        let moved = |w: &Window| w.bar == bar && w.size == size && w.may_have_moved();
        let place = self.windows.iter().position(there).or_else(|| self.windows.iter().position(moved));
        let place = place.unwrap_or_else(|| {
            self.windows.push(Window::new(bar, address, size));
            self.windows.len() - 1
        });
        let window = &mut self.windows[place];
        window.address = address;
        window
    }
}

fn export_of(event: &Event) -> Option<Export> {
    Some((event.bar?, event.address?, event.size?))
}
