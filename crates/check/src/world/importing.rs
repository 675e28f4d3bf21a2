//! The importing device beside the VM: what it has mapped, by its driver's own record, and the DMA of its
//! device. Its mapping is its own: the exporter itself tells it when that ends, the VMM restores nothing of it.

use super::{Device, Tick, revokes};
use crate::errno::OK;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};

/// Its mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    /// There since then: `size` bytes from `from` on, as its device addresses them; all there are, until that is
    /// told.
    Live { since: Tick, from: u64, size: u64 },
    /// Gone since then, or never there.
    Gone(Tick),
}

/// What it is attached to.
#[derive(Clone, Copy, Debug)]
struct Attached {
    device: DeviceAddress,
    bar: u8,
    mapping: Mapping,
}

/// A revoke under way that it has to be told of, because it has the window mapped.
#[derive(Clone, Copy, Debug)]
struct Owed {
    step: u32,
    told: bool,
}

/// A DMA its device was told to do last.
#[derive(Clone, Copy, Debug)]
struct Commanded {
    since: Tick,
    seq: u64,
    word: Option<u64>,
    address: u64,
}

/// What a revoke that is over owes it still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debt {
    /// It was never told.
    NotTold,
    /// It was told, and has the window mapped all the same.
    StillMapped,
}

#[derive(Debug, Default)]
pub(crate) struct Importing {
    attached: Option<Attached>,
    owed: Option<Owed>,
    dma: Option<Commanded>,
}

impl Importing {
    /// Whether an event can be about it: most runs have none.
    #[inline]
    pub fn concerns(&self, event: &Event) -> bool {
        event.actor == Actor::ImporterDriver || self.attached.is_some()
    }

    /// The place in the journal of the DMA that has brought what an event tells of, if that went by an address
    /// whose mapping was gone when it was commanded.
    pub fn came_late(&self, event: &Event) -> Option<u64> {
        let (Attached { device, bar, mapping }, dma) = (self.attached?, self.dma?);
        let there = event.device == Some(device) && event.bar == Some(bar) && event.value == dma.word;
        let late = match mapping {
            Mapping::Gone(since) => since < dma.since,
            // Mapped anew, and elsewhere.
            Mapping::Live { since, from, size } => {
                since < dma.since && dma.address.checked_sub(from).is_none_or(|offset| offset >= size)
            }
        };
        (there && late).then_some(dma.seq)
    }

    /// What it is owed where a revoke is over.
    pub fn owed(&self, device: &Device, event: &Event) -> Option<Debt> {
        let (attached, owed) = (self.attached?, self.owed.filter(|owed| owed.step == event.step)?);
        let closes = matches!(event.trigger, Trigger::Close | Trigger::Remove);
        // One that failed may have revoked or not; a file that somebody else holds is not closed.
        if event.result != Some(OK) || closes && device.holders > 0 {
            return None;
        }
        match (owed.told, attached.mapping) {
            (false, _) => Some(Debt::NotTold),
            (true, Mapping::Live { .. }) => Some(Debt::StillMapped),
            (true, Mapping::Gone(_)) => None,
        }
    }

    /// Takes in what it does itself; `begun` is the begin of the step that an event ends.
    pub fn absorb(&mut self, event: &Event, begun: Option<&Event>, tick: Tick) {
        match (event.kind, event.phase) {
            (Kind::ImporterStep, Phase::End) if event.result == Some(OK) => {
                self.stepped(event, begun.map_or("", |begin| begin.text.as_str()), tick);
            }
            (Kind::ImporterEvent, _) => self.happened(event, tick),
            (Kind::DmaStart, _) => {
                let (since, seq, word) = (tick, event.seq, event.value);
                self.dma = Some(Commanded { since, seq, word, address: event.address.unwrap_or(0) });
            }
            _ => {}
        }
    }

    fn stepped(&mut self, event: &Event, step: &str, tick: Tick) {
        match step {
            "attach" => {
                let window = event.device.zip(event.bar);
                let attached =
                    window.map(|(device, bar)| Attached { device, bar, mapping: Mapping::Gone(tick) });
                *self = Self { attached, ..Self::default() };
            }
            "map" | "use" => {
                if let (Some(Attached { mapping: Mapping::Live { from, size, .. }, .. }), Some(place)) =
                    (&mut self.attached, event.value.zip(event.size))
                {
                    (*from, *size) = place;
                }
            }
            "detach" => *self = Self::default(),
            _ => {}
        }
    }

    /// By its own record, which stands before the end of the step that made it happen: a mapping that was gone
    /// again by then is not there.
    fn happened(&mut self, event: &Event, tick: Tick) {
        match event.text.as_str() {
            "mapped" if event.result == Some(OK) => {
                if let Some(attached) = &mut self.attached {
                    attached.mapping = Mapping::Live { since: tick, from: 0, size: u64::MAX };
                }
            }
            "told" => {
                if let Some(owed) = &mut self.owed {
                    owed.told = true;
                }
            }
            "let-go" | "unmapped" => {
                if let Some(attached) = &mut self.attached {
                    attached.mapping = Mapping::Gone(tick);
                }
            }
            _ => {}
        }
    }

    /// Takes in what is done to a device.
    pub fn exporter(&mut self, event: &Event) {
        let Some(attached) = self.attached.filter(|of| Some(of.device) == event.device) else { return };
        match (event.kind, event.phase) {
            (Kind::Trigger, Phase::Begin) if revokes(event.trigger) && self.owed.is_none() => {
                if let Mapping::Live { .. } = attached.mapping {
                    self.owed = Some(Owed { step: event.step, told: false });
                }
            }
            (Kind::Trigger, Phase::End) => {
                self.owed = self.owed.filter(|owed| owed.step != event.step);
            }
            _ => {}
        }
    }
}
