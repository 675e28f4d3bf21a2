//! What a guest asks of its machine by writing to a port: to end, or to begin again.

use crate::map;

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be powered off.
    PowerOff,
    /// To be reset.
    Reset,
    /// Nothing: its kernel has panicked.
    Panic,
    /// To end with this status.
    Status(u8),
}

/// Bit 5 of ACPI's sleep control register: go to sleep.
const SLEEP_ENABLE: u8 = 1 << 5;
/// Where it says how.
const SLEEP_TYPE: u8 = 7 << 2;
/// Bit 2 of a chipset's reset register.
const CHIPSET_RESET: u8 = 1 << 2;
/// Bit 0 of pvpanic: the guest has panicked, and does nothing about it itself.
const PANICKED: u8 = 1 << 0;
/// What pvpanic answers: what it knows to be told.
pub const PANIC_EVENTS: u8 = PANICKED;

impl Wish {
    /// That of a write of one byte, if it is one.
    #[must_use]
    pub fn of(port: u16, value: u8) -> Option<Self> {
        match port {
            map::SLEEP_CONTROL_PORT => {
                let off = SLEEP_ENABLE | map::SLEEP_POWER_OFF << 2;
                (value & (SLEEP_ENABLE | SLEEP_TYPE) == off).then_some(Self::PowerOff)
            }
            map::RESET_PORT => (value == map::RESET_VALUE).then_some(Self::Reset),
            map::CHIPSET_RESET_PORT => (value & CHIPSET_RESET != 0).then_some(Self::Reset),
            map::PANIC_PORT => (value & PANICKED != 0).then_some(Self::Panic),
            map::STATUS_PORT => Some(Self::Status(value)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_so_is_a_wish() {
        for (port, value, wish) in [
            (map::SLEEP_CONTROL_PORT, 0x34, Some(Wish::PowerOff)),
            (map::SLEEP_CONTROL_PORT, 0x14, None),
            (map::SLEEP_CONTROL_PORT, 0x20, None),
            (map::RESET_PORT, 1, Some(Wish::Reset)),
            (map::RESET_PORT, 0, None),
            (map::CHIPSET_RESET_PORT, 2, None),
            (map::CHIPSET_RESET_PORT, 6, Some(Wish::Reset)),
            (map::PANIC_PORT, 1, Some(Wish::Panic)),
            (map::PANIC_PORT, 2, None),
            (map::STATUS_PORT, 0, Some(Wish::Status(0))),
            (0x80, 1, None),
        ] {
            assert_eq!(Wish::of(port, value), wish, "{port:#x} {value:#x}");
        }
    }
}
