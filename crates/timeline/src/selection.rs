//! A part of a journal: a stretch of it, a device, a BAR.

use barkeep_journal::{DeviceAddress, Event, Kind};

/// Which events are meant. Everything that is `None` does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Places in the journal, both included.
    pub seq: Option<(u64, u64)>,
    /// From this moment on, nanoseconds of the run's clock.
    pub from_ns: Option<u64>,
    /// Up to and with this moment.
    pub to_ns: Option<u64>,
    /// About this device, or about none.
    pub device: Option<DeviceAddress>,
    /// About this BAR, or about none.
    pub bar: Option<u8>,
}

impl Selection {
    /// Whether everything is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an event is meant. What belongs to no device is told beside every one.
    pub fn has(&self, event: &Event) -> bool {
        self.in_seq(event.seq) && self.in_time(event) && self.of_device(event.device) && self.of_bar(event)
    }

    fn in_seq(&self, seq: u64) -> bool {
        self.seq.is_none_or(|(first, last)| (first..=last).contains(&seq))
    }

    fn in_time(&self, event: &Event) -> bool {
        // A record lost has no time.
        event.kind == Kind::Lost || self.overlaps(event.time_ns, Some(event.time_ns))
    }

    /// Whether something that lasted so long has a moment in the stretch of time.
    pub fn overlaps(&self, begin_ns: u64, end_ns: Option<u64>) -> bool {
        self.from_ns.is_none_or(|from| end_ns.is_none_or(|end| end >= from))
            && self.to_ns.is_none_or(|to| begin_ns <= to)
    }

    /// Whether something about this device is meant.
    pub fn of_device(&self, device: Option<DeviceAddress>) -> bool {
        self.device.is_none() || device.is_none() || self.device == device
    }

    /// Whether something about this BAR is meant.
    pub fn has_bar(&self, bar: Option<u8>) -> bool {
        self.bar.is_none() || bar.is_none() || self.bar == bar
    }

    fn of_bar(&self, event: &Event) -> bool {
        self.has_bar(event.bar)
    }
}
