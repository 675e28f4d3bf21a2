//! What whoever waits sees, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often.
const PERIOD: Duration = Duration::from_millis(200);

/// A line that is written over and over.
pub struct Progress {
    of: usize,
    terminal: bool,
    last: Option<Instant>,
}

impl Progress {
    /// Of so many episodes.
    pub fn new(of: usize) -> Self {
        Self { of, terminal: std::io::stderr().is_terminal(), last: None }
    }

    /// So far.
    pub fn show(&mut self, done: usize, resets: u64, failed: usize) {
        if !self.terminal || self.last.is_some_and(|last| last.elapsed() < PERIOD) {
            return;
        }
        self.last = Some(Instant::now());
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        self.line(&format!("{done} of {} episodes, {resets} resets{failed}", self.of));
    }

    /// The line is done with. Says how long episodes were under way: without the emulator's boots, that is.
    pub fn over(&mut self, in_episodes: Duration, resets: u64) {
        self.line("");
        let seconds = in_episodes.as_secs_f64();
        let pace = resets as f64 / seconds.max(1e-9);
        eprintln!("wall clock in episodes: {seconds:.3} s, {pace:.1} resets a second");
    }

    fn line(&self, text: &str) {
        if self.terminal {
            // A terminal that is gone is no reason to end the run.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }
}
