//! Where vCPUs stop while the machine is reset, each on its own thread and outside of the guest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The gate of a machine's vCPUs; open at first.
#[derive(Default)]
pub(crate) struct Gate {
    /// Asked by every vCPU before it enters the guest, and without the lock.
    closed: AtomicBool,
    /// vCPUs that wait at it.
    waiting: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    /// Whether a vCPU has to wait here.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on vCPUs stop here.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Lets all of them go on.
    pub fn open(&self) {
        // Under the lock: a vCPU that has seen it closed is waiting by then.
        let _waiting = self.waiting();
        self.closed.store(false, Ordering::Release);
        self.changed.notify_all();
    }

    /// A vCPU waits until it is opened.
    pub fn pass(&self) {
        let mut waiting = self.waiting();
        *waiting += 1;
        self.changed.notify_all();
        let mut waiting =
            self.changed.wait_while(waiting, |_| self.is_closed()).unwrap_or_else(PoisonError::into_inner);
        *waiting -= 1;
    }

    /// Waits until so many vCPUs wait here; calls `again` every so often until then. False if they
    /// never do.
    pub fn wait_for(&self, vcpus: usize, limit: Duration, mut again: impl FnMut()) -> bool {
        const OFTEN: Duration = Duration::from_millis(1);
        let since = Instant::now();
        loop {
            again();
            let waiting = self.changed.wait_timeout_while(self.waiting(), OFTEN, |there| *there < vcpus);
            if *waiting.unwrap_or_else(PoisonError::into_inner).0 >= vcpus {
                return true;
            }
            if since.elapsed() >= limit {
                return false;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_while_it_is_closed_waits_until_it_is_opened() {
        let (gate, through) = (Gate::default(), AtomicBool::new(false));
        gate.close();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.pass();
                through.store(true, Ordering::Release);
            });
            assert!(gate.wait_for(1, Duration::from_secs(60), || ()));
            assert!(!through.load(Ordering::Acquire));
            assert!(!gate.wait_for(2, Duration::ZERO, || ()), "there is one");
            gate.open();
        });
        assert!(through.load(Ordering::Acquire));
    }
}
