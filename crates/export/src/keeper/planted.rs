//! The keeper's own among the faults of `barkeep-planted`: a wrong keeper takes steps for done that nobody did,
//! or does them in another order. In a build without faults every answer here is a constant.

use super::{Keeper, Stage};
use crate::contract::{Cause, Errno, Found, Passage};
use crate::keeper::{Mapping, Step};
use barkeep_journal::Trigger;
use barkeep_planted::{Fault, is_planted};

/// [`Keeper::progress`]: the first of several things has happened.
const BEGUN: u8 = 1;
/// So many FLRs in a row are one too many.
const TOO_MANY: u8 = 3;
/// What is to follow in this event is left out. No number of FLRs.
const LEAVES_OUT: u8 = 0x80;

impl Keeper {
    /// An event begins; `before` is what the last one found.
    pub(super) fn plant_at_begin(&mut self, cause: &Cause, before: Option<Found>) {
        let (step, trigger) = (self.progress.get(), cause.trigger);
        let still_begun = if step == BEGUN { BEGUN } else { 0 };
        if is_planted(Fault::ThirdResetInARow) {
            let earlier = if step == TOO_MANY { 0 } else { step };
            self.progress.set(if trigger == Trigger::Flr { earlier + 1 } else { 0 });
        } else if is_planted(Fault::ResetWhileOff) {
            let comes_on = step == BEGUN && trigger == Trigger::DecodeOn;
            self.progress.set(if comes_on { LEAVES_OUT } else { still_begun });
        } else if is_planted(Fault::SleepTwice) {
            let asleep = before.is_some_and(|found| found.power == 3);
            self.progress.set(match trigger {
                Trigger::D3hot if asleep => BEGUN,
                Trigger::D0 if step == BEGUN => LEAVES_OUT,
                _ => still_begun,
            });
        } else if is_planted(Fault::SlotsBeforeFindOut) {
            self.found = before;
        } else if step == LEAVES_OUT {
            self.progress.set(0);
        }
    }

    /// The event was let through; gives the stage that follows.
    pub(super) fn plant_after_event(&mut self, result: Result<(), Errno>) -> Stage {
        let reset = self.cause.passage == Passage::DeviceReset;
        if is_planted(Fault::ResetAfterFailedReset) && reset {
            let begun = self.progress.get() == BEGUN;
            self.progress.set(if result.is_err() { BEGUN } else { LEAVES_OUT * u8::from(begun) });
        }
        let leaves_out = is_planted(Fault::RestoreSkippedAfterFailedReset) && result.is_err()
            || is_planted(Fault::MapSkippedAfterReset) && result.is_ok();
        if reset && leaves_out {
            self.progress.set(LEAVES_OUT);
        }
        if is_planted(Fault::SlotsBeforeFindOut) {
            self.progress.set(BEGUN);
            return Stage::PutBack(0);
        }
        Stage::FindOut
    }

    /// All slots are back; gives the stage that follows.
    pub(super) fn plant_after_slots(&mut self) -> Stage {
        if is_planted(Fault::SlotsBeforeFindOut) && self.progress.get() == BEGUN {
            self.progress.set(0);
            return Stage::FindOut;
        }
        Stage::Settled
    }

    /// The registers were read.
    pub(super) fn plant_after_find_out(&mut self) {
        let Some(Found { decode: false, power, .. }) = self.found else { return };
        if is_planted(Fault::SleepThenDecode) && power == 3 {
            for window in &mut self.windows {
                window.mapping = Mapping::Unwanted;
            }
        }
        if is_planted(Fault::ResetWhileOff) && self.cause.trigger == Trigger::Flr {
            self.progress.set(BEGUN);
        }
    }

    /// Where a window would be if its function decoded. A suspicion sees that it does not, or the guest that
    /// touches it would come back with EFAULT for ever.
    pub(super) fn plant_undecoded(&self, n: usize) -> Option<u64> {
        let planted = is_planted(Fault::SlotBeforeDecode) && self.cause.trigger != Trigger::Suspect;
        let found = self.found.as_ref().filter(|_| planted && !self.closed)?;
        found.addresses.get(n).copied().flatten()
    }

    /// Whether a step is taken for done.
    pub(super) fn plant_passes_over(&self, step: Step) -> bool {
        let trigger = self.cause.trigger;
        let left_out = self.progress.get() == LEAVES_OUT;
        match step {
            Step::WithdrawSlot { .. } => is_planted(Fault::MovedSlotStays) && trigger == Trigger::BarMove,
            Step::DropMapping { .. } => {
                is_planted(Fault::UnmapForgotten)
                    || is_planted(Fault::WindowLeftAfterRemoval) && trigger == Trigger::Remove
                    || is_planted(Fault::MovedIovaStays) && trigger == Trigger::BarMove
            }
            Step::MakeMapping { window, .. } => {
                is_planted(Fault::SecondWindowForgotten) && window > 0 && trigger != Trigger::Start
                    || is_planted(Fault::MovedIovaStays) && trigger == Trigger::BarMove
                    || is_planted(Fault::ThirdResetInARow) && self.progress.get() == TOO_MANY
                    || left_out
            }
            Step::PutBackSlot { .. } => {
                let slots_too = is_planted(Fault::RestoreSkippedAfterFailedReset)
                    || is_planted(Fault::ResetAfterFailedReset)
                    || is_planted(Fault::SleepTwice);
                is_planted(Fault::MovedSlotStays) && trigger == Trigger::BarMove || left_out && slots_too
            }
            Step::LetThrough | Step::FindOut => false,
        }
    }
}
