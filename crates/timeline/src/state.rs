//! What a device's exports are to whoever imports them.

use crate::vocabulary::named;
use barkeep_journal::Trigger;

named! {
    /// A device's exports, all of them together: the kernel revokes by device.
    State {
        /// What was exported is mapped, and access lands.
        Live = "Live";
        /// Access is away; it can come back.
        Revoked = "Revoked";
        /// The device file is given up: access is away for good.
        Closed = "Closed";
    }
}

impl State {
    /// What a state can become without another between. The diagram is drawn from this.
    pub const fn successors(self) -> &'static [State] {
        match self {
            Self::Live => &[Self::Revoked],
            Self::Revoked => &[Self::Live, Self::Closed],
            Self::Closed => &[],
        }
    }
}

/// A change of state, and what brought it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// Before; `None` where a device's first mapping begins its story.
    pub from: Option<State>,
    /// After.
    pub to: State,
    /// The trigger that was handled, or that others let through.
    pub trigger: Trigger,
}
