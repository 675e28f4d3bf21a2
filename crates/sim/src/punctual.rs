//! Carries DMAs out that nobody asks after, where time goes on by itself.

use crate::host::SimHost;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A thread that sleeps until a DMA is due; nobody has to look at the engine for it to act. It
/// ends with this.
pub struct Punctual {
    host: Arc<SimHost>,
    thread: Option<JoinHandle<()>>,
}

impl Punctual {
    /// Starts it; the thread calls `begin` first.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(host: &Arc<SimHost>, begin: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let own = Arc::clone(host);
        let thread = std::thread::Builder::new().name("engines".into()).spawn(move || {
            begin();
            carry_out(&own);
        })?;
        Ok(Self { host: Arc::clone(host), thread: Some(thread) })
    }
}

fn carry_out(host: &SimHost) {
    let mut state = host.lock_state();
    while !state.ended {
        let now = host.now().saturating_sub(host.grace());
        state.catch_up(now);
        let left = state.next_due().map(|due| due.saturating_sub(now));
        state = host.wait(state, left);
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        self.host.lock_state().ended = true;
        self.host.tell();
        if let Some(thread) = self.thread.take() {
            // It only panics where the simulation is broken, and that was told.
            let _ = thread.join();
        }
    }
}
