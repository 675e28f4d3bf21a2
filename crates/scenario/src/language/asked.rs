//! What an action asks for, in the journal's words.

use super::Action;
use barkeep_journal::Trigger;

impl Action {
    /// The reset or close of one device that it asks for, by its device's name: written with the
    /// action's begin, so that who reads the journal sees one asked for while another was under way,
    /// although the keeper lets one in at a time.
    pub(crate) fn asks_for(&self) -> Option<(Trigger, &str)> {
        let trigger = match self {
            Self::Flr { .. } => Trigger::Flr,
            Self::AfFlr { .. } => Trigger::AfFlr,
            Self::DeviceReset { .. } => Trigger::DeviceReset,
            Self::HotReset { .. } => Trigger::HotReset,
            Self::SysfsReset { .. } => Trigger::SysfsReset,
            Self::Close { .. } => Trigger::Close,
            Self::Release { .. } | Self::Remove { .. } => Trigger::Remove,
            // They race with nothing.
            _ => return None,
        };
        Some((trigger, self.device().or(self.administered())?))
    }
}
