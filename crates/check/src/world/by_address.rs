//! What there is one of for each device: few, asked for with every event.

use barkeep_journal::DeviceAddress;

/// Values by device, in the order of the addresses: a search in one stretch of memory costs a
/// fraction of a tree's.
pub(crate) struct ByAddress<T> {
    /// Apart from the values, so that they lie in one line of the cache.
    addresses: Vec<DeviceAddress>,
    values: Vec<T>,
}

/// Devices that are kept apart. More are not followed; who adds one is told.
pub(crate) const DEVICES: usize = 1024;

impl<T> Default for ByAddress<T> {
    fn default() -> Self {
        Self { addresses: Vec::new(), values: Vec::new() }
    }
}

impl<T> ByAddress<T> {
    #[inline]
    pub fn get(&self, address: DeviceAddress) -> Option<&T> {
        self.values.get(self.place(address).ok()?)
    }

    #[inline]
    pub fn get_mut(&mut self, address: DeviceAddress) -> Option<&mut T> {
        let at = self.place(address).ok()?;
        self.values.get_mut(at)
    }

    /// That of a device, made if there is none; `None` where there is no room for one more.
    #[inline]
    pub fn get_or_insert(&mut self, address: DeviceAddress, new: impl FnOnce() -> T) -> Option<&mut T> {
        let at = match self.place(address) {
            Ok(at) => at,
            Err(_) if self.values.len() == DEVICES => return None,
            Err(at) => {
                self.addresses.insert(at, address);
                self.values.insert(at, new());
                at
            }
        };
        self.values.get_mut(at)
    }

    pub fn iter(&self) -> impl Iterator<Item = (DeviceAddress, &T)> {
        self.addresses.iter().copied().zip(&self.values)
    }

    pub fn values(&self) -> impl Iterator<Item = &T> + Clone {
        self.values.iter()
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    fn place(&self, address: DeviceAddress) -> Result<usize, usize> {
        self.addresses.binary_search_by_key(&address.to_bits(), |address| address.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_addresses_and_there_is_an_end() {
        let mut values = ByAddress::default();
        for bits in (0..2 * DEVICES as u32).rev() {
            let address = DeviceAddress::from_bits(bits).unwrap();
            let there = values.get_or_insert(address, || bits).copied();
            assert_eq!(there, (bits >= DEVICES as u32).then_some(bits));
            assert_eq!(values.get(address).copied(), there);
        }
        assert!(values.values().copied().eq(DEVICES as u32..2 * DEVICES as u32));
    }
}
