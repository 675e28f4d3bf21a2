//! The terminal, as a guest wants it: each key as it is pressed.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal in raw mode, until it is dropped. Where standard input is none, nothing is changed.
pub struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Enters it. Ctrl-C goes to the guest; what ends Barkeep is a signal from elsewhere.
    pub fn enter() -> Self {
        let input = std::io::stdin();
        let before = tcgetattr(&input).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            // A terminal that stays as it is can still be typed at.
            let _ = tcsetattr(&input, OptionalActions::Now, &raw);
        }
        Self { before }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // There may be nobody left to whom it matters.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
