//! What somebody asks about.

use barkeep_timeline::Point;
use std::fmt;
use std::str::FromStr;

/// An address, a BAR, or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An I/O virtual address, which is the guest physical one.
    Address(u64),
    /// All windows of a BAR.
    Bar {
        /// The device's name or its address.
        device: String,
        /// 0 to 5.
        bar: u8,
    },
    /// An event, and what it is about.
    Event(Point),
}

/// None of these.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither an IOVA (0x4000000000), nor a BAR (nvme:2), nor an event (revoke:17, seq:462)")]
pub struct BadTarget(String);

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(text.to_owned());
        if let Some(digits) = text.strip_prefix("0x") {
            return u64::from_str_radix(digits, 16).map(Self::Address).map_err(|_| bad());
        }
        let (device, bar) = text.rsplit_once(':').ok_or_else(bad)?;
        if matches!(device, "revoke" | "seq") {
            return text.parse().map(Self::Event).map_err(|_| bad());
        }
        match bar.parse() {
            Ok(bar @ 0..=5) if !device.is_empty() => Ok(Self::Bar { device: device.to_owned(), bar }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:#x}"),
            Self::Bar { device, bar } => write!(f, "{device}:{bar}"),
            Self::Event(point) => write!(f, "{point}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let bar = |device: &str, bar| Target::Bar { device: device.to_owned(), bar };
        assert_eq!("0x40".parse(), Ok(Target::Address(64)));
        assert_eq!(
            ("nvme:2".parse(), "0000:00:03.0:2".parse()),
            (Ok(bar("nvme", 2)), Ok(bar("0000:00:03.0", 2)))
        );
        assert_eq!("revoke:3".parse(), Ok(Target::Event(Point::Revoke(3))));
        for text in ["", "nvme", "nvme:6", ":1", "0x", "0xg", "seq:x", "revoke:0"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
