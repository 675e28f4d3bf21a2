//! Errors a keeper could have. They are not in the keeper: [`crate::kept::Kept`] stands between it
//! and its driver and makes it look as if they were, so that the exploration can be seen to find
//! them.

use crate::Scenario;
use std::fmt;

macro_rules! mutants {
    ($($name:ident, $word:literal, $scenario:ident, $what:literal;)+) => {
        /// An error planted around the keeper.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutant {
            $(#[doc = $what] $name,)+
        }

        impl Mutant {
            /// All.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What the command line calls it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What is wrong.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }

            /// A scenario in which it makes a difference.
            #[must_use]
            pub fn scenario(self) -> Scenario {
                match self { $(Self::$name => Scenario::$scenario,)+ }
            }
        }
    };
}

mutants! {
    SlotsAfterEvent, "slots-after-event", Pair, "the slots are withdrawn after the event instead of before";
    DeadNotDropped, "dead-not-dropped", Pair, "dead mappings are not unmapped";
    MappedBeforeDropped, "mapped-before-dropped", Pair, "the new mapping is made before the dead one is dropped";
    SlotBeforeMap, "slot-before-map", Pair, "the slot is put back before the mapping is made";
    FlrIsNothing, "flr-is-nothing", Pair, "an FLR is not taken as revoking";
    D3hotIsNothing, "d3hot-is-nothing", Stubborn, "D3hot is not taken as revoking";
    DecodeOffIsNothing, "decode-off-is-nothing", VirtualFunction, "decode off is not taken as revoking";
    FailedResetSpares, "failed-reset-spares", FailingResets, "a reset that fails is taken as not revoking";
    LiveIgnored, "live-ignored", Pair, "what the registers say of decode and power is not looked at";
    FoundIsOld, "found-is-old", Pair, "the registers are read once and never again";
    AddressIsOld, "address-is-old", Moving, "a BAR that moved is left mapped where it was";
    ExistNotCleared, "exist-not-cleared", InTheWay, "EEXIST is not answered by an UNMAP";
    SecondWindowForgotten, "second-window-forgotten", TwoWindows, "the second window of a device is not mapped again";
    CloseKeepsSlot, "close-keeps-slot", Endings, "the close does not withdraw the slots";
    CloseKeepsMapping, "close-keeps-mapping", Endings, "the close does not drop the mappings";
    SuspectIsNothing, "suspect-is-nothing", Unseen, "a suspicion drops nothing";
    SleepForgotten, "sleep-forgotten", Asleep, "that the device was put into low power is not remembered";
    SuspectKeepsSlot, "suspect-keeps-slot", Unseen, "a suspicion that proves true leaves the slot in";
}

impl Mutant {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.what())
    }
}
