//! A call that may not come back, made so that whoever asks for it does.

use barkeep_model::{Answer, Errno};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a call may take: longer than any wait of the kernel that ends by itself (a reset's
/// 60 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(70);

/// Calls that have not come back.
#[derive(Default)]
pub(crate) struct Late {
    threads: Vec<JoinHandle<()>>,
}

impl Late {
    /// Makes a call on a thread of its own.
    pub(crate) fn call(&mut self, call: impl FnOnce() -> Result<u64, Errno> + Send + 'static) -> Answer {
        let (answers, answer) = channel();
        let thread = thread::spawn(move || {
            // Nobody listens once patience is at its end.
            let _ = answers.send(call());
        });
        match answer.recv_timeout(PATIENCE) {
            Ok(result) => result.into(),
            Err(RecvTimeoutError::Timeout) => {
                self.threads.push(thread);
                Answer::Hung
            }
            // It panicked, which has been said.
            Err(RecvTimeoutError::Disconnected) => Answer::Failed(Errno::EPROTO),
        }
    }

    /// Waits for them, once what they waited for was given up.
    pub(crate) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
