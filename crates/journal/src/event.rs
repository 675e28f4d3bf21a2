//! One event, as every reader sees it.

use crate::kinds::{Actor, Kind, Phase, SeenBy, Trigger};
use std::fmt;
use std::str::FromStr;

/// A PCI function's address: `dddd:bb:dd.f` (PCI Firmware Specification, segment groups).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceAddress {
    /// Segment (Linux: domain).
    pub domain: u16,
    /// Bus number.
    pub bus: u8,
    /// Device number in bits 7–3, function number in bits 2–0.
    pub devfn: u8,
}

impl DeviceAddress {
    const NONE: u32 = u32::MAX;

    /// As 32 bits: domain, bus, devfn from high to low.
    pub const fn to_bits(self) -> u32 {
        (self.domain as u32) << 16 | (self.bus as u32) << 8 | self.devfn as u32
    }

    /// The inverse of [`Self::to_bits`]; all ones is nobody's address.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits == Self::NONE {
            return None;
        }
        Some(Self { domain: (bits >> 16) as u16, bus: (bits >> 8) as u8, devfn: bits as u8 })
    }

    pub(crate) fn option_to_bits(address: Option<Self>) -> u32 {
        address.map_or(Self::NONE, Self::to_bits)
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{}", self.domain, self.bus, self.devfn >> 3, self.devfn & 7)
    }
}

/// Not a PCI address of the form `0000:01:00.0`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a PCI address of the form 0000:01:00.0")]
pub struct BadAddress(String);

impl FromStr for DeviceAddress {
    type Err = BadAddress;

    /// Reads `dddd:bb:dd.f`, or `bb:dd.f` in segment 0.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let (head, function) = text.rsplit_once('.').ok_or_else(bad)?;
        let mut parts = head.rsplitn(3, ':');
        let hex = |part: Option<&str>, most: u32| {
            let part = part.ok_or_else(bad)?;
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            u32::from_str_radix(part, 16).ok().filter(|&n| n <= most).ok_or_else(bad)
        };
        let device = hex(parts.next(), 0x1f)?;
        let bus = hex(parts.next(), 0xff)?;
        let domain = match parts.next() {
            Some(part) => hex(Some(part), 0xffff)?,
            None => 0,
        };
        let function = hex(Some(function), 7)?;
        Ok(Self { domain: domain as u16, bus: bus as u8, devfn: (device << 3 | function) as u8 })
    }
}

/// One event. Fields a kind does not use are `None`, zero or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the journal, from 0.
    pub seq: u64,
    /// Nanoseconds of the run's clock (see [`crate::Clock`]).
    pub time_ns: u64,
    /// What it says.
    pub kind: Kind,
    /// Whether a step starts, ends, or there is none.
    pub phase: Phase,
    /// Who did it.
    pub actor: Actor,
    /// Which of its kind the actor is (a vCPU's number).
    pub index: u16,
    /// Joins a step's begin and end; 0 for none.
    pub step: u32,
    /// About which trigger.
    pub trigger: Trigger,
    /// The observation behind it.
    pub seen_by: SeenBy,
    /// Which function.
    pub device: Option<DeviceAddress>,
    /// Which of its BARs, 0–5.
    pub bar: Option<u8>,
    /// Guest physical address, IOVA or BAR offset, as the kind says.
    pub address: Option<u64>,
    /// Bytes.
    pub size: Option<u64>,
    /// As the kind says.
    pub value: Option<u64>,
    /// 0 for success, a negative errno, or a status, as the kind says.
    pub result: Option<i32>,
    /// A short text.
    pub text: String,
}

impl Event {
    /// An event of no duration, with nothing but its kind and actor.
    #[inline]
    pub fn new(kind: Kind, actor: Actor) -> Self {
        Self {
            seq: 0,
            time_ns: 0,
            kind,
            phase: Phase::Point,
            actor,
            index: 0,
            step: 0,
            trigger: Trigger::None,
            seen_by: SeenBy::None,
            device: None,
            bar: None,
            address: None,
            size: None,
            value: None,
            result: None,
            text: String::new(),
        }
    }

    /// Which of its kind the actor is.
    #[must_use]
    #[inline]
    pub fn index(mut self, index: u16) -> Self {
        self.index = index;
        self
    }

    /// About which function.
    #[must_use]
    #[inline]
    pub fn device(mut self, device: DeviceAddress) -> Self {
        self.device = Some(device);
        self
    }

    /// About which BAR.
    #[must_use]
    #[inline]
    pub fn bar(mut self, bar: u8) -> Self {
        self.bar = Some(bar);
        self
    }

    /// An address and the bytes from there.
    #[must_use]
    #[inline]
    pub fn range(mut self, address: u64, size: u64) -> Self {
        self.address = Some(address);
        self.size = Some(size);
        self
    }

    /// An address without a size.
    #[must_use]
    #[inline]
    pub fn address(mut self, address: u64) -> Self {
        self.address = Some(address);
        self
    }

    /// A value.
    #[must_use]
    #[inline]
    pub fn value(mut self, value: u64) -> Self {
        self.value = Some(value);
        self
    }

    /// A result.
    #[must_use]
    #[inline]
    pub fn result(mut self, result: i32) -> Self {
        self.result = Some(result);
        self
    }

    /// A trigger.
    #[must_use]
    #[inline]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// The observation behind it.
    #[must_use]
    #[inline]
    pub fn seen_by(mut self, seen_by: SeenBy) -> Self {
        self.seen_by = seen_by;
        self
    }

    /// A text; longer ones take several records.
    #[must_use]
    #[inline]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// The time, where it is not the moment of writing (a kernel log line's own stamp).
    #[must_use]
    #[inline]
    pub fn at(mut self, time_ns: u64) -> Self {
        self.time_ns = time_ns;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in ["0000:00:03.0", "0001:ff:1f.7"] {
            assert_eq!(text.parse::<DeviceAddress>().unwrap().to_string(), text);
        }
        assert_eq!("03:02.1".parse::<DeviceAddress>().unwrap().to_string(), "0000:03:02.1");
    }

    #[test]
    fn nonsense_is_not_an_address() {
        for text in ["", "nvme", "0000:00:20.0", "00:03.8", "0000:00:03", "0:0:0:0.0", "00:+3.0", ":03.0"] {
            assert!(text.parse::<DeviceAddress>().is_err(), "{text}");
        }
    }
}
