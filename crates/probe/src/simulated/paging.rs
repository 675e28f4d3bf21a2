// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Which memory above 4 GiB the probe can still map: `guest-kernel/probe/paging.c` without the
//! tables, so that it runs out of them at the same access.

use crate::Refusal;
use std::collections::BTreeSet;

const LARGE_PAGE: u64 = 2 << 20;
const BOOT_MAPPED: u64 = 4 << 30;
const HIGHEST: u64 = 1 << 47;
const POOL_PAGES: usize = 32;

/// The page tables that were taken from the pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Paging {
    /// For each 512 GiB but the first, which boot.S maps from.
    pointers: BTreeSet<u64>,
    /// For each GiB.
    directories: BTreeSet<u64>,
}

impl Paging {
    /// Makes memory accessible.
    ///
    /// # Errors
    /// [`Refusal::BadArgument`] for addresses there cannot be, [`Refusal::NoPageTables`] once
    /// the pool is empty.
    pub fn cover(&mut self, address: u64, length: u64) -> Result<(), Refusal> {
        let end = address.checked_add(length).filter(|&end| end <= HIGHEST).ok_or(Refusal::BadArgument)?;
        if end <= BOOT_MAPPED {
            return Ok(());
        }
        let mut at = address.max(BOOT_MAPPED) & !(LARGE_PAGE - 1);
        while at < end {
            let gib = at >> 30;
            self.take(|own| &mut own.pointers, gib >> 9, gib >> 9 == 0)?;
            self.take(|own| &mut own.directories, gib, false)?;
            // The other large pages of this GiB need no table.
            at = (gib + 1) << 30;
        }
        Ok(())
    }

    fn take(
        &mut self,
        level: fn(&mut Self) -> &mut BTreeSet<u64>,
        number: u64,
        there: bool,
    ) -> Result<(), Refusal> {
        let used = self.pointers.len() + self.directories.len();
        let tables = level(self);
        if there || tables.contains(&number) {
            return Ok(());
        }
        if used == POOL_PAGES {
            return Err(Refusal::NoPageTables);
        }
        tables.insert(number);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn each_gib_takes_a_table_and_each_half_tib_another() {
        let mut paging = Paging::default();
        assert_eq!(paging.cover(0, 4 * GIB), Ok(()));
        // Ten below 512 GiB, ten above: one each, and one more for the first that is above.
        assert_eq!(paging.cover(4 * GIB, 10 * GIB), Ok(()));
        assert_eq!(paging.cover(600 * GIB, 10 * GIB), Ok(()));
        assert_eq!(paging.cover(20 * GIB, 11 * GIB), Ok(()));
        assert_eq!(paging.cover(31 * GIB, 4), Err(Refusal::NoPageTables));
        assert_eq!(paging.cover(609 * GIB, GIB), Ok(()));
    }

    #[test]
    fn addresses_end_below_the_half_that_is_not_canonical() {
        let mut paging = Paging::default();
        assert_eq!(paging.cover(HIGHEST - 8, 8), Ok(()));
        for (address, length) in [(HIGHEST - 4, 8), (HIGHEST, 1), (u64::MAX, 1), (8, u64::MAX)] {
            assert_eq!(paging.cover(address, length), Err(Refusal::BadArgument), "{address:#x}");
        }
    }
}
