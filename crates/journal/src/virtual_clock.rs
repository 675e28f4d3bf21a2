//! A clock that whoever simulates the run moves on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nanoseconds that pass only when somebody says so; clones are the same clock.
///
/// Give one to [`crate::Journal::timed_by`] and keep a clone to [`VirtualClock::advance`] it:
/// a run stamped so has the same bytes on every machine.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    /// A clock at 0 ns.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time, in nanoseconds since the clock was made.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets nanoseconds pass and gives the time after them. Wraps after 584 years.
    #[inline]
    pub fn advance(&self, ns: u64) -> u64 {
        self.0.fetch_add(ns, Ordering::Relaxed).wrapping_add(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_told_and_for_every_clone() {
        let clock = VirtualClock::new();
        let other = clock.clone();
        assert_eq!((clock.advance(3), other.advance(4)), (3, 7));
        assert_eq!((clock.now(), other.now()), (7, 7));
    }
}
