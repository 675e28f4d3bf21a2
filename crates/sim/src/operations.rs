//! How much a simulated kernel and its devices were asked.

use std::ops::AddAssign;

/// What was answered, by its sort. What a lane's memory slots were asked is counted by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Calls of user space: open, close, `mmap`, ioctls, map and unmap, config writes.
    pub calls: u64,
    /// Config reads.
    pub config_reads: u64,
    /// CPUs' loads and stores that ended at a BAR: through a mapping or through the device file.
    pub accesses: u64,
    /// DMAs that were carried out, landed or not.
    pub dmas: u64,
    /// Memory slots set or deleted.
    pub slots: u64,
}

impl Operations {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { calls, config_reads, accesses, dmas, slots } = *self;
        calls + config_reads + accesses + dmas + slots
    }
}

impl AddAssign for Operations {
    fn add_assign(&mut self, other: Self) {
        let Self { calls, config_reads, accesses, dmas, slots } = other;
        self.calls += calls;
        self.config_reads += config_reads;
        self.accesses += accesses;
        self.dmas += dmas;
        self.slots += slots;
    }
}
