//! How time goes on for the simulated kernel and its devices.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Done once, when it is due.
pub type Act = Box<dyn FnOnce() + Send>;

/// A clock that can be waited by.
pub trait Clock: Send + Sync {
    /// Nanoseconds, by the journal's clock.
    fn now(&self) -> u64;

    /// Lets so many nanoseconds pass. The host's lock is not held meanwhile.
    fn sleep(&self, ns: u64);

    /// Whether time goes on by itself while other threads work. Where it does not, whoever meets
    /// a lock of the kernel's meets its own, and waiting for it would never end.
    fn flows(&self) -> bool;
}

/// `CLOCK_MONOTONIC`, as the journal of every lane but `model` has it, and what is planned on it.
///
/// Planned acts are done by whoever sleeps: all that are due within a sleep are done before it
/// ends, however late the machine's scheduler makes them. An observer's attach 20 ms after the
/// start of a reset of 100 ms is in the middle of it, also on a machine that is busy.
#[derive(Default)]
pub struct HostClock {
    /// By time, and among those of the same time by the order they were planned in.
    due: Mutex<BTreeMap<(u64, u64), Act>>,
    planned: AtomicU64,
}

impl HostClock {
    /// Has `act` done `ns` from now, or as soon after that as somebody sleeps. It must not wait
    /// for what a sleeper holds.
    pub fn after(&self, ns: u64, act: Act) {
        let at = (self.now().saturating_add(ns), self.planned.fetch_add(1, Ordering::Relaxed));
        self.due.lock().unwrap_or_else(PoisonError::into_inner).insert(at, act);
    }

    /// The next act that is due until then, and when.
    fn take(&self, until: u64) -> Option<(u64, Act)> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let first = due.first_entry()?;
        let (at, _) = *first.key();
        (at <= until).then(|| (at, first.remove()))
    }

    fn sleep_until(&self, time: u64) {
        std::thread::sleep(Duration::from_nanos(time.saturating_sub(self.now())));
    }
}

impl Clock for HostClock {
    fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn sleep(&self, ns: u64) {
        let until = self.now().saturating_add(ns);
        while let Some((at, act)) = self.take(until) {
            self.sleep_until(at);
            act();
        }
        self.sleep_until(until);
    }

    fn flows(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_is_due_in_a_sleep_is_done_in_it_in_order() {
        let clock = Arc::new(HostClock::default());
        let told: Arc<Mutex<Vec<u32>>> = Arc::default();
        let plan = |ns, what| {
            let told = Arc::clone(&told);
            clock.after(ns, Box::new(move || told.lock().unwrap().push(what)));
        };
        plan(2_000_000, 2);
        plan(0, 0);
        plan(1_000_000, 1);
        plan(3_600_000_000_000, 3);
        let (own, told_later) = (Arc::clone(&clock), Arc::clone(&told));
        // Planned by one that is done in the sleep, and due in it too.
        let again = move || own.after(0, Box::new(move || told_later.lock().unwrap().push(9)));
        clock.after(1_500_000, Box::new(again));
        clock.sleep(50_000_000);
        let told = told.lock().unwrap().clone();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|what| *what != 3) && told.starts_with(&[0, 1]), "{told:?}");
    }
}
