//! The second process: the window it has imported, and the DMA of its engine. Its mapping is its own: the
//! VMM restores nothing of it, and it is dead for good once it was revoked.

use super::{Device, Tick, revokes};
use crate::errno::OK;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};

/// Its mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live(Tick),
    /// Being revoked, or the event that may have revoked it failed.
    Unsure,
    /// Certainly dead or gone since then.
    Dead(Tick),
}

/// What it imports.
#[derive(Clone, Copy, Debug)]
struct Imported {
    device: DeviceAddress,
    bar: u8,
    state: State,
}

/// A DMA its engine was told to do last.
#[derive(Clone, Copy, Debug)]
struct Commanded {
    since: Tick,
    seq: u64,
    word: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Second {
    imported: Option<Imported>,
    dma: Option<Commanded>,
    /// It has closed its descriptor of the dma-buf.
    dropped: bool,
}

impl Second {
    /// The device of which it has a window mapped, as far as is known.
    pub fn imports(&self) -> Option<DeviceAddress> {
        let imported = self.imported?;
        (!matches!(imported.state, State::Dead(_))).then_some(imported.device)
    }

    /// Whether an event can be about it: most runs have none.
    #[inline]
    pub fn concerns(&self, event: &Event) -> bool {
        event.actor == Actor::Importer || self.imported.is_some()
    }

    /// Whether an attach of it was tried without a dma-buf.
    pub fn without_buffer(&self, event: &Event) -> bool {
        event.actor == Actor::Importer && self.dropped
    }

    /// The place in the journal of the DMA that has brought what an event tells of, if that was
    /// commanded after the mapping it went by had died.
    pub fn came_late(&self, event: &Event) -> Option<u64> {
        let (Imported { device, bar, state }, dma) = (self.imported?, self.dma?);
        let there = event.device == Some(device) && event.bar == Some(bar) && event.value == dma.word;
        match state {
            State::Dead(since) if there && since < dma.since => Some(dma.seq),
            State::Dead(_) | State::Live(_) | State::Unsure => None,
        }
    }

    /// Takes in what it does itself; `begun` is the begin of the step that an event ends.
    pub fn absorb(&mut self, event: &Event, begun: Option<&Event>, tick: Tick) {
        let done = event.result == Some(OK);
        match (event.kind, event.phase) {
            (Kind::AttachProbe, Phase::End) if done => {
                if let (Some(device), Some(bar)) = (event.device, event.bar) {
                    self.imported = Some(Imported { device, bar, state: State::Live(tick) });
                }
            }
            (Kind::ProcessStep, Phase::End) if done => match begun.map(|begin| begin.text.as_str()) {
                Some("i.receive") => *self = Self::default(),
                Some("i.unmap") => self.died(tick),
                Some("i.buffer") => self.dropped = true,
                _ => {}
            },
            (Kind::Process, Phase::End) => self.died(tick),
            (Kind::DmaStart, _) => {
                self.dma = Some(Commanded { since: tick, seq: event.seq, word: event.value });
            }
            _ => {}
        }
    }

    /// Takes in what happens to a device, which has taken it in itself.
    pub fn happened(&mut self, event: &Event, device: &Device, tick: Tick, observed_from: Tick) {
        let Some(imported) = self.imported.as_mut().filter(|of| Some(of.device) == event.device) else {
            return;
        };
        let held = device.holders > 0;
        match (event.kind, event.phase) {
            (Kind::Trigger, Phase::Begin) if revokes(event.trigger) => {
                if let State::Live(_) = imported.state {
                    imported.state = State::Unsure;
                }
            }
            (Kind::Trigger, Phase::End) if revokes(event.trigger) && event.result == Some(OK) => {
                let closes = matches!(event.trigger, Trigger::Close | Trigger::Remove);
                match imported.state {
                    _ if closes && held => {}
                    // Made while the event was under way: before the revoke in it, or after.
                    State::Live(_) => imported.state = State::Unsure,
                    State::Unsure => self.died(tick),
                    State::Dead(_) => {}
                }
            }
            (Kind::DeviceClose, _) if !held => self.died(tick),
            (Kind::Hold, Phase::End) if device.closed && !held => self.died(tick),
            (Kind::Revoked, _) if event.bar == Some(imported.bar) => {
                if matches!(imported.state, State::Live(since) if since < observed_from) {
                    self.died(tick);
                }
            }
            _ => {}
        }
    }

    /// The VMM is dead, and with it the devices.
    pub fn vmm_died(&mut self, tick: Tick) {
        self.died(tick);
    }

    fn died(&mut self, tick: Tick) {
        if let Some(imported) = &mut self.imported
            && !matches!(imported.state, State::Dead(_))
        {
            imported.state = State::Dead(tick);
        }
    }
}
