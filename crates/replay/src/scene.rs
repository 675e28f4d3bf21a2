//! What the journal has said so far, as states: devices, dma-bufs, windows, their slots and mappings.

use barkeep_check::revokes;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase};
use barkeep_report::names::{self, Names};
use std::collections::{BTreeMap, VecDeque};

/// Devices, and things of one device, that are followed.
const DEVICES: usize = 256;
const THINGS: usize = 256;
/// Events that are kept for `history`, and shown of one place.
const KEPT: usize = 2048;
const SHOWN: usize = 12;

/// A state, and the event that brought it about.
#[derive(Clone, Debug, Default)]
struct Since {
    state: String,
    seq: u64,
}

/// A dma-buf of a BAR.
#[derive(Debug)]
struct Buffer {
    bar: u8,
    offset: u64,
    size: u64,
    state: Since,
}

/// A window where the guest, or the I/O address space, has it.
#[derive(Debug)]
struct Window {
    bar: u8,
    address: u64,
    size: u64,
    slot: Since,
    mapping: Since,
    /// Whether something is mapped that a revoke would kill.
    live: bool,
    cpu: Since,
}

#[derive(Debug, Default)]
struct Device {
    state: Since,
    registers: Since,
    handled: Option<Since>,
    buffers: Vec<Buffer>,
    windows: Vec<Window>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Scene {
    names: Names,
    devices: BTreeMap<DeviceAddress, Device>,
    kept: VecDeque<(Option<DeviceAddress>, Option<u8>, String)>,
}

impl Scene {
    /// The names devices go by.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The device somebody names.
    pub fn device(&self, named: &str) -> Option<DeviceAddress> {
        let parsed = named.parse().ok();
        let by_name = |address: &&DeviceAddress| self.names.short(Some(**address)) == named;
        self.devices.keys().find(|address| parsed == Some(**address) || by_name(address)).copied()
    }

    /// The next event, and its line.
    pub fn event(&mut self, event: &Event, line: String) {
        if event.kind == Kind::DeviceOpen {
            self.names.opened(event);
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((event.device, event.bar, line));
        let Some(address) = event.device else { return };
        if self.devices.contains_key(&address) || self.devices.len() < DEVICES {
            self.devices.entry(address).or_default().event(event);
        }
    }

    /// The last events of a device, of one of its BARs, or of all.
    pub fn history(&self, device: Option<DeviceAddress>, bar: Option<u8>) -> Vec<&str> {
        let about = |of: &(Option<DeviceAddress>, Option<u8>, String)| {
            device.is_none_or(|device| of.0 == Some(device))
                && bar.is_none_or(|bar| of.1.is_none_or(|b| b == bar))
        };
        let mut lines: Vec<&str> = self
            .kept
            .iter()
            .rev()
            .filter(|kept| about(kept))
            .take(SHOWN)
            .map(|kept| kept.2.as_str())
            .collect();
        lines.reverse();
        lines
    }

    /// States, a line for each: of all devices, of one, or of one of its BARs.
    pub fn inspect(&self, device: Option<DeviceAddress>, bar: Option<u8>) -> Vec<String> {
        let mut lines = Vec::new();
        for (address, state) in &self.devices {
            if device.is_none_or(|device| device == *address) {
                lines.push(format!("{}  {}", self.names.full(Some(*address)), state.told()));
                state.inspect(bar, &mut lines);
            }
        }
        lines
    }
}

impl Since {
    fn becomes(&mut self, state: impl Into<String>, event: &Event) {
        *self = Self { state: state.into(), seq: event.seq };
    }

    fn told(&self) -> String {
        if self.state.is_empty() {
            "none yet".to_owned()
        } else {
            format!("{} (seq {})", self.state, self.seq)
        }
    }
}

impl Device {
    fn told(&self) -> String {
        let mut told = self.state.told();
        if !self.registers.state.is_empty() {
            told += &format!("; last found: {}", self.registers.told());
        }
        if let Some(handled) = &self.handled {
            told += &format!("; being handled: {} since seq {}", handled.state, handled.seq);
        }
        told
    }

    fn inspect(&self, bar: Option<u8>, lines: &mut Vec<String>) {
        for buffer in self.buffers.iter().filter(|b| bar.is_none_or(|bar| b.bar == bar)) {
            let Buffer { bar, offset, size, state } = buffer;
            lines.push(format!("  dma-buf  BAR {bar} +{offset:#x}, {size:#x} bytes: {}", state.told()));
        }
        for window in self.windows.iter().filter(|w| bar.is_none_or(|bar| w.bar == bar)) {
            let Window { bar, address, size, slot, mapping, live: _, cpu } = window;
            lines.push(format!("  window   BAR {bar} at {address:#x}, {size:#x} bytes"));
            lines.push(format!("    slot     {}", slot.told()));
            lines.push(format!("    mapping  {}", mapping.told()));
            lines.push(format!("    CPU      {}", cpu.told()));
        }
    }

    fn event(&mut self, event: &Event) {
        let outcome = event.result.unwrap_or(0);
        match (event.kind, event.phase) {
            (Kind::DeviceOpen, _) => self.state.becomes("open", event),
            (Kind::DeviceClose, _) => self.state.becomes("closed", event),
            (Kind::BarExport, Phase::End) => self.buffer(event, &done("exported", outcome)),
            (Kind::DmabufClose, _) => self.buffer(event, "closed"),
            (Kind::Trigger, phase) => self.trigger(event, phase, outcome),
            (Kind::FindOut, Phase::End) => self.registers.becomes(registers(event), event),
            (Kind::Expect, _) => self.settled(event),
            (Kind::SlotAdd | Kind::SlotRemove | Kind::P2pMap | Kind::P2pUnmap | Kind::Outage, phase) => {
                self.handling(event);
                self.window(event, phase, outcome);
            }
            (Kind::Revoked, _) => {
                for window in self.windows.iter_mut().filter(|window| window.is_named_by(event)) {
                    window.dies(format!("dead: seen by {}", event.seen_by), event);
                }
            }
            _ => {}
        }
    }

    fn handling(&mut self, event: &Event) {
        if self.handled.is_none() && event.actor != Actor::Observer {
            let state = names::trigger(event.trigger).to_owned();
            self.handled = Some(Since { state, seq: event.seq });
        }
    }

    fn settled(&mut self, event: &Event) {
        self.handled = None;
        let live = event.value == Some(1);
        if self.state.state != "closed" {
            self.state.becomes(if live { "expected live" } else { "expected away" }, event);
        }
    }

    fn trigger(&mut self, event: &Event, phase: Phase, outcome: i32) {
        let name = names::trigger(event.trigger);
        if event.actor != Actor::Observer {
            self.handling(event);
        }
        if !revokes(event.trigger) {
            return;
        }
        let (state, mapping) = match (phase, outcome) {
            (Phase::Begin | Phase::Point, _) => {
                (format!("{name} under way"), format!("being revoked by {name}"))
            }
            (Phase::End, 0) => (format!("after {name}"), format!("dead: {name} revoked it")),
            (Phase::End, errno) => {
                let errno = names::result(errno);
                (format!("after {name}, which gave {errno}"), format!("perhaps dead: {name} gave {errno}"))
            }
        };
        self.state.becomes(state, event);
        for window in self.windows.iter_mut().filter(|window| window.live) {
            window.mapping.becomes(mapping.clone(), event);
            window.live = phase != Phase::End;
        }
    }

    fn buffer(&mut self, event: &Event, state: &str) {
        let (Some(bar), Some(offset), Some(size)) = (event.bar, event.address, event.size) else { return };
        let is = |b: &Buffer| (b.bar, b.offset, b.size) == (bar, offset, size);
        if let Some(buffer) = self.buffers.iter_mut().find(|b| is(b)) {
            buffer.state.becomes(state, event);
        } else if self.buffers.len() < THINGS {
            let state = Since { state: state.to_owned(), seq: event.seq };
            self.buffers.push(Buffer { bar, offset, size, state });
        }
    }

    fn window(&mut self, event: &Event, phase: Phase, outcome: i32) {
        let (Some(bar), Some(address), Some(size)) = (event.bar, event.address, event.size) else { return };
        // The end of an unmap says how much was there.
        let is = |w: &Window| w.bar == bar && w.address == address;
        if !self.windows.iter().any(is) {
            if self.windows.len() == THINGS {
                return;
            }
            let (slot, mapping, cpu) = Default::default();
            self.windows.push(Window { bar, address, size, slot, mapping, live: false, cpu });
        }
        let Some(window) = self.windows.iter_mut().find(|w| is(w)) else { return };
        let name = names::trigger(event.trigger);
        match (event.kind, phase) {
            (Kind::SlotAdd, Phase::Begin) => window.slot.becomes("being put in", event),
            (Kind::SlotAdd, _) => window.slot.becomes(done("in", outcome), event),
            (Kind::SlotRemove, Phase::Begin) => window.slot.becomes("being withdrawn", event),
            (Kind::SlotRemove, _) => {
                window.slot.becomes(done(&format!("out, withdrawn for {name}"), outcome), event)
            }
            (Kind::P2pMap, Phase::Begin) => window.mapping.becomes("being made", event),
            (Kind::P2pMap, _) => {
                window.mapping.becomes(done("live", outcome), event);
                window.live = outcome == 0;
            }
            (Kind::P2pUnmap, Phase::Begin) => window.dies("being unmapped".to_owned(), event),
            (Kind::P2pUnmap, _) => window.dies(done("none: unmapped", outcome), event),
            (Kind::Outage, Phase::Begin | Phase::Point) => {
                window.cpu.becomes(format!("away, for {name}"), event);
            }
            (Kind::Outage, Phase::End) => window.cpu.becomes("there", event),
            _ => {}
        }
    }
}

impl Window {
    fn dies(&mut self, state: String, event: &Event) {
        self.live = false;
        self.mapping.becomes(state, event);
    }

    fn is_named_by(&self, event: &Event) -> bool {
        event.bar.is_none_or(|bar| bar == self.bar)
            && event.address.is_none_or(|address| address.wrapping_sub(self.address) < self.size)
    }
}

/// A state that was to be reached, or the errno that was got instead.
fn done(state: &str, outcome: i32) -> String {
    match outcome {
        0 => state.to_owned(),
        errno => format!("not {state}: {}", names::result(errno)),
    }
}

fn registers(event: &Event) -> String {
    let value = event.value.unwrap_or(0);
    let decode = if value & 1 != 0 { "decode on" } else { "decode off" };
    let power = ["D0", "D1", "D2", "D3hot"][(value >> 8 & 3) as usize];
    format!("{decode}, {power}")
}
