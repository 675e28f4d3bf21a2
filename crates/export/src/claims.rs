//! Which BAR has which addresses, when a guest puts several in the same place.
//!
//! On a real bus both answer then, and what comes of it is undefined. Here the one that was there first
//! has the place and the other one has none, until the first is gone: two windows cannot have one memory
//! slot or one IOVA, and taking the second one's mapping away must not take the first one's.

use barkeep_journal::DeviceAddress;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A BAR that decodes.
#[derive(Clone, Debug)]
struct Claim {
    device: DeviceAddress,
    bar: u8,
    range: Range<u64>,
    /// Another one was there first.
    refused: bool,
}

/// The places of all BARs of a VM that decode.
#[derive(Debug, Default)]
pub struct Claims {
    table: Mutex<Vec<Claim>>,
    /// One of them was refused: asked without the lock, after every event.
    refused: AtomicBool,
}

impl Claims {
    /// Where a device's BARs are from now on; gives those that have no place there, each as a bit.
    pub fn take(&self, device: DeviceAddress, wanted: &[(u8, Range<u64>)]) -> u8 {
        let mut table = self.table();
        // What has not moved stays: whoever has come to it since was second.
        let stays = |claim: &Claim| {
            !claim.refused && wanted.iter().any(|(bar, range)| (claim.bar, &claim.range) == (*bar, range))
        };
        table.retain(|claim| claim.device != device || stays(claim));
        let mut out = 0;
        for (bar, range) in wanted {
            if table.iter().any(|claim| claim.device == device && claim.bar == *bar) {
                continue;
            }
            let refused = is_taken(&table, range);
            out |= u8::from(refused) << bar;
            table.push(Claim { device, bar: *bar, range: range.clone(), refused });
        }
        self.refused.store(table.iter().any(|claim| claim.refused), Ordering::Release);
        out
    }

    /// Whether one of a device's BARs was refused a place that is free now.
    pub fn waits(&self, device: DeviceAddress) -> bool {
        if !self.refused.load(Ordering::Acquire) {
            return false;
        }
        let table = self.table();
        let mut refused = table.iter().filter(|claim| claim.device == device && claim.refused);
        refused.any(|claim| !is_taken(&table, &claim.range))
    }

    /// The BAR of a device that has an address, and the place in it.
    pub fn find(&self, device: DeviceAddress, address: u64) -> Option<(u8, u64)> {
        let table = self.table();
        let mut own = table.iter().filter(|claim| claim.device == device && !claim.refused);
        let found = own.find(|claim| claim.range.contains(&address))?;
        Some((found.bar, address - found.range.start))
    }

    fn table(&self) -> MutexGuard<'_, Vec<Claim>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_taken(table: &[Claim], range: &Range<u64>) -> bool {
    let overlaps = |claim: &Claim| claim.range.start < range.end && range.start < claim.range.end;
    table.iter().any(|claim| !claim.refused && overlaps(claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u8) -> DeviceAddress {
        DeviceAddress { domain: 0, bus: 0, devfn: number << 3 }
    }

    #[test]
    fn the_second_has_no_place_until_the_first_is_gone() {
        let claims = Claims::default();
        assert_eq!(claims.take(device(1), &[(0, 0x1000..0x2000)]), 0);
        assert_eq!(claims.take(device(2), &[(0, 0x5000..0x6000), (2, 0x1800..0x2800)]), 1 << 2);
        assert_eq!(claims.find(device(1), 0x1900), Some((0, 0x900)));
        assert_eq!(claims.find(device(2), 0x1900), None);
        assert!(!claims.waits(device(2)));
        // It stays where it is, and is still the first.
        assert_eq!(claims.take(device(1), &[(0, 0x1000..0x2000)]), 0);
        assert_eq!(claims.take(device(1), &[]), 0);
        assert!(claims.waits(device(2)) && !claims.waits(device(1)));
        assert_eq!(claims.take(device(2), &[(0, 0x5000..0x6000), (2, 0x1800..0x2800)]), 0);
        assert_eq!(claims.find(device(2), 0x1900), Some((2, 0x100)));
        assert_eq!(claims.take(device(1), &[(0, 0x1000..0x2000)]), 1);
    }

    #[test]
    fn a_devices_own_bars_stand_in_each_others_way_too() {
        let claims = Claims::default();
        assert_eq!(claims.take(device(1), &[(0, 0..0x1000), (1, 0x800..0x900)]), 1 << 1);
        assert_eq!(claims.take(device(1), &[(0, 0x4000..0x5000), (1, 0x800..0x900)]), 0);
    }
}
