//! SIGINT and SIGTERM, taken note of: what has been begun is ended, and nothing half-written.

use crate::exit::{Exit, wrong};
use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Handlers that only take note, to the end of this process.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes note from now on.
    ///
    /// # Errors
    /// The kernel takes no handler.
    pub fn watch() -> anyhow::Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&seen)).context("cannot watch signals")?;
        }
        Ok(Self(seen))
    }

    /// Goes on.
    ///
    /// # Errors
    /// A signal came.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(wrong(Exit::Interrupted, "interrupted")),
            false => Ok(()),
        }
    }
}
