//! Others who keep a device's file open: while there are any, giving it up revokes nothing.

use barkeep_journal::{Event, Phase};

/// A file opened once more, which is bound to nothing.
const REOPENED: &str = "reopened";

/// How many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holders(u64);

impl Holders {
    /// An event `hold`.
    pub fn event(&mut self, event: &Event) {
        if event.bar.is_some() || event.text == REOPENED {
            return;
        }
        match event.phase {
            Phase::Begin => self.0 += 1,
            Phase::End => self.0 = self.0.saturating_sub(1),
            Phase::Point => {}
        }
    }

    /// Whether there are any.
    pub fn any(self) -> bool {
        self.0 > 0
    }
}
