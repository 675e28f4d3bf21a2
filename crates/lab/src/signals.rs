//! SIGINT and SIGTERM, taken note of while a machine runs.

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Handlers that only take note. Dropping it takes them away; what the signals did before
/// stands again.
pub(crate) struct Signals {
    seen: Arc<AtomicUsize>,
    handlers: Vec<SigId>,
}

impl Signals {
    pub(crate) fn watch() -> io::Result<Self> {
        let mut signals = Self { seen: Arc::new(AtomicUsize::new(0)), handlers: Vec::new() };
        for number in [SIGINT, SIGTERM] {
            let seen = Arc::clone(&signals.seen);
            let id = signal_hook::flag::register_usize(number, seen, number as usize)?;
            signals.handlers.push(id);
        }
        Ok(signals)
    }

    /// The last signal that came.
    pub(crate) fn seen(&self) -> Option<i32> {
        i32::try_from(self.seen.load(Ordering::Relaxed)).ok().filter(|&number| number != 0)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.handlers.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
