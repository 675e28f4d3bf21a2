//! One event that is handled: what was let through, what it took, what came back.

use crate::outage::Way;
use crate::vocabulary::named;
use crate::{OK, Party};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};

named! {
    /// What became of an event.
    Outcome {
        /// All that it had taken, or that was away before, is back.
        Back = "back";
        /// It was over, and left access away: decode is off, the device asleep.
        Away = "left away";
        /// The device was given up.
        Closed = "closed";
        /// It was answered with an errno; what was taken for it is back.
        Refused = "refused";
        /// A slot or a mapping could not be put back.
        NotBack = "not back";
        /// It took nothing, and there was nothing to bring back.
        Nothing = "nothing away";
        /// Somebody else did it, past the VMM.
        Unseen = "past the VMM";
        /// The journal ends before it is over.
        NotOver = "never over";
    }
}

/// An event that was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// Its number, from 1, in the order of their begins.
    pub number: u64,
    /// Which revoke it is, where it is one: from 1, in the order of the journal.
    pub revoke: Option<u64>,
    /// Of which device.
    pub device: DeviceAddress,
    /// What was let through, or made the keeper look.
    pub trigger: Trigger,
    /// Who let it through.
    pub actor: Actor,
    /// Its first event, and the time of it in nanoseconds of the run's clock.
    pub begun: (u64, u64),
    /// Its last event, likewise.
    pub ended: Option<(u64, u64)>,
    /// The answer to what was let through.
    pub result: Option<i32>,
    /// The first slot or mapping that was refused.
    pub refused: Option<(Way, i32)>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Handled {
    /// Nanoseconds from its first event to its last.
    pub fn ns(&self) -> Option<u64> {
        self.ended.map(|(_, end)| end.saturating_sub(self.begun.1))
    }
}

/// An event being handled.
#[derive(Debug)]
pub(crate) struct Open {
    handled: Handled,
    took: bool,
    made: bool,
}

impl Open {
    pub fn new(number: u64, device: DeviceAddress, event: &Event) -> Self {
        let handled = Handled {
            number,
            revoke: None,
            device,
            trigger: event.trigger,
            actor: event.actor,
            begun: (event.seq, event.time_ns),
            ended: None,
            result: None,
            refused: None,
            outcome: Outcome::NotOver,
        };
        Self { handled, took: false, made: false }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.handled.number
    }

    /// Whether a slot or a mapping was refused so far.
    pub fn refused(&self) -> bool {
        self.handled.refused.is_some()
    }

    /// In whose lane it shows.
    pub fn party(handled: &Handled) -> Party {
        match handled.actor {
            Actor::Vcpu | Actor::Guest => Party::Guest,
            _ => Party::Vmm,
        }
    }

    /// What is let through revokes: it is this one of the journal's revokes.
    pub fn is_revoke(&mut self, number: u64) {
        // A hot reset has one for each device, and each its own handling.
        self.handled.revoke.get_or_insert(number);
    }

    /// One of its events.
    pub fn line(&mut self, event: &Event) {
        let refused = |way| event.result.filter(|result| *result != OK).map(|result| (way, result));
        match (event.kind, event.phase) {
            (Kind::Trigger, Phase::Begin) => self.handled.actor = event.actor,
            (Kind::Trigger, Phase::End) => self.handled.result = event.result,
            (Kind::Outage, Phase::Begin) | (Kind::P2pUnmap | Kind::SlotRemove, _) => self.took = true,
            (Kind::P2pMap, Phase::End) => {
                self.made |= event.result == Some(OK);
                self.handled.refused = self.handled.refused.or(refused(Way::P2p));
            }
            (Kind::SlotAdd, Phase::End) => {
                self.made |= event.result == Some(OK);
                self.handled.refused = self.handled.refused.or(refused(Way::Cpu));
            }
            _ => {}
        }
    }

    /// The keeper says that it is over: whether it believes the device live.
    pub fn over(mut self, event: &Event) -> Handled {
        let live = event.value == Some(1);
        let closes = matches!(self.handled.trigger, Trigger::Close | Trigger::Remove);
        self.handled.outcome = match (live, self.handled.refused, self.handled.result) {
            (false, _, None | Some(OK)) if closes => Outcome::Closed,
            (false, ..) => Outcome::Away,
            (true, Some(_), _) => Outcome::NotBack,
            (true, None, Some(result)) if result != OK => Outcome::Refused,
            (true, None, _) if self.took || self.made => Outcome::Back,
            (true, None, _) => Outcome::Nothing,
        };
        self.handled.ended = Some((event.seq, event.time_ns));
        self.handled
    }

    /// The journal ends, or the VMM's process did.
    pub fn cut_off(self) -> Handled {
        self.handled
    }
}
